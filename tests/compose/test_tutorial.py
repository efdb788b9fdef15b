"""The tutorial with Docker: started in containers, the rest typed on the host as the page says.

Once what it says for a shell of Linux, and once what it says for PowerShell, where the trainer's
commands run in its container, told to a shell of Linux.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.compose.conftest import Images
from tests.compose.stack import Stack, this_machine
from tests.e2e import tutorial_text
from tests.e2e.stack import Servers
from tests.e2e.tutorial_text import Command, Section, Step
from tests.e2e.tutorial_walk import PAGES, SECTIONS, Walk, alias, first_block, new_reader
from tests.support.powershell import in_bash

pytestmark = pytest.mark.slow

TRAINER = ("10/10 ", "melhor: ")
"""What its lines begin with in the page, where `make run` prints others, too."""


@pytest.fixture(scope="module", params=["sh", "powershell"])
def way(request: pytest.FixtureRequest) -> str:
    """Which of the page's blocks are typed."""
    return str(request.param)


@pytest.fixture(scope="module")
def stack(way: str, new_stack: Callable[..., Stack]) -> Iterator[Stack]:  # noqa: ARG001
    """What is started in the reader's clone."""
    one = new_stack()
    yield one
    one.forget()


@pytest.fixture(scope="module")
def walk(
    way: str,
    images: Images,
    built: None,  # noqa: ARG001
    stack: Stack,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Walk]:
    """The reader, after the tutorial's first commands."""
    # What stands in the `.env` of a reader who has other ports, or no registry of images.
    settings = {
        **stack.settings,
        "COMPOSE_PROJECT_NAME": stack.project,
        "COMPOSE_FILE": ":".join(file.name for file in images.files),
        "COMPOSE_ENV_FILES": ",".join([".env", *map(str, images.env_files[1:])]),
    }
    ports = Servers(int(stack.settings["MLFLOW_PORT"]), int(stack.settings["SERVE_PORT"]))
    folder = tmp_path_factory.mktemp("tutorial")
    # Where the trainer's container reaches it, too.
    with new_reader(folder, ports, settings, git_at=this_machine()) as reader:
        if way == "powershell":
            # Docker Desktop lets containers write where their user may; here they are another one.
            reader.clone.chmod(0o777)
            start = "\n".join(first_block().powershell.splitlines()[2:])
        else:
            (start,) = tutorial_text.read(PAGES[0]).instead
        code, reader.started = reader.terminal.type_in(start)
        assert code == 0, reader.started
        yield reader


def typed(step: Step, way: str) -> Step:
    """What is typed at a step, and what is to be read then."""
    if not isinstance(step, Command) or way == "sh":
        return step
    # What is not of the trainer is shown in another form there, or is another request.
    shown = step.shown if "treinador" in step.powershell else ()
    return replace(step, text=in_bash(step.powershell), shown=shown)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.heading)
def test_section_says_what_happens(walk: Walk, stack: Stack, way: str, section: Section) -> None:
    for step in section.steps:
        if isinstance(step, Command) and step == first_block():
            shown = [f"…{line}" for line in step.shown if line.startswith(TRAINER)]
            assert len(shown) == len(TRAINER)
            assert tutorial_text.missing_line(tuple(shown), walk.started) is None, walk.started
            stack.wait_answering()
        else:
            walk.do(typed(step, way))


def test_next_time_all_is_as_it_was(walk: Walk, stack: Stack) -> None:
    versions = walk.servers.versions()
    for line in ("docker compose down", "docker compose up --detach"):
        code, printed = walk.terminal.type_in(line)
        assert code == 0, printed
    stack.wait_answering()
    assert stack.classify("senhor dos aneis") == "livro"
    assert walk.servers.versions() == versions
    assert alias(walk) == "4"


def test_from_the_beginning_again(walk: Walk, way: str) -> None:
    reset = {
        "sh": "make reset VERSION=1 FORCE=yes",
        "powershell": "docker compose run --rm trainer python reset.py --yes",
    }
    code, printed = walk.terminal.type_in(reset[way])
    assert code == 0, printed
    (version,) = walk.servers.versions()
    assert (version["version"], version["current_stage"]) == ("1", "Production")
