"""A class at one hotserve: what a student's model does, or is asked, is nobody else's trouble."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.e2e.conftest import running_mlflow_server
from tests.e2e.hotserve_models import Registry, constant_model, save_program, text_model
from tests.e2e.hotserve_process import PATIENCE, Hotserve, eventually, running_hotserve
from tests.e2e.stream import Stream

pytestmark = pytest.mark.slow

CONCURRENCY = 4
TROUBLE = """\
import os, pathlib, signal, time
text = model_input.iloc[0, 0]
if text == "morra":
    os.kill(os.getpid(), signal.SIGKILL)
while text == "espere" and pathlib.Path({gate!r}).exists():
    time.sleep(0.01)
return [text] * len(model_input)
"""


@dataclass
class Room:
    """Three students' models: Ana's has a lane, Bia's has none, Zé's makes trouble.

    Attributes:
        hotserve: what serves them.
        gate: as long as this file is there, Zé's model answers no "espere".
    """

    hotserve: Hotserve
    gate: Path

    def is_served(self, *names: str) -> bool:
        """Whether all of them are, and what is to be known of their lanes is known."""
        urls = [f"{self.hotserve.url}/models/{name}/model" for name in names]
        models = [requests.get(url, timeout=PATIENCE).json() for url in urls]
        lanes = [(model.get("lane") or {}).get("state") for model in models]
        return {*lanes} <= {"open", "shut"}

    def ask_ze(self, text: str) -> requests.Response:
        body = {"dataframe_split": {"columns": ["texto"], "data": [[text]]}}
        url = f"{self.hotserve.url}/models/ze/invocations"
        return requests.post(url, json=body, timeout=PATIENCE)

    @contextmanager
    def others_at_work(self) -> Iterator[list[Stream]]:
        """Ana's and Bia's models asked all the while; each answer was good."""
        with ExitStack() as both:
            urls = [f"{self.hotserve.url}/models/{name}" for name in ("ana", "bia")]
            streams = [both.enter_context(Stream(url, connections=1)) for url in urls]
            served(streams)
            yield streams
            served(streams)
        assert [stream.failures for stream in streams] == [[], []]
        given = [{*stream.answers} for stream in streams]
        assert given == [{("1", "brinquedo")}, {("1", "livro")}]


def served(streams: list[Stream]) -> None:
    """Return once each of them got some answers more."""
    before = [len(stream.answers) for stream in streams]
    eventually(
        lambda: all(len(s.answers) > n + 20 for s, n in zip(streams, before, strict=True)),
        "the others get no answers",
    )


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    home = tmp_path_factory.mktemp("neighbours")
    gate = home / "gate"
    trouble = save_program(home / "ze", TROUBLE.format(gate=str(gate)))
    options = ("--workers", "1", "--max-concurrency", str(CONCURRENCY))
    # A start takes long on a busy machine, and so does a model that waits for the gate.
    more = ("--timeout", "200")
    with running_mlflow_server(home / "mlflow") as server:
        registry = Registry(server.url)
        registry.register("ana", text_model(), stage="Production")
        registry.register("bia", constant_model("livro"), stage="Production")
        registry.move("ze", registry.register_folder("ze", trouble), "Production")
        uri, environment = "models:/*/Production", server.environment()
        with running_hotserve(uri, home, environment, options=options, more=more) as hotserve:
            there = Room(hotserve, gate)
            hotserve.get("/models")
            eventually(lambda: there.is_served("ana", "bia", "ze"), "not all are served")
            yield there


def test_who_is_asked_too_much_refuses_and_the_others_answer(room: Room) -> None:
    assert room.ask_ze("oi").json() == {"predictions": ["oi"]}
    room.gate.touch()
    with room.others_at_work() as others, ThreadPoolExecutor(20) as crowd:
        asked = [crowd.submit(room.ask_ze, "espere") for _ in range(20)]
        try:
            eventually(
                lambda: sum(each.done() for each in asked) == 20 - CONCURRENCY,
                "those who are too many get no answer",
            )
            served(others)
        finally:
            room.gate.unlink()
        answers = [each.result() for each in asked]
    refused = [answer for answer in answers if not answer.ok]
    assert len(refused) == 20 - CONCURRENCY
    for answer in refused:
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert f"{CONCURRENCY} requests are under way" in answer.json()["message"]
    assert {answer.text for answer in answers if answer.ok} == {'{"predictions": ["espere"]}'}
    assert room.ask_ze("oi").ok


def test_whose_process_dies_is_told_so_and_the_others_answer(room: Room) -> None:
    with room.others_at_work() as others:
        died = room.ask_ze("morra")
        assert died.status_code == 503
        assert "process ended while it answered this request" in died.json()["message"]
        served(others)
        eventually(lambda: room.ask_ze("oi").ok, "it does not come back")
