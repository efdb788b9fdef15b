"""The exercises, done from the first line to the last, with the answers that the page gives."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.e2e import tutorial_text
from tests.e2e.git_repository import copy_of_a_clone
from tests.e2e.hotserve_process import PATIENCE, eventually
from tests.e2e.stack import Stack, make_run
from tests.e2e.terminal import Terminal
from tests.e2e.tutorial_text import Command, Program, Section
from tests.support.commands import ROOT

PAGE = ROOT / "docs" / "exercises.pt-BR.md"
SECTIONS = [section for section in tutorial_text.read(PAGE).sections if section.steps]


@dataclass
class Student:
    """Somebody in front of a terminal, in a clone with `make run` ready in it."""

    stack: Stack
    clone: Path
    terminal: Terminal

    def type_in(self, command: Command) -> None:
        text = command.text.replace("localhost:5000", f"localhost:{self.stack.mlflow_port}")
        text = text.replace("localhost:8080", f"localhost:{self.stack.serve_port}")
        code, printed = self.terminal.type_in(text)
        assert code == command.code, f"{text}\n{printed}"
        missing = tutorial_text.missing_line(command.shown, printed)
        assert missing is None, f"{text}: not printed: {missing}\n{printed}"

    def has_failed(self) -> bool:
        """Whether the API has tried the version that is wanted, and given up."""
        model = requests.get(f"{self.stack.serve_url}/model", timeout=PATIENCE).json()
        return bool(model["wanted"]) and model["wanted"]["state"] == "failed"


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Student]:
    folder = tmp_path_factory.mktemp("exercises")
    clone = folder / "clone"
    clone.mkdir()
    copy_of_a_clone(clone)
    (clone / ".venv").symlink_to(ROOT / ".venv")
    (folder / ".curlrc").write_text("silent\nshow-error\n")
    with make_run(clone / ".stack", folder / "output", folder=clone, LINGUA="pt") as stack:
        stack.wait_until_ready()
        settings = {"LINGUA": "pt", "CURL_HOME": str(folder), "GIT_CONFIG_GLOBAL": os.devnull}
        with Terminal(clone, settings) as terminal:
            yield Student(stack, clone, terminal)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.heading)
def test_answer_is_what_happens(student: Student, section: Section) -> None:
    for step in section.steps:
        if isinstance(step, Program):
            (student.clone / step.name).write_text(step.text, encoding="utf-8")
        elif isinstance(step, Command):
            student.type_in(step)
        else:
            assert step.name == "has_failed"
            eventually(student.has_failed, "the API has not given up")
