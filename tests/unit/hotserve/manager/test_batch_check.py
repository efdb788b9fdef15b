"""Whether rows of a model may go together, found out from MLflow's own server on real models."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import uvicorn
from mlflow.models import infer_signature
from mlflow.pyfunc import scoring_server
from sklearn.ensemble import HistGradientBoostingRegressor

from hotserve.inputs import model_input
from hotserve.manager.batch_check import NOT_KNOWN, check
from tests.e2e.conftest import free_port

# MLflow's own, about how such small models are saved.
pytestmark = pytest.mark.filterwarnings("ignore")

X = pd.DataFrame(
    np.random.default_rng(7).random((60, 3)) * 10, columns=["área", "quartos", "andar"]
)
Y = X.sum(axis=1).to_numpy()
TABLE_FORMS = [
    "text/csv",
    "dataframe_split",
    "dataframe_records",
    "inputs:records",
    "inputs:columns",
    "instances:records",
    "instances:columns",
]


@contextmanager
def served(model: Path) -> Iterator[int]:
    """MLflow's server with that model; gives its port."""
    port = free_port()
    app = scoring_server.init(mlflow.pyfunc.load_model(str(model)))
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield port
    finally:
        server.should_exit = True
        thread.join()


def verdict(model: Path) -> dict[str, Any]:
    with served(model) as port:
        mlmodel = model_input.read_mlmodel(model)
        return check(model, port, model_input.read(model, mlmodel).kind)


class Custom(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined, misc]
    """Answers with what `answer` makes of a table."""

    def __init__(self, answer: Callable[[Any], Any]) -> None:
        self._answer = answer

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:  # noqa: ARG002
        return self._answer(model_input)


def custom(folder: Path, answer: Callable[[Any], Any], **more: Any) -> Path:
    if not more:
        more = {"input_example": X.head(3), "signature": infer_signature(X, Y)}
    mlflow.pyfunc.save_model(folder, python_model=Custom(answer), pip_requirements=[], **more)
    return folder


def sums(table: Any) -> Any:
    return table.sum(axis=1).to_numpy()


@pytest.mark.parametrize("with_example", [True, False], ids=["example", "signature only"])
@pytest.mark.parametrize("with_signature", [True, False], ids=["signature", "example only"])
def test_a_boosted_tree(tmp_path: Path, with_example: bool, with_signature: bool) -> None:
    tree = HistGradientBoostingRegressor(max_iter=20).fit(X, Y)
    mlflow.sklearn.save_model(
        tree,
        tmp_path / "m",
        input_example=X.head(1) if with_example else None,
        signature=infer_signature(X, Y) if with_signature else None,
        pip_requirements=[],
        serialization_format="cloudpickle",
    )
    found = verdict(tmp_path / "m")
    if with_example or with_signature:
        assert found["forms"][:3] == TABLE_FORMS[:3]
    else:
        assert found == {"shut": NOT_KNOWN}


@pytest.mark.parametrize(
    "answer",
    [
        sums,
        lambda table: table.assign(soma=table.sum(axis=1), nome="é"),
        lambda table: [{"total": float(total), "de": [1, None]} for total in table.sum(axis=1)],
        lambda table: ["alto" if total > 15 else "baixo" for total in table.sum(axis=1)],
    ],
    ids=["array", "table", "objects", "texts"],
)
def test_whatever_it_returns_for_each_row(tmp_path: Path, answer: Callable[[Any], Any]) -> None:
    assert verdict(custom(tmp_path / "m", answer)) == {"forms": TABLE_FORMS}


def normalised(table: Any) -> Any:
    return ((table - table.mean()) / (table.std() + 1)).sum(axis=1).to_numpy()


def ranked(table: Any) -> Any:
    return table.sum(axis=1).rank().to_numpy()


def without_twins(table: Any) -> Any:
    return sums(table.drop_duplicates())


def in_all(table: Any) -> Any:
    return [float(table.to_numpy().sum())]


def sorted_sums(table: Any) -> Any:
    return np.sort(sums(table))


class Counting:
    """Answers with how often it was asked."""

    asked = 0

    def __call__(self, table: Any) -> Any:
        self.asked += 1
        return [self.asked] * len(table)


