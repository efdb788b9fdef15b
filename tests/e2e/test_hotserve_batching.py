"""Requests that wait go to a real model's process together, and nobody notices but by the speed."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests
from mlflow.models import infer_signature

from tests.e2e.conftest import MlflowServer
from tests.e2e.hotserve_models import Registry, save_program
from tests.e2e.hotserve_process import PATIENCE, Hotserve, eventually, running_hotserve
from tests.support.threads import working

NAME = "hotserve-batching"
URI = f"models:/{NAME}/Production"

PREDICT = """\
import time
end = time.perf_counter() + 0.005 + 0.00005 * len(model_input)
while time.perf_counter() < end:
    pass
values = [float(value) for value in model_input["valor"]]
if -1.0 in values:
    raise ValueError("a bad row")
if -2.0 in values:
    values.remove(-2.0)
mark = VERSION + ((params or {}).get("mark") or "")
return [f"{value:.1f} of {mark}" for value in values]
"""
BAD, LEFT_OUT = -1.0, -2.0
"""Rows at which the model raises, and that it does not answer."""
ROWS = pd.DataFrame({"valor": [1.5, 2.5], "peso": [1.0, 3.0]})


def register(registry: Registry, folder: Path, version: str, **more: Any) -> str:
    """A model that answers with each row's value and `version`; it costs 5 ms, and a bit a row."""
    body = f"VERSION = {version!r}\n{PREDICT}"
    return registry.register_folder(NAME, save_program(folder / version, body, **more))


@dataclass(frozen=True)
class Bench:
    """hotserve on version 1 with one front worker, version 2 at hand."""

    hotserve: Hotserve
    registry: Registry
    home: Path

    def joint_requests(self) -> float:
        return self.hotserve.samples().total("hotserve_batch_requests_count")

    def promote(self, version: str, batching: str = "open") -> None:
        self.registry.move(NAME, version, "Production")
        self.hotserve.wait_for_version(version)
        self.hotserve.wait_for("no verdict", lambda model: model["batching"]["state"] == batching)


