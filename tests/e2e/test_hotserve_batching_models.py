"""Models of several kinds, many requests at once: each answer is the one to a request alone."""

import json
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest

from tests.e2e import model_kinds
from tests.e2e.conftest import MlflowServer
from tests.e2e.hotserve_models import Registry
from tests.e2e.hotserve_process import Hotserve, ask_all, running_hotserve
from tests.e2e.model_kinds import COLUMNS

NAME = "hotserve-batching-models"
TREE, OBJECTS, NORMALISES = "boosted regression", "pyfunc of objects", "pyfunc that normalises"
KINDS = (TREE, OBJECTS, NORMALISES, model_kinds.COUNTS)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("models")
    for kind in KINDS:
        model_kinds.save(kind, home / kind)
    return {kind: home / kind for kind in KINDS}


@pytest.fixture(scope="module")
def served(
    models: dict[str, Path], mlflow_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Hotserve]]:
    """hotserve with one front worker, once it serves the model of a kind and knows its verdict."""
    registry = Registry(mlflow_server.url)
    versions = {kind: registry.register_folder(NAME, models[kind]) for kind in models}
    home, environment = tmp_path_factory.mktemp(NAME), mlflow_server.environment()
    uri, options = f"models:/{NAME}/Production", ("--workers", "1")
    with running_hotserve(uri, home, environment, options=options) as hotserve:

        def serve(kind: str) -> Hotserve:
            registry.move(NAME, versions[kind], "Production")
            hotserve.wait_for_version(versions[kind])
            hotserve.wait_for("no verdict", lambda m: m["batching"]["state"] != "comparing")
            return hotserve

        yield serve


def requests_of(rows: list[list[float]]) -> list[tuple[str, bytes]]:
    """The rows in every form that may go in company."""
    frame = pd.DataFrame(rows, columns=COLUMNS)
    csv = "\n".join([",".join(COLUMNS), *(",".join(map(str, row)) for row in rows)])
    bodies: list[Any] = [
        {"dataframe_split": {"columns": COLUMNS, "data": rows}},
        {"dataframe_records": frame.to_dict("records")},
        {"inputs": frame.to_dict("records")},
        {"instances": frame.to_dict("list")},
    ]
    made = [("application/json", json.dumps(body).encode()) for body in bodies]
    return [("text/csv", csv.encode()), *made]


def questions() -> list[list[list[float]]]:
    """The rows of each request, whole numbers among them, as clients write them."""
    numbers = random.Random(11)

    def value() -> float:
        return numbers.choice([numbers.randint(0, 9), round(numbers.random() * 10, 3)])

    sizes = [numbers.choice([1, 1, 1, 2, 5]) for _ in range(60)]
    return [[[value() for _ in COLUMNS] for _ in range(size)] for size in sizes]


def joint_requests(hotserve: Hotserve) -> float:
    return hotserve.samples().total("hotserve_batch_requests_count")


@pytest.mark.parametrize("kind", [TREE, OBJECTS, NORMALISES])
def test_each_answer_is_the_one_to_a_request_alone(
    kind: str, served: Callable[[str], Hotserve], models: dict[str, Path]
) -> None:
    hotserve = served(kind)
    model = mlflow.pyfunc.load_model(str(models[kind]))
    before = joint_requests(hotserve)
    rows = questions()
    asked = [request for each in rows for request in requests_of(each)]
    expected = [model.predict(pd.DataFrame(each, columns=COLUMNS, dtype=float)) for each in rows]
    for place, (status, body) in enumerate(ask_all(hotserve, asked, clients=16)):
        content_type, sent = asked[place]
        assert status == 200, (content_type, sent, body)
        told = json.loads(body)["predictions"]
        wanted = list(expected[place // len(requests_of(rows[0]))])
        if kind == OBJECTS:
            assert told == wanted
        else:
            assert all(map(math.isclose, told, wanted)), (content_type, sent)
            assert len(told) == len(wanted)
    went_together = joint_requests(hotserve) > before
    assert went_together == (kind != NORMALISES)
    shown = hotserve.model()["batching"]
    assert shown["state"] == ("open" if went_together else "shut"), shown
    if not went_together:
        assert "it answers a row otherwise in company than alone: " in shown["why"]


def test_a_model_with_a_state_is_asked_as_often_as_there_are_requests(
    served: Callable[[str], Hotserve],
) -> None:
    hotserve = served(model_kinds.COUNTS)
    before = joint_requests(hotserve)
    asked = requests_of([[1.0] * 8]) * 12
    told = [json.loads(body)["predictions"] for _, body in ask_all(hotserve, asked, clients=16)]
    counts = sorted(count for [count] in told)
    assert joint_requests(hotserve) == before
    assert "otherwise in company than alone" in hotserve.model()["batching"]["why"]
    # Nobody shares an answer, but for those whom its threads count at the same moment.
    assert counts[-1] - counts[0] >= len(asked) // 2
