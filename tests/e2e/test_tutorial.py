"""The tutorial, walked from its first line to its last: what it says to type is typed.

Both language versions are read; their commands are the same, so one walk tries both. To take the
pictures again: `PICTURES=docs/images make test ARGS=tests/e2e/test_tutorial.py`.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from mlflow import MlflowClient
from PIL import Image
from playwright.sync_api import expect

from tests.e2e import pictures, tutorial_text
from tests.e2e.conftest import free_port
from tests.e2e.git_repository import Repository, copy_of_a_clone
from tests.e2e.git_server import running_git_server
from tests.e2e.hotserve_process import PATIENCE, eventually
from tests.e2e.registry_page import RegistryPage, chromium
from tests.e2e.stack import Stack, make_run
from tests.e2e.stream import Stream
from tests.e2e.terminal import Terminal
from tests.e2e.tutorial_text import Command, PageStep, Section

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = [DOCS / "tutorial.pt-BR.md", DOCS / "tutorial.md"]
PROJECT = "classificador-de-produtos"
MODEL = "classificador-produtos"


@dataclass
class Walk:
    """A reader half-way through the tutorial.

    Attributes:
        stack: what `make run` started, in the clone that the reader made.
        terminal: the reader's other terminal.
        page: MLflow's page, in the reader's browser.
        replaced: what stands in the tutorial, and what stands for it here.
    """

    stack: Stack
    terminal: Terminal
    page: RegistryPage
    replaced: dict[str, str]

    def here(self, text: str) -> str:
        """A text of the tutorial with the addresses of this machine."""
        for written, real in self.replaced.items():
            text = text.replace(written, real)
        return text

    def type_in(self, command: Command) -> None:
        if command.text == "make run":
            # It runs in a terminal of its own, since before the first test.
            code, printed = 0, self.stack.printed()
        else:
            code, printed = self.terminal.type_in(self.here(command.text))
        assert code == 0, f"{command.text}\n{printed}"
        missing = tutorial_text.missing_line(tuple(map(self.here, command.shown)), printed)
        assert missing is None, f"{command.text}: not printed: {missing}\n{printed}"

    def answered_by(self) -> str:
        """The version that answers on its own, all switching done; empty while there is more."""
        model = requests.get(f"{self.stack.serve_url}/model", timeout=PATIENCE).json()
        return str(model["version"]) if model["wanted"] is None else ""


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """The reader's clone, with `make run` in it ready; both are the tutorial's first commands."""
    folder = tmp_path_factory.mktemp("tutorial")
    written = Repository.create(folder / "written", folder / "served" / f"{PROJECT}.git")
    copy_of_a_clone(written.folder)
    written.commit_and_push("Classificador de produtos")
    (folder / "tmp").mkdir()
    (folder / ".curlrc").write_text("silent\nshow-error\n")
    with ExitStack() as stays:
        server = stays.enter_context(running_git_server(folder / "served"))
        browser = stays.enter_context(chromium())
        clone = folder / PROJECT
        ports = {"MLFLOW_PORT": free_port(), "SERVE_PORT": free_port()}
        replaced = {
            "https://gitlab.example.org/ana": server.url,
            "localhost:5000": f"localhost:{ports['MLFLOW_PORT']}",
            "localhost:8080": f"localhost:{ports['SERVE_PORT']}",
            "port 5000": f"port {ports['MLFLOW_PORT']}",
        }
        terminal = stays.enter_context(
            Terminal(
                folder,
                {
                    "CURL_HOME": str(folder),
                    "TMPDIR": str(folder / "tmp"),
                    "GIT_CONFIG_GLOBAL": os.devnull,
                },
            )
        )
        for command in first_commands():
            code, printed = terminal.type_in(
                command.replace("https://gitlab.example.org/ana", server.url)
            )
            assert code == 0, printed
        # The environment that `make run` would make there, ready-made.
        (clone / ".venv").symlink_to(DOCS.parent / ".venv")
        stack = stays.enter_context(
            make_run(clone / ".stack", folder / "output", folder=clone, **ports)
        )
        stack.wait_until_ready()
        page = browser.new_page(
            viewport={"width": pictures.WIDTH, "height": pictures.HEIGHT}, locale="en-US"
        )
        yield Walk(stack, terminal, RegistryPage(page, stack.mlflow_url), replaced)


def first_commands() -> list[str]:
    """The commands that come before `make run`."""
    typed = [s.text for s in tutorial_text.read(PAGES[0]).steps() if isinstance(s, Command)]
    return typed[: typed.index("make run")]


def compare(walk: Walk) -> None:
    walk.page.open_experiment("capitulo-10")
    walk.page.choose_columns(
        shown=["acuracia", "acuracia_holdout", "include_names", "test_size"],
        hidden=["Dataset", "Source"],
    )
    walk.page.sort_by("acuracia_holdout")

    def is_sorted() -> bool:
        shown = walk.page.figures("acuracia_holdout")
        return len(shown) == 10 and shown == sorted(shown, reverse=True)

    eventually(is_sorted, "there are no ten runs, or the best one is not at the top")
    pictures.take(walk.page.page, "runs")


def register_best(walk: Walk) -> None:
    walk.page.open_model_of_run("0.1 sim não")
    walk.page.start_registering()
    expect(walk.page.page.locator("[class*=select-dropdown]").first).to_be_visible()
    pictures.take(walk.page.page, "register")
    walk.page.page.keyboard.press("Escape")
    walk.page.page.reload()
    walk.page.register_as_version_of(MODEL)
    eventually(lambda: len(walk.stack.versions()) == 2, "there is no version 2")
    expect(walk.page.open_model(MODEL)).to_have_count(2)
    pictures.take(walk.page.page, "versions")


def promote(walk: Walk) -> None:
    walk.page.open_version(MODEL, 2)
    walk.page.show_stages()
    dialog = walk.page.start_moving_to("Production")
    dialog.get_by_role("checkbox").check()
    pictures.take(walk.page.page, "promote")
    dialog.get_by_role("button", name="OK").click()
    expect(dialog).to_be_hidden()
    eventually(lambda: walk.answered_by() == "2", "version 2 does not answer")
    assert [v["current_stage"] for v in walk.stack.versions()] == ["Archived", "Production"]
    # As the page says of step 5: a stage moved there leaves the alias behind.
    model = walk.stack.mlflow(f"registered-models/get?name={MODEL}")["registered_model"]
    assert model["aliases"] == [{"alias": "production", "version": "1"}]


def register_accents(walk: Walk) -> None:
    walk.page.open_experiment("capitulo-10")
    walk.page.open_model_of_run("0.25 sim sim")
    walk.page.register_as_version_of(MODEL)
    eventually(lambda: len(walk.stack.versions()) == 3, "there is no version 3")
    walk.page.open_version(MODEL, 3)
    walk.page.move_to("Staging")


def exchange(walk: Walk) -> None:
    with Stream("127.0.0.1", walk.stack.serve_port, "senhor dos aneis") as stream:
        eventually(lambda: stream.answers, "no answers of version 2")
        walk.page.open_version(MODEL, 3)
        walk.page.move_to("Production", current="Staging")
        walk.page.open_version(MODEL, 2)
        walk.page.move_to("Staging", current="Production")
        eventually(lambda: stream.answers[-1][0] == "3", "no answers of version 3")
        eventually(lambda: walk.answered_by() == "3", "version 3 does not answer alone")
    assert stream.failures == []
    assert set(stream.answers) == {("2", "brinquedo"), ("3", "livro")}
    expect(walk.page.open_model(MODEL)).to_have_count(3)
    pictures.take(walk.page.page, "exchanged")


PAGE_STEPS: dict[str, Callable[[Walk], None]] = {
    step.__name__: step for step in (compare, register_best, promote, register_accents, exchange)
}


SECTIONS = [section for section in tutorial_text.read(PAGES[0]).sections if section.steps]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.heading)
def test_section_says_what_happens(walk: Walk, section: Section) -> None:
    for step in section.steps:
        if isinstance(step, PageStep):
            PAGE_STEPS[step.name](walk)
        elif step.text not in first_commands():
            walk.type_in(step)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_comparison_is_kept_where_the_page_says(walk: Walk, page: Path) -> None:
    (told,) = re.findall(r"^`comparadas\.csv` .*?\n\n", page.read_text("utf-8"), re.M | re.S)
    name = re.findall(r"experiment\w* `([\w-]+)`", told)[0]
    client = MlflowClient(walk.stack.mlflow_url)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None, name
    newest, *_ = client.search_runs([experiment.experiment_id], max_results=1)
    kept = {file.path for file in client.list_artifacts(newest.info.run_id, "comparison")}
    assert {"comparison/differences.csv", "comparison/differences.png"} <= kept


def test_languages_have_the_same_steps() -> None:
    portuguese, english = map(tutorial_text.read, PAGES)
    assert portuguese.steps() == english.steps()
    assert [len(s.steps) for s in portuguese.sections] == [len(s.steps) for s in english.sections]
    assert portuguese.blocks == english.blocks
    assert portuguese.pictures == english.pictures


@pytest.mark.parametrize("name", tutorial_text.read(PAGES[0]).pictures)
def test_picture_is_there_and_small(name: str) -> None:
    picture = DOCS / name
    assert picture.stat().st_size < 150_000
    with Image.open(picture) as opened:
        assert opened.width == pictures.WIDTH


def test_containers_are_started_with_the_services_that_the_page_means() -> None:
    # tests/compose starts them; here it is seen that this is all there is to type.
    assert tutorial_text.read(PAGES[0]).blocks["sh"] == ["make env", "docker compose up --build"]
    if shutil.which("docker") is None:
        pytest.skip("no docker on this machine")
    listed = subprocess.run(
        ["docker", "compose", "config", "--services"],
        cwd=DOCS.parent,
        capture_output=True,
        text=True,
    )
    if "is not a docker command" in listed.stderr:
        pytest.skip("no docker compose on this machine")
    assert {"mlflow", "trainer", MODEL} <= set(listed.stdout.split()), listed.stderr


def powershell_lines() -> list[str]:
    return tutorial_text.read(PAGES[0]).blocks["powershell"]


def test_powershell_lines_ask_for_what_is_answered(walk: Walk) -> None:
    # Its single-quoted strings are the shell's, so that what it would send can be told.
    for line in powershell_lines():
        program, *arguments = shlex.split(walk.here(line))
        if program == "curl.exe":
            command = " ".join(["curl", "--fail", *map(shlex.quote, arguments)])
            assert walk.terminal.type_in(command)[0] == 0
        else:
            assert program == "Invoke-RestMethod"
            url, *options = arguments
            given = dict(zip(options[::2], options[1::2], strict=True))
            answer = requests.request(
                given["-Method"].upper(),
                url,
                data=given["-Body"].encode(),
                headers={"Content-Type": given["-ContentType"]},
                timeout=PATIENCE,
            )
            assert answer.status_code == 200
            assert answer.json()["predictions"]


def test_powershell_runs_its_lines(walk: Walk) -> None:
    pwsh = shutil.which("pwsh")
    if pwsh is None:
        pytest.skip("no PowerShell on this machine; the test above sends what its lines say")
    for line in powershell_lines():
        done = subprocess.run([pwsh, "-NoProfile", "-Command", walk.here(line)], check=False)
        assert done.returncode == 0, line


def test_requests_of_the_editors_file_are_answered(walk: Walk) -> None:
    variables = dict[str, str]()
    asked = 0
    for block in re.split(r"^###.*$", (DOCS / "requests.http").read_text("utf-8"), flags=re.M):
        lines = re.sub(r"^#.*$", "", block, flags=re.M).strip().splitlines()
        while lines and lines[0].startswith("@"):
            name, value = lines.pop(0).removeprefix("@").split(" = ")
            variables[name] = walk.here(value)
        text = re.sub(r"\{\{(\w+)\}\}", lambda found: variables[found[1]], "\n".join(lines))
        if not text.strip():
            continue
        head, _, body = text.partition("\n\n")
        first, *fields = head.splitlines()
        method, url = first.split(" ", 1)
        headers = dict(line.split(": ", 1) for line in fields)
        answer = requests.request(
            method, url, headers=headers, data=body.encode(), timeout=PATIENCE
        )
        assert answer.status_code == 200, text
        if url.endswith("/invocations") and headers["Content-Type"].startswith("text/csv"):
            table = ";" in body
            assert len(answer.json()["predictions"]) == len(body.splitlines()) - table, text
        asked += 1
    assert asked == 7


def test_ctrl_c_stops_it_all(walk: Walk) -> None:
    walk.stack.stop(signal.SIGINT)
    assert walk.stack.processes() == []
