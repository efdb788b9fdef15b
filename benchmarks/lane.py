"""The fast lane against scikit-learn's own `predict`, on the same fitted pipelines.

Trains on half of the products and answers for the other half, names alone (a handful of words) and
whole texts. Lane and scikit-learn take turns in one process; the shortest turn of each counts, in
processor time, since both use one thread and the machine may be busy. `first` is a lane just
opened, which has not seen a word yet.

    python -m benchmarks.lane
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from sklearn.pipeline import Pipeline

from benchmarks.machine import machine, write
from hotserve.lane import Lane
from hotserve.lane.compile import compile_pipeline
from produtos.data import dataset as datasets
from produtos.model import pipeline as model
from produtos.parameters import LOGISTIC_REGRESSION, NAIVE_BAYES

ROUNDS = 7
SINGLES = 300
BATCHES = (1000, 10_000)

MEMORY_SCRIPT = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

from hotserve.lane import Lane
before, began = resident(), time.process_time()
lane = Lane(sys.argv[2])
seconds, opened = time.process_time() - began, resident()
texts = Path(sys.argv[3]).read_text("utf-8").splitlines()
for start in range(0, len(texts), 1000):
    lane.predict_json(texts[start : start + 1000])
print(seconds, opened - before, resident() - before, len(texts))
"""


def pipelines() -> Iterator[tuple[str, Pipeline]]:
    """The trainer's two, and the second with pairs of words."""
    yield "naive Bayes on counts", model.build(NAIVE_BAYES, strip_accents=True)
    yield "logistic regression on TF-IDF", model.build(LOGISTIC_REGRESSION, strip_accents=True)
    pairs = model.build(LOGISTIC_REGRESSION, strip_accents=True)
    pairs[0].set_params(ngram_range=(1, 2))
    yield "the same, words and pairs of words", pairs


def seconds(answer: Callable[[list[str]], object], requests: list[list[str]]) -> float:
    """Processor time to answer all requests, one after the other."""
    began = time.process_time()
    for request in requests:
        answer(request)
    return time.process_time() - began


def compare(path: Path, pipeline: Pipeline, texts: list[str]) -> dict[str, Any]:
    """Microseconds for a text, lane and scikit-learn, alone and in batches."""
    lane = Lane(path)
    assert lane.predict(texts) == pipeline.predict(texts).tolist()
    singles = [[text] for text in islice(cycle(texts), SINGLES)]
    result = {}
    for requests in (singles, *([list(islice(cycle(texts), size))] for size in BATCHES)):
        count = sum(map(len, requests))
        first = seconds(Lane(path).predict_json, requests) / count
        turns = [
            (seconds(lane.predict_json, requests), seconds(pipeline.predict, requests))
            for _ in range(ROUNDS)
        ]
        mine, other = (min(turn) / count for turn in zip(*turns, strict=True))
        result[str(len(requests[0]))] = {
            "lane_us": round(mine * 1e6, 2),
            "scikit_learn_us": round(other * 1e6, 2),
            "ratio": round(other / mine, 1),
            "lane_texts_per_s": round(1 / mine),
            "first_us": round(first * 1e6, 2),
        }
    return result


def memory(path: Path, texts: list[str]) -> dict[str, float]:
    """What a worker pays for a lane: time to open it, and memory after opening and answering."""
    package = Path(__file__).resolve().parent.parent / "classificador-produtos"
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(" ".join(text.split()) for text in texts))
        file.flush()
        done = subprocess.run(
            [sys.executable, "-c", MEMORY_SCRIPT, str(package), str(path), file.name],
            capture_output=True,
            text=True,
            check=True,
        )
    opening, opened, answered, answers = map(float, done.stdout.split())
    return {
        "open_ms": round(opening * 1e3, 1),
        "opened_mb": round(opened, 1),
        "answered_mb": round(answered, 1),
        "answers": answers,
    }


def main() -> int:
    """Measure, print a table, and write `benchmarks/results/lane.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default=None, help="a CSV file nome;descricao;categoria")
    products = datasets.load(parser.parse_args().dataset).products
    train, rest = products[::2], products[1::2]
    kinds = {
        "names": [product.name for product in rest],
        "whole texts": [product.text(include_name=True) for product in rest],
    }
    words = {kind: sum(len(t.split()) for t in texts) / len(texts) for kind, texts in kinds.items()}
    results: dict[str, Any] = {}
    print("| pipeline | texts | in a batch | lane | scikit-learn | ratio | lane, texts/s |")
    print("| --- | --- | --: | --: | --: | --: | --: |")
    for title, pipeline in pipelines():
        pipeline.fit(
            [product.text(include_name=True) for product in train],
            [product.category for product in train],
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.lane")
            began = time.process_time()
            lane = compile_pipeline(pipeline, path)
            results[title] = {
                "compile_s": round(time.process_time() - began, 2),
                "terms": lane.info["terms"],
                "file_mb": round(path.stat().st_size / 1e6, 1),
                "worker": memory(path, kinds["whole texts"]),
            }
            for kind, texts in kinds.items():
                results[title][kind] = compare(path, pipeline, texts)
                for size, row in results[title][kind].items():
                    print(
                        f"| {title} | {kind} | {size} | {row['lane_us']:.1f} µs "
                        f"| {row['scikit_learn_us']:.1f} µs | {row['ratio']:.1f} "
                        f"| {row['lane_texts_per_s']:,} |",
                        flush=True,
                    )
    for title, result in results.items():
        worker = result["worker"]
        print(
            f"{title}: {result['terms']:,} terms; compiled in {result['compile_s']} s to "
            f"{result['file_mb']} MB; opened in {worker['open_ms']} ms; a worker grows by "
            f"{worker['opened_mb']} MB, and by {worker['answered_mb']} MB in all once it answered"
        )
    path = write(
        "lane",
        {
            "command": "python -m benchmarks.lane",
            "machine": machine("scikit-learn", "scipy", "numpy"),
            "words_per_text": {kind: round(mean, 1) for kind, mean in words.items()},
            "results": results,
        },
    )
    print(f"raw figures: {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
