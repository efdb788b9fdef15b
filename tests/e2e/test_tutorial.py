"""The tutorial, walked from its first line to its last: what it says to type is typed.

The Portuguese one is walked, in Portuguese; the English one has the same blocks, and answers with
the same figures. `make pictures` takes
its pictures again.
"""

import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from mlflow import MlflowClient
from PIL import Image

from tests.e2e import pictures, tutorial_text
from tests.e2e.conftest import free_port
from tests.e2e.hotserve_process import PATIENCE
from tests.e2e.stack import Servers, Stack, make_run
from tests.e2e.tutorial_text import Command, Section
from tests.e2e.tutorial_walk import DOCS, MODEL, PAGES, SECTIONS, Walk, alias, new_reader
from tests.support.commands import completed


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    folder = tmp_path_factory.mktemp("tutorial")
    with new_reader(folder, Servers(free_port(), free_port()), {}) as made:
        yield made


@pytest.fixture(scope="module")
def stack(reader: Walk) -> Iterator[Stack]:
    """`make run` in the reader's clone, ready."""
    output = reader.clone.parent / "output"
    ports = {"MLFLOW_PORT": reader.servers.mlflow_port, "SERVE_PORT": reader.servers.serve_port}
    with make_run(
        reader.clone / ".stack", output, folder=reader.clone, **ports, LINGUA="pt"
    ) as started:
        started.wait_until_ready()
        reader.started = started.printed()
        yield started


@pytest.fixture(scope="module")
def walk(reader: Walk, stack: Stack) -> Walk:  # noqa: ARG001
    """The reader, after the tutorial's first commands."""
    return reader


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.heading)
def test_section_says_what_happens(walk: Walk, section: Section) -> None:
    for step in section.steps:
        walk.do(step)


def test_stage_and_alias_agree_at_the_end(walk: Walk) -> None:
    assert alias(walk) == "4"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_comparison_is_kept_where_the_page_says(walk: Walk, page: Path) -> None:
    (told,) = re.findall(r"^`comparadas\.csv` .*?\n\n", page.read_text("utf-8"), re.M | re.S)
    name = re.findall(r"experiment\w* `([\w-]+)`", told)[0]
    client = MlflowClient(walk.servers.mlflow_url)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None, name
    newest, *_ = client.search_runs([experiment.experiment_id], max_results=1)
    kept = {file.path for file in client.list_artifacts(newest.info.run_id, "comparison")}
    assert {"comparison/differences.csv", "comparison/differences.png"} <= kept


def figures(command: Command) -> list[list[str]]:
    """What an answer shows in whatever language, line by line: numbers, and the lines hidden."""
    return [re.findall(r"\d[\d.,]*|…", line) for line in command.shown]


def test_languages_have_the_same_steps() -> None:
    portuguese, english = map(tutorial_text.read, PAGES)
    for one, other in zip(portuguese.steps(), english.steps(), strict=True):
        if isinstance(one, Command):
            assert isinstance(other, Command)
            assert (one.text, one.powershell) == (other.text, other.powershell)
            assert one.code == other.code
            assert figures(one) == figures(other)
        else:
            assert one == other
    assert [len(s.steps) for s in portuguese.sections] == [len(s.steps) for s in english.sections]
    assert portuguese.blocks == english.blocks
    assert portuguese.instead == english.instead
    assert portuguese.pictures == english.pictures


@pytest.mark.parametrize("name", tutorial_text.read(PAGES[0]).pictures)
def test_picture_is_there_and_small(name: str) -> None:
    picture = DOCS / name
    assert picture.stat().st_size < 150_000
    with Image.open(picture) as opened:
        assert opened.width == pictures.WIDTH


def test_containers_are_started_with_the_services_that_the_page_means() -> None:
    # tests/compose starts them; here it is seen that this is all there is to type.
    (instead,) = tutorial_text.read(PAGES[0]).instead
    assert instead.splitlines() == [
        "make env",
        "docker compose up --build --detach",
        "docker compose logs --follow trainer",
    ]
    if shutil.which("docker") is None:
        pytest.skip("no docker on this machine")
    listed = completed(["docker", "compose", "config", "--services"], cwd=DOCS.parent)
    if "is not a docker command" in listed.stderr:
        pytest.skip("no docker compose on this machine")
    assert {"mlflow", "trainer", MODEL} <= set(listed.stdout.split()), listed.stderr


def test_line_that_is_taken_apart_is_the_one_that_serves() -> None:
    (line,) = tutorial_text.read(PAGES[0]).blocks["text"]
    compose = (DOCS.parent / "compose.yml").read_text("utf-8")
    assert line in re.sub(r"\s+", " ", compose)
    parts = [re.findall(r"^\| `([^`]+)` \|", page.read_text("utf-8"), re.M) for page in PAGES]
    assert [" ".join(each) for each in parts] == [line, line]


def lines_that_ask_the_api() -> list[str]:
    blocks = tutorial_text.read(PAGES[0]).powershell
    asking = re.compile("curl.exe|Invoke-RestMethod")
    return [line for block in blocks for line in block.splitlines() if asking.match(line)]


def test_powershell_lines_ask_for_what_is_answered(walk: Walk) -> None:
    # Its single-quoted strings are the shell's, so that what it would send can be told.
    for line in lines_that_ask_the_api():
        program, *arguments = shlex.split(walk.here(line))
        if program == "curl.exe":
            command = " ".join(["curl", "--fail", *map(shlex.quote, arguments)])
            assert walk.terminal.type_in(command)[0] == 0
        else:
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
    for line in lines_that_ask_the_api():
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


def test_ctrl_c_stops_it_all(stack: Stack) -> None:
    stack.stop(signal.SIGINT)
    assert stack.processes() == []
