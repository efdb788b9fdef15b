"""What a run keeps of a batch job."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from produtos.batch.differences import Differences
from produtos.batch.record import Record, Result, origin_of
from produtos.batch.request import Request
from produtos.registry.reference import ModelReference
from produtos.runs.tracking import Tracker

VERSIONS = {
    "versao_1": ModelReference("m", "1", "None"),
    "versao_production": ModelReference("m", "2", "Production"),
}


class Client:
    """As much of MLflow's client as a record takes."""

    def __init__(self) -> None:
        self.logged: dict[str, Any] = {}
        self.files: list[str] = []

    def log_batch(self, run_id: str, params: Any, metrics: Any, tags: Any) -> None:
        assert run_id == "1a"
        self.logged |= {each.key: each.value for each in (*params, *metrics, *tags)}

    def log_artifacts(self, run_id: str, folder: str, path: str) -> None:
        assert run_id == "1a"
        self.files += sorted(f"{path}/{each.name}" for each in Path(folder).iterdir())

    def log_artifact(self, run_id: str, path: str) -> None:
        assert run_id == "1a"
        self.files.append(path)


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def record(client: Client) -> Record:
    run: Any = SimpleNamespace(
        info=SimpleNamespace(run_id="1a"), data=SimpleNamespace(params={"model": "as it was"})
    )
    known: Any = client
    return Record(Tracker(known, "7"), run)


def test_what_is_asked_and_who_answers(record: Record, client: Client) -> None:
    record.start(Request(models=("1", "production"), texts=("a", "b"), workers=3), VERSIONS)
    assert client.logged == {
        "input": "(2 texts)",
        "output": "(screen)",
        "min_answered": "0.25",
        "workers": "3",
        "engine": "local",
        **origin_of(VERSIONS),
    }
    record.start(Request(models=("1",), input="a.csv", spark_master="local[2]"), {})
    assert (client.logged["input"], client.logged["engine"]) == ("a.csv", "spark")


def test_models_of_one_name_are_named_once() -> None:
    assert origin_of(VERSIONS) == {"versao_1": "1", "versao_production": "2", "modelo": "m"}
    other = {**VERSIONS, "versao_2": ModelReference("n", "2", "None")}
    assert origin_of(other)["modelo"] == "m, n"


def test_figures(record: Record, client: Client) -> None:
    record.result(Result(30, 2, 1.5, None))
    assert client.logged == {"rows": 30, "bad_rows": 2, "seconds": 1.5, "rows_per_second": 20}
    assert client.files == []
    assert Result(0, 0, 0.0, None).metrics()["rows_per_second"] == 0


def test_where_two_models_differ(record: Record, client: Client) -> None:
    differences = Differences(["1", "production"])
    differences.add(["a", "b", "c", "d"], ["x", "x", "x", "x"], ["x", "y", "x", "x"])
    record.result(Result(4, 0, 1.0, differences))
    assert (client.logged["rows_differing"], client.logged["share_differing"]) == (1, 0.25)
    names = ("differences.csv", "differences.png", "summary.csv")
    assert client.files == [f"comparison/{name}" for name in names]


@pytest.mark.parametrize(("size", "is_kept"), [(50_000_000, True), (50_000_001, False)])
def test_the_side_file_is_kept_if_it_is_not_too_large(
    record: Record, client: Client, tmp_path: Path, size: int, is_kept: bool
) -> None:
    path = tmp_path / "rejeitadas.csv"
    path.touch()
    os.truncate(path, size)
    bad: Any = SimpleNamespace(address=str(path))
    record.bad_rows(bad)
    assert client.files == ([str(path)] if is_kept else [])


def test_a_side_file_that_lies_elsewhere_stays_there(record: Record, client: Client) -> None:
    bad: Any = SimpleNamespace(address="s3://bucket/rejeitadas.csv")
    record.bad_rows(bad)
    assert client.files == []
