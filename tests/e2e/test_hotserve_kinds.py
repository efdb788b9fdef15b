"""Many kinds of model, many clients at once: hotserve's answers are those of plain MLflow."""

import json
import math
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import pandas as pd
import pytest
import requests

from tests.e2e import model_kinds
from tests.e2e.hotserve_process import Hotserve, ask_all, running_hotserve
from tests.e2e.stock_server import stock_server

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

ALONE = ("pyfunc that normalises", "pyfunc of another length")
"""Kinds that look at their rows together, and must be asked for each request by itself."""


class Served(NamedTuple):
    kind: str
    rows: pd.DataFrame
    hotserve: Hotserve
    stock: str


@pytest.fixture(scope="module", params=model_kinds.KINDS)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A model of a kind, served by hotserve and by plain MLflow, once all is compared."""
    home = tmp_path_factory.mktemp("kind")
    rows = model_kinds.save(request.param, home / "model")
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONHASHSEED": "0"}
    model, options = home / "model", ("--workers", "1")
    with (
        running_hotserve(model, home, environment, options=options) as hotserve,
        stock_server(str(model), environment) as stock,
    ):
        hotserve.wait_for_verdicts()
        yield Served(request.param, rows, hotserve, stock)


def questions(served: Served) -> list[tuple[str, bytes]]:
    """Rows drawn at random, one to five a request, in every form; some that must fail."""
    numbers = random.Random(served.kind)
    made: list[tuple[str, bytes]] = []
    for number in range(30):
        rows = served.rows.sample(numbers.choice([1, 1, 1, 2, 5]), random_state=number)
        records = json.loads(rows.to_json(orient="records"))
        bodies: list[Any] = [
            {"dataframe_split": {"columns": [*rows], "data": [[*r.values()] for r in records]}},
            {"dataframe_records": records},
            {"inputs": {name: [r[name] for r in records] for name in rows}},
            {"instances": records},
        ]
        if served.kind == "pyfunc with parameters":
            bodies.append({"dataframe_records": records, "params": {"factor": number}})
        if number % 10 == 0:
            bodies.append({"dataframe_records": [{**records[0], rows.columns[0]: {"no": "cell"}}]})
        made += [("application/json", json.dumps(body).encode()) for body in bodies]
        if "texts" not in served.kind:
            made.append(("text/csv", rows.to_csv(index=False).encode()))
    return made


def alike(one: Any, other: Any) -> bool:
    """Equal, numbers to nine digits."""
    if isinstance(one, float) or isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    return bool(one == other)


def test_answers_are_those_of_plain_mlflow(served: Served) -> None:
    asked = questions(served)
    told = ask_all(served.hotserve, asked, clients=16)
    differences = []
    for (content_type, body), (status, answer) in zip(asked, told, strict=True):
        expected = requests.post(
            f"{served.stock}/invocations", body, headers={"Content-Type": content_type}, timeout=60
        )
        same = status == expected.status_code
        if same and status == 200:
            same = alike(json.loads(answer), expected.json())
        if not same:
            differences.append((content_type, body, status, answer, expected.text))
    assert not differences, f"{len(differences)} of {len(asked)}, the first: {differences[0]}"
    shown = served.hotserve.model()["batching"]
    went_together = served.hotserve.samples().total("hotserve_batch_requests_count") > 0
    assert went_together == (served.kind not in ALONE), shown
