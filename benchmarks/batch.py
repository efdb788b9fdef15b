"""A batch job beside plain `model.predict` on the whole table: rows a second, and memory.

    make bench-batch                                    1,000,000 rows, three rounds
    .venv/bin/python benchmarks/batch.py --rows 200000 --rounds 1

Both in each round, one after the other, on the same registered model and the same products (those
of the shipped data set, drawn again and again). What is timed: of plain MLflow the call of
`predict` alone, the table being in memory; of the job the whole command, from its start to its
end, with starting Python, fetching the model, reading the CSV file and writing another. A third
figure is like for like: the whole of the plain script, which does all that with pandas. The answers
must be the same. Memory is what the job's processes hold together (PSS, so that what they share
counts once), and is measured for a tenth of the rows, too. Raw figures go to
`benchmarks/results/batch.json`.
"""

import argparse
import csv
import hashlib
import json
import os
import platform
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "batch.json"
MODEL = "models:/classificador-produtos/Production"

PLAIN = f"""
import hashlib, json, sys, time
import mlflow.pyfunc
import pandas as pd
model = mlflow.pyfunc.load_model("{MODEL}", suppress_warnings=True)
frame = pd.read_csv(sys.argv[1], sep=";", dtype=str, keep_default_na=False)
started = time.perf_counter()
answers = model.predict(frame)
seconds = time.perf_counter() - started
import resource
print(json.dumps({{
    "seconds": seconds,
    "rows": len(answers),
    "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "answers": hashlib.sha256("\\n".join(answers).encode()).hexdigest(),
}}), flush=True)
frame["categoria_prevista"] = answers
frame.to_csv(sys.argv[2], sep=";", index=False)
"""


def main() -> None:
    """Measure, print a table, write the raw figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-batch-") as name:
        folder = Path(name)
        with mlflow_server(folder) as url:
            environ = os.environ | {"MLFLOW_TRACKING_URI": url}
            print("training a model", flush=True)
            run([sys.executable, str(ROOT / "trainer" / "sweep.py"), "--first"], environ)
            big, small = folder / "big.csv", folder / "small.csv"
            write_products(big, given.rows)
            write_products(small, given.rows // 10)
            characters = big.stat().st_size / given.rows
            print(f"{given.rows:,} rows of {characters:.0f} bytes", flush=True)
            rounds = []
            for number in range(1, given.rounds + 1):
                rounds.append(one_round(big, folder, environ))
                print(f"round {number}: {rounds[-1]['ratio']:.2f}", flush=True)
            memory = batch(small, folder / "out.csv", environ)
    report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "load_before": rounds[0]["load"],
        },
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("mlflow", "scikit-learn", "pandas", "pyarrow")},
        },
        "rows": given.rows,
        "bytes_a_row": characters,
        "rounds": rounds,
        "tenth_of_the_rows": memory,
        "summary": summary(given.rows, rounds, memory),
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for key, value in report["summary"].items():
        print(f"{key:<44}{value:>12,.2f}")


def one_round(big: Path, folder: Path, environ: dict[str, str]) -> dict[str, Any]:
    """Plain `predict`, then the job with all cores, then with one process."""
    load = os.getloadavg()[0]
    started = time.perf_counter()
    said = run([sys.executable, "-c", PLAIN, str(big), str(folder / "plain.csv")], environ)
    plain = json.loads(said) | {"script_seconds": time.perf_counter() - started}
    many = batch(big, folder / "out.csv", environ)
    one = batch(big, folder / "out.csv", environ, "--workers", "1")
    for job in (many, one):
        if job["answers"] != plain["answers"]:
            raise SystemExit("the job's answers differ from those of plain predict")
    return {
        "load": load,
        "plain": plain,
        "batch": many,
        "batch_one_worker": one,
        "ratio": plain["seconds"] / many["seconds"],
        "ratio_one_worker": plain["seconds"] / one["seconds"],
        "ratio_to_script": plain["script_seconds"] / many["seconds"],
        "ratio_to_script_one_worker": plain["script_seconds"] / one["seconds"],
    }


def batch(source: Path, target: Path, environ: dict[str, str], *more: str) -> dict[str, Any]:
    """Run a job; seconds from start to end, and the most memory its processes held at once."""
    command = [
        *(sys.executable, str(ROOT / "trainer" / "batch.py")),
        *("--input", str(source), "--output", str(target), *more),
    ]
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True)
    most = 0
    while True:
        try:
            process.wait(timeout=0.5)
            break
        except subprocess.TimeoutExpired:
            most = max(most, memory_of(process.pid))
    seconds = time.perf_counter() - started
    said = process.stderr.read() if process.stderr else ""
    if process.returncode:
        raise SystemExit(said)
    digest = hashlib.sha256()
    with target.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter=";")
        next(rows)
        for number, row in enumerate(rows):
            digest.update((("\n" if number else "") + row[-1]).encode())
    return {"seconds": seconds, "peak_pss_mb": most / 2**20, "answers": digest.hexdigest()}


def memory_of(pid: int) -> int:
    """Bytes that a process and all below it hold, shared pages shared out."""
    total = 0
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for member in family:
        try:
            total += int(member.memory_full_info().pss)
        except psutil.Error:
            continue
    return total


def summary(rows: int, rounds: list[dict[str, Any]], tenth: dict[str, Any]) -> dict[str, float]:
    """The figures that the documentation quotes: medians of all rounds."""

    def median(part: str, figure: str) -> float:
        return statistics.median(float(each[part][figure]) for each in rounds)

    def ratio(name: str) -> float:
        return statistics.median(float(each[name]) for each in rounds)

    return {
        "plain predict, rows/s": rows / median("plain", "seconds"),
        "plain script from start to end, rows/s": rows / median("plain", "script_seconds"),
        "batch, rows/s": rows / median("batch", "seconds"),
        "batch with one worker, rows/s": rows / median("batch_one_worker", "seconds"),
        "batch / plain predict": ratio("ratio"),
        "batch with one worker / plain predict": ratio("ratio_one_worker"),
        "batch / plain script": ratio("ratio_to_script"),
        "batch with one worker / plain script": ratio("ratio_to_script_one_worker"),
        "plain, peak memory, MB": median("plain", "peak_rss_mb"),
        "batch, peak memory, MB": median("batch", "peak_pss_mb"),
        "batch, a tenth of the rows, MB": tenth["peak_pss_mb"],
        "batch with one worker, peak memory, MB": median("batch_one_worker", "peak_pss_mb"),
    }


def write_products(path: Path, rows: int) -> None:
    """A table of products, drawn from the shipped data set with a fixed seed."""
    with (ROOT / "trainer" / "produtos.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file, delimiter=";")
        header = next(reader)
        products = [row[:2] for row in reader if any(field.strip() for field in row[:2])]
    choose = random.Random(10)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";", lineterminator="\n")
        writer.writerow(header[:2])
        writer.writerows(choose.choice(products) for _ in range(rows))


def run(command: list[str], environ: dict[str, str]) -> str:
    """Run a command to its end.

    Returns:
        What it printed.
    """
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """A tracking server over SQLite on a free port; gives its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]
    environ = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "mlflow.log").open("wb") as log:
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        while not answers(f"{url}/health"):
            if process.poll() is not None:
                raise SystemExit((folder / "mlflow.log").read_text(encoding="utf-8"))
            time.sleep(0.2)
        yield url
    finally:
        family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        process.wait()
        for member in family:
            if member.is_running():
                member.terminate()


def answers(url: str) -> bool:
    """Whether an address answers."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    main()
