"""Agents that stream: their events come as they give them, behind a real server of MLflow's."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pytest
import requests

from tests.e2e.conftest import without_mlflow
from tests.e2e.hotserve_process import PATIENCE, Hotserve, eventually, running_hotserve

AGENT = '''
import time
from pathlib import Path
from uuid import uuid4
import mlflow
from mlflow.pyfunc import ResponsesAgent
from mlflow.types.responses import ResponsesAgentResponse, ResponsesAgentStreamEvent


class Parrot(ResponsesAgent):
    """Says words; before each but the first it waits for a file of that name."""

    def predict(self, request):
        done = [e.item for e in self.predict_stream(request) if e.type.endswith("done")]
        return ResponsesAgentResponse(output=done)

    def predict_stream(self, request):
        folder = Path((request.custom_inputs or {}).get("folder", "/nowhere"))
        words = request.input[0].content.split()
        try:
            for number, word in enumerate(words):
                while folder.is_dir() and number and not (folder / word).exists():
                    time.sleep(0.01)
                if word == "fail":
                    raise ValueError("a fault in /home/somebody")
                yield ResponsesAgentStreamEvent(**self.create_text_delta(word, "m"))
            item = self.create_text_output_item(" ".join(words), "m")
            yield ResponsesAgentStreamEvent(type="response.output_item.done", item=item)
        except GeneratorExit:
            (folder / "closed").touch()
            raise


mlflow.models.set_model(Parrot())
'''


@pytest.fixture(scope="module")
def hotserve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hotserve]:
    home = tmp_path_factory.mktemp("hotserve-streams")
    code = home / "agent.py"
    code.write_text(AGENT)
    model = home / "model"
    mlflow.pyfunc.save_model(model, python_model=str(code), pip_requirements=["mlflow"])
    environment = without_mlflow() | {"MLFLOW_TRACKING_URI": f"sqlite:///{home}/traces.db"}
    options = ("--workers", "1", "--stop-timeout", "1")
    with running_hotserve(model, home, environment, options=options) as running:
        running.wait_until_serving()
        yield running


@dataclass
class Words:
    """A request for a stream of words, each of which the test lets go."""

    hotserve: Hotserve
    folder: Path
    words: str

    def __enter__(self) -> "Words":
        body = {
            "input": [{"role": "user", "content": self.words}],
            "custom_inputs": {"folder": str(self.folder)},
        }
        self.answer = requests.post(
            f"{self.hotserve.url}/invocations",
            json={**body, "stream": True},
            stream=True,
            timeout=PATIENCE,
        )
        self.lines = (line for line in self.answer.iter_lines() if line)
        return self

    def __exit__(self, *_: object) -> None:
        self.answer.close()

    def event(self) -> Any:
        line = next(self.lines).decode()
        assert line.startswith("data: ")
        told = line.removeprefix("data: ")
        return told if told == "[DONE]" else json.loads(told)

    def let(self, word: str) -> None:
        (self.folder / word).touch()


def test_events_come_as_the_agent_gives_them(hotserve: Hotserve, tmp_path: Path) -> None:
    with Words(hotserve, tmp_path, "um dois três") as stream:
        assert stream.answer.status_code == 200
        headers = stream.answer.headers
        assert headers["Content-Type"].startswith("text/event-stream")
        assert headers["X-Model-Version"] == hotserve.model()["version"]
        assert headers["X-Hotserve-Lane"] == "process"
        # The second word has not been given, and is not given before the first one was read.
        assert stream.event()["delta"] == "um"
        assert not (tmp_path / "dois").exists()
        for word in ("dois", "três"):
            stream.let(word)
            assert stream.event()["delta"] == word
        assert stream.event()["item"]["content"][0]["text"] == "um dois três"
        assert stream.event() == "[DONE]"
        assert next(stream.lines, None) is None


def test_without_stream_the_answer_comes_whole(hotserve: Hotserve) -> None:
    answer = hotserve.invoke({"input": [{"role": "user", "content": "um dois"}]})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["output"][0]["content"][0]["text"] == "um dois"


def test_a_failure_in_the_middle_is_told_without_what_is_nobody_s_business(
    hotserve: Hotserve, tmp_path: Path
) -> None:
    with Words(hotserve, tmp_path, "um fail") as stream:
        stream.event()
        stream.let("fail")
        assert "the model failed" in stream.event()["error"]
        assert stream.event() == "[DONE]"
    failed = hotserve.invoke({"input": "no list", "stream": True})
    assert failed.status_code == 400
    assert "stack_trace" not in failed.json()


def test_a_client_that_goes_ends_the_agent_s_work(hotserve: Hotserve, tmp_path: Path) -> None:
    # More than fits between the agent and a client that does not read.
    with Words(hotserve, tmp_path, "um " + "dois " * 100_000) as stream:
        assert stream.event()["delta"] == "um"
    # A model learns of it when it gives its next event.
    stream.let("dois")
    eventually((tmp_path / "closed").exists, "the agent goes on")
