"""Training in blocks beside training at once."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from mlflow.tracking import MlflowClient

from produtos.data import dataset, seen
from produtos.data.split import HOLDOUT, TRAIN, holdout_of, part_of, pool_of
from produtos.errors import BadInput
from produtos.io import csv
from produtos.io.products import open_products
from produtos.model.pipeline import build
from produtos.parameters import Parameters
from produtos.runs import streaming, training
from produtos.runs.tracking import Tracker

DATA = dataset.load()
HEADER = "nome;descricao;categoria\n"


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv, "BLOCK", 50_000)
    monkeypatch.setattr(seen, "CACHE", 10)


@pytest.mark.parametrize("include_names", [True, False])
def test_the_shipped_products_give_the_figures_of_training_at_once(include_names: bool) -> None:
    parameters = Parameters(include_names=include_names, streaming=True)
    in_blocks = streaming.train(open_products("produtos.csv"), parameters)
    at_once = training.train(DATA, replace(parameters, streaming=False))
    assert in_blocks.holdout_digest == at_once.holdout_digest == holdout_of(DATA).digest
    assert in_blocks.summary.counts == at_once.summary.counts
    for name, value in at_once.metrics().items():
        assert in_blocks.metrics()[name] == pytest.approx(value, abs=0.02), name
    pool = pool_of(DATA, include_names=include_names)
    left_out = {k: v for k, v in in_blocks.figures.items() if k.startswith("rows_left_out")}
    assert left_out == {f"rows_left_out_{why}": count for why, count in pool.left_out.items()}
    tested = sum(in_blocks.test.counts.values())
    assert tested + in_blocks.figures["rows_train"] == len(pool.products)
    assert tested / len(pool.products) == pytest.approx(parameters.test_size, abs=0.02)

    # The model is that of scikit-learn on the same products.
    learnt = [p for p in pool.products if part_of(p, parameters.test_size) == TRAIN]
    texts = [product.text(include_name=include_names) for product in learnt]
    same = build("naive_bayes", strip_accents=True).fit(texts, [p.category for p in learnt])
    assert in_blocks.pipeline[0].vocabulary_ == same[0].vocabulary_
    assert np.array_equal(in_blocks.pipeline[1].feature_log_prob_, same[1].feature_log_prob_)
    assert np.array_equal(in_blocks.pipeline[1].class_log_prior_, same[1].class_log_prior_)
    held_out = [p.text(include_name=include_names) for p in holdout_of(DATA).products]
    assert in_blocks.expected["top_probability"] == pytest.approx(
        same.predict_proba(held_out).max(axis=1).mean()
    )


def test_a_product_stays_in_its_part_whatever_the_size_of_the_test_split() -> None:
    small, large = ([part_of(p, size) for p in DATA.products] for size in (0.1, 0.5))
    assert small.count(HOLDOUT) == large.count(HOLDOUT) == len(holdout_of(DATA).products)
    pairs = set(zip(small, large, strict=True))
    assert pairs == {
        *(("holdout", "holdout"), ("train", "train"), ("train", "test"), ("test", "test")),
    }


def test_a_run_is_recorded_as_one_at_once(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("produtos.model.flavor.log", lambda *_, **_more: "m-1")
    artifacts = tmp_path / "artifacts"
    tracker = Tracker(client, client.create_experiment("blocos", str(artifacts)))
    runs = []
    for parameters in (Parameters(), Parameters(streaming=True)):
        if parameters.streaming:
            products = open_products(parameters.dataset)
            train = partial(streaming.train, products, parameters)
        else:
            train = partial(training.train, DATA, parameters)
        outcome = training.record(tracker, parameters, train)
        runs.append(tracker.client.get_run(outcome.run_id))
    at_once, in_blocks = runs
    assert in_blocks.data.params == at_once.data.params | {"streaming": "sim"}
    more = {"terms", "terms_forgotten"}
    assert in_blocks.data.metrics.keys() == at_once.data.metrics.keys() | more
    assert in_blocks.data.tags["holdout_digest"] == at_once.data.tags["holdout_digest"]
    assert "dataset_sha256" not in in_blocks.data.tags
    inputs = [run.to_dictionary()["inputs"]["dataset_inputs"] for run in runs]
    for name in ("name", "source_type"):
        one, other = ([each["dataset"][name] for each in some] for some in inputs)
        assert one == other
    one, other = (json.loads(some[1]["dataset"]["profile"])["num_rows"] for some in inputs)
    assert one == other
    folders = [artifacts / run.info.run_id / "artifacts" for run in runs]
    names = [{str(p.relative_to(folder)) for p in folder.rglob("*.*")} for folder in folders]
    assert names[0] - names[1] == {"dataset/produtos.csv"}
    reports = [json.loads((each / "dataset/report.json").read_text()) for each in folders]
    assert reports[0]["categories"] == reports[1]["categories"]


def rows(category: str, count: int) -> str:
    return "".join(f"{category} {n};texto {n} de {category};{category}\n" for n in range(count))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (rows("game", 40), "every product is of one category"),
        ("", "nothing left to train on"),
        ("a;b;livro\nc;d;livro\ne;f;game\ng;h;game\n", "too few"),
        (rows("game", 40) + "".join(f"{n};;livro\n" for n in "😀📚"), "too few to train on all 2"),
    ],
)
def test_too_little_is_told_in_one_line(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "produtos.csv"
    path.write_text(HEADER + content, encoding="utf-8")
    with pytest.raises(BadInput, match=said):
        streaming.train(open_products(str(path)), Parameters(streaming=True))


def test_a_table_that_changes_between_two_looks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "produtos.csv"
    path.write_text(HEADER + rows("game", 90) + rows("livro", 90), encoding="utf-8")
    products = open_products(str(path))

    class Changing(streaming.OwnTexts):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            with path.open("a", encoding="utf-8") as file:
                file.write(rows("brinquedo", 90))

    monkeypatch.setattr(streaming, "OwnTexts", Changing)
    with pytest.raises(BadInput, match="has changed while it was read"):
        streaming.train(products, Parameters(include_names=False, streaming=True))