@pytest.fixture(scope="module")
def bench(mlflow_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    registry, home = Registry(mlflow_server.url), tmp_path_factory.mktemp(NAME)
    signature = infer_signature(ROWS, ["a", "b"], {"mark": ""})
    for version in ("1", "2"):
        register(registry, home, version, input_example=ROWS, signature=signature)
    registry.move(NAME, "1", "Production")
    environment = mlflow_server.environment()
    with running_hotserve(URI, home, environment, options=("--workers", "1")) as hotserve:
        hotserve.wait_for_version("1")
        hotserve.wait_for("it stays shut", lambda model: model["batching"]["state"] == "open")
        yield Bench(hotserve, registry, home)


@dataclass
class Load:
    """What came of requests of which each has values of its own.

    Attributes:
        answered: how often each status came.
        wrong: answers that are not those to what was asked.
    """

    answered: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


Make = Callable[[int], tuple[list[float], str, bytes]]


def as_csv(values: list[float]) -> tuple[str, bytes]:
    return "text/csv", "\n".join(["valor,peso", *(f"{v},1" for v in values)]).encode()


def as_split(values: list[float]) -> tuple[str, bytes]:
    split = {"columns": ["valor", "peso"], "data": [[v, 1] for v in values]}
    return "application/json", json.dumps({"dataframe_split": split}).encode()


def as_records(values: list[float]) -> tuple[str, bytes]:
    records = [{"valor": v, "peso": 0.5} for v in values]
    return "application/json", json.dumps({"dataframe_records": records}).encode()


def as_inputs_with_params(values: list[float]) -> tuple[str, bytes]:
    inputs = {"valor": values, "peso": [2.0] * len(values)}
    body = {"inputs": inputs, "params": {"mark": "!"}}
    return "application/json", json.dumps(body).encode()


FORMS = (as_csv, as_split, as_records, as_inputs_with_params)


@contextmanager
def load_of(hotserve: Hotserve, odd: tuple[float, ...] = ()) -> Iterator[Load]:
    """Twelve clients, each with its own form and size; one in nine rows is one of `odd`."""
    load, over, numbers = Load(), threading.Event(), count(1)
    url = f"{hotserve.url}/invocations"

    def ask(client: int) -> None:
        form, size = FORMS[client % len(FORMS)], 1 + client % 3
        with requests.Session() as session:
            while not over.is_set():
                number = next(numbers)
                values = [float(number * 10 + n) for n in range(size)]
                if odd and number % 9 == 0:
                    values[-1] = odd[number // 9 % len(odd)]
                kind, body = form(values)
                headers = {"Content-Type": kind}
                answer = session.post(url, body, headers=headers, timeout=PATIENCE)
                load.answered[answer.status_code] += 1
                mark = answer.headers.get("X-Model-Version", "")
                mark += "!" if form is as_inputs_with_params else ""
                told = [f"{value:.1f} of {mark}" for value in values if value != LEFT_OUT]
                is_bad = BAD in values
                if answer.status_code != (400 if is_bad else 200) or (
                    not is_bad and answer.json() != {"predictions": told}
                ):
                    load.wrong.append(f"{values}: {answer.status_code} {answer.text[:200]}")

    with working(over, [partial(ask, client) for client in range(12)]):
        yield load


def test_everybody_gets_the_own_rows_also_during_a_promotion(bench: Bench) -> None:
    before = bench.hotserve.samples()
    with load_of(bench.hotserve) as load:
        eventually(lambda: load.answered[200] > 300, "it is not answered")
        bench.promote("2")
        at = load.answered[200]
        eventually(lambda: load.answered[200] > at + 300, "it is not answered")
        joint = bench.joint_requests()
        eventually(lambda: bench.joint_requests() > joint + 10, "version 2 is asked one by one")
    assert not load.wrong
    assert set(load.answered) == {200}
    after = bench.hotserve.samples()
    assert after.value("hotserve_batching_open") == 1

    def grown(name: str, **labels: str) -> float:
        return after.total(name, **labels) - before.total(name, **labels)

    # Each is counted by itself, and most went in company.
    assert grown("hotserve_requests_total", code="200") == load.answered[200]
    for version in ("1", "2"):
        joint = grown("hotserve_batch_requests_count", version=version)
        assert grown("hotserve_batch_requests_sum", version=version) >= 2 * joint > 0
        assert grown("hotserve_batch_rows_total", version=version) >= 2 * joint
    assert grown("hotserve_failed_batches_total") == 0


def test_rows_that_fail_do_not_hurt_their_neighbours(bench: Bench) -> None:
    with load_of(bench.hotserve, odd=(BAD,)) as load:
        eventually(lambda: load.answered[400] > 20, "no bad row was asked")
    assert not load.wrong
    assert set(load.answered) == {200, 400}
    assert bench.hotserve.samples().total("hotserve_failed_batches_total") > 0
    assert bench.hotserve.model()["batching"]["state"] == "open"


def test_an_answer_of_another_length_shuts_it_for_good(bench: Bench) -> None:
    with load_of(bench.hotserve, odd=(LEFT_OUT,)) as load:
        bench.hotserve.wait_for("it stays open", lambda m: m["batching"]["state"] == "shut")
        joint = bench.joint_requests()
        at = load.answered[200]
        eventually(lambda: load.answered[200] > at + 100, "it is not answered")
    assert not load.wrong
    assert bench.joint_requests() == joint
    why = bench.hotserve.model()["batching"]["why"]
    assert why.startswith("for requests that went together it gave ")
    # Other versions are not concerned; this one stays shut whenever it comes back.
    bench.promote("1")
    bench.promote("2", batching="shut")
    assert bench.hotserve.model()["batching"]["why"] == why


def test_it_can_be_switched_off(bench: Bench) -> None:
    options = ("--batching", "off", "--workers", "1")
    with running_hotserve(bench.home / "2", bench.home / "off", options=options) as hotserve:
        hotserve.wait_until_serving()
        shown = hotserve.model()["batching"]
        assert (shown["state"], shown["why"]) == ("shut", "it is switched off (--batching off)")
        for form in FORMS[:2]:
            kind, body = form([7.0])
            assert hotserve.post(body, kind).json() == {"predictions": ["7.0 of 2"]}