class Running:
    """Keeps the sum of all rows that it saw."""

    total = 0.0

    def __call__(self, table: Any) -> Any:
        found = []
        for value in sums(table):
            self.total += float(value)
            found.append(self.total)
        return found


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (normalised, "otherwise in company than alone"),
        (ranked, "otherwise in company than alone"),
        (sorted_sums, "otherwise in company than alone"),
        (Counting(), "otherwise in company than alone"),
        (Running(), "otherwise in company than alone"),
        (lambda table: np.random.rand(len(table)), "otherwise in company than alone"),
        (without_twins, "it gave .* predictions for 128 rows"),
        (in_all, "it gave 1 predictions for .* rows"),
        (lambda table: {"soma": sums(table)}, "'predictions' are no list"),
        (lambda _: 1 / 0, "it did not answer rows of its example or signature: 400"),
    ],
    ids=[
        *("normalises", "ranks", "sorts", "counts", "runs on", "random", "drops twins"),
        *("one answer", "object", "raises"),
    ],
)
def test_a_model_that_is_to_be_asked_row_by_row(
    tmp_path: Path, answer: Callable[[Any], Any], why: str
) -> None:
    found = verdict(custom(tmp_path / "m", answer))
    assert list(found) == ["shut"]
    assert re.search(why, found["shut"]), found


def waits_for_each(table: Any) -> Any:
    """As a model that asks another service for each row."""
    for _ in range(len(table)):
        time.sleep(0.3)
    return sums(table)


def test_a_model_that_gains_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whatever else this machine does makes one of many tries look like a gain.
    monkeypatch.setattr("hotserve.manager.batch_check._TRIES", 2)
    found = verdict(custom(tmp_path / "m", waits_for_each))
    assert "nothing would be gained: 8 rows take it" in found["shut"]


def test_a_model_that_takes_few_rows_at_a_time(tmp_path: Path) -> None:
    def few(table: Any) -> Any:
        assert len(table) <= 64
        return sums(table)

    found = verdict(custom(tmp_path / "m", few))
    assert "400 to 128 rows together: " in found["shut"]


def test_rows_at_which_it_raises_are_left_out(tmp_path: Path) -> None:
    def only_small(table: Any) -> Any:
        assert (table < 30).all().all()
        return sums(table)

    assert verdict(custom(tmp_path / "m", only_small))["forms"] == TABLE_FORMS


def test_neither_example_nor_signature(tmp_path: Path) -> None:
    mlflow.pyfunc.save_model(
        tmp_path / "m", python_model=Custom(sums), pip_requirements=[], signature=False
    )
    assert verdict(tmp_path / "m") == {"shut": NOT_KNOWN}


@pytest.mark.parametrize(
    "example",
    [
        np.random.default_rng(3).random((4, 6)),
        np.random.default_rng(3).random((2, 3, 2)).astype("float32"),
    ],
    ids=["matrix", "cubes"],
)
def test_tensors(tmp_path: Path, example: Any) -> None:
    def total(array: Any) -> Any:
        return array.sum(axis=tuple(range(1, array.ndim)))

    more = {"input_example": example, "signature": infer_signature(example, total(example))}
    assert verdict(custom(tmp_path / "m", total, **more)) == {"forms": ["inputs", "instances"]}


def test_texts(tmp_path: Path) -> None:
    texts = ["boneca de pano", "halo"]
    more = {"input_example": texts, "signature": infer_signature(texts, [1, 2])}

    def lengths(table: Any) -> Any:
        values = table.iloc[:, 0] if isinstance(table, pd.DataFrame) else table
        return [len(str(value)) for value in values]

    assert "inputs" in verdict(custom(tmp_path / "m", lengths, **more))["forms"]


def test_columns_of_many_types(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"s": ["a", "b"], "n": [1, 2], "f": [0.5, 1.5], "b": [True, False]}
    ).astype({"n": "int64"})

    def written(given: Any) -> Any:
        return [repr(row) for row in given.itertuples(index=False)]

    more = {"signature": infer_signature(table, ["a"])}
    assert verdict(custom(tmp_path / "m", written, **more))["forms"] == TABLE_FORMS


def test_a_process_that_is_gone(tmp_path: Path) -> None:
    model = custom(tmp_path / "m", sums)
    found = check(model, free_port(), "table")
    assert "can't be asked" in found["error"]
