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
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from mlflow import MlflowClient
from PIL import Image
from playwright.sync_api import Page, expect

from tests.e2e import pictures, tutorial_text
from tests.e2e.conftest import free_port
from tests.e2e.git_repository import Repository, copy_of_a_clone, git
from tests.e2e.git_server import running_git_server
from tests.e2e.hotserve_process import PATIENCE, eventually
from tests.e2e.registry_page import RegistryPage, chromium
from tests.e2e.stack import Stack, make_run
from tests.e2e.stream import Stream
from tests.e2e.terminal import Terminal
from tests.e2e.tutorial_text import Command, PageStep, Program, Section

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = [DOCS / "tutorial.pt-BR.md", DOCS / "tutorial.md"]
PROJECT = "classificador-de-produtos"
HOST = "https://gitlab.example.org"
FRESH = "classificador-produtos.git"
"""The reader's project in GitLab."""

MODEL = "classificador-produtos"
FIGURES = ("acuracia", "acuracia_holdout")


@dataclass
class Walk:
    """A reader half-way through the tutorial.

    Attributes:
        stack: what `make run` started, in the clone that the reader made.
        clone: the reader's folder.
        terminal: the reader's other terminal.
        page: MLflow's page, in the reader's browser.
        replaced: what stands in the tutorial, and what stands for it here.
    """

    stack: Stack
    clone: Path
    terminal: Terminal
    page: RegistryPage
    replaced: dict[str, str]

    def here(self, text: str) -> str:
        """A text of the tutorial with the addresses of this machine."""
        for written, real in self.replaced.items():
            text = text.replace(written, real)
        return text

    def type_in(self, command: Command) -> None:
        if command == first_block():
            # It runs in a terminal of its own, since before the first test.
            code, printed = 0, self.stack.printed()
        else:
            code, printed = self.terminal.type_in(self.here(command.text))
        assert code == command.code, f"{command.text}\n{printed}"
        missing = tutorial_text.missing_line(tuple(map(self.here, command.shown)), printed)
        assert missing is None, f"{command.text}: not printed: {missing}\n{printed}"

    def write(self, program: Program) -> None:
        (self.clone / program.name).write_text(program.text, encoding="utf-8")

    def open_list(self) -> None:
        """Open the list of the runs, by the address that the page gives."""
        self.page.open(self.here(listed_at()))

    @contextmanager
    def page_of_the_api(self, text: str) -> Iterator[Page]:
        """It in a window beside, with a text typed."""
        browser = self.page.page.context.browser
        assert browser is not None
        beside = browser.new_page()
        beside.goto(self.stack.serve_url)
        beside.get_by_role("textbox").fill(text)
        yield beside
        beside.close()

    @contextmanager
    def watching_the_api(self, text: str, before: str, after: str) -> Iterator[None]:
        """The API's page in a window beside, where the answer for a text changes by itself."""
        with self.page_of_the_api(text) as beside:
            category = beside.locator("#category")
            expect(category).to_have_text(before)
            yield
            expect(category).to_have_text(after)

    def answered_by(self) -> str:
        """The version that answers on its own, all switching done; empty while there is more."""
        model = requests.get(f"{self.stack.serve_url}/model", timeout=PATIENCE).json()
        return str(model["version"]) if model["wanted"] is None else ""


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """The reader's clone, with `make run` in it ready; both are the tutorial's first commands."""
    folder = tmp_path_factory.mktemp("tutorial")
    written = Repository.create(folder / "written", folder / "served" / "livro" / f"{PROJECT}.git")
    copy_of_a_clone(written.folder)
    written.commit_and_push("Classificador de produtos")
    fresh = folder / "served" / "ana" / FRESH
    git("init", "--quiet", "--bare", "--initial-branch", "main", str(fresh), cwd=folder)
    git("config", "http.receivepack", "true", cwd=fresh)
    (folder / "tmp").mkdir()
    (folder / ".curlrc").write_text("silent\nshow-error\n")
    # The test's server takes no body in chunks.
    (folder / ".gitconfig").write_text("[http]\n\tpostBuffer = 100000000\n")
    with ExitStack() as stays:
        server = stays.enter_context(running_git_server(folder / "served"))
        browser = stays.enter_context(chromium())
        clone = folder / PROJECT
        ports = {"MLFLOW_PORT": free_port(), "SERVE_PORT": free_port()}
        language = {"LINGUA": "pt"}
        replaced = {
            HOST: server.url,
            "localhost:5000": f"localhost:{ports['MLFLOW_PORT']}",
            "localhost:8080": f"localhost:{ports['SERVE_PORT']}",
            "porta 5000": f"porta {ports['MLFLOW_PORT']}",
        }
        terminal = stays.enter_context(
            Terminal(
                folder,
                language
                | {
                    "CURL_HOME": str(folder),
                    "TMPDIR": str(folder / "tmp"),
                    "GIT_CONFIG_GLOBAL": str(folder / ".gitconfig"),
                },
            )
        )
        *before, make_run_line = first_block().text.splitlines()
        assert make_run_line == "make run"
        code, printed = terminal.type_in("\n".join(before).replace(HOST, server.url))
        assert code == 0, printed
        # The environment that `make run` would make there, ready-made.
        (clone / ".venv").symlink_to(DOCS.parent / ".venv")
        stack = stays.enter_context(
            make_run(clone / ".stack", folder / "output", folder=clone, **ports, **language)
        )
        stack.wait_until_ready()
        page = browser.new_page(
            viewport={"width": pictures.WIDTH, "height": pictures.HEIGHT}, locale="en-US"
        )
        yield Walk(stack, clone, terminal, RegistryPage(page, stack.mlflow_url), replaced)


def first_block() -> Command:
    """What is typed before the browser is opened; its last line is `make run`."""
    return next(s for s in tutorial_text.read(PAGES[0]).steps() if isinstance(s, Command))


def listed_at() -> str:
    """The address that the page gives for the list of the runs."""
    addresses = [re.findall(r"^<(http\S+)>", page.read_text("utf-8"), re.M) for page in PAGES]
    (address,) = addresses[0]
    assert addresses[1] == [address]
    return str(address)


def compare(walk: Walk) -> None:
    walk.open_list()

    def is_sorted() -> bool:
        shown = walk.page.figures("acuracia_holdout")
        return len(shown) == 10 and shown == sorted(shown, reverse=True)

    eventually(is_sorted, "there are no ten runs, or the best one is not at the top")
    for name in ("test_size", "include_names", *FIGURES, "Version"):
        header = walk.page.page.locator(f"[role=columnheader][col-id$='`{name}`']")
        expect(header).to_be_in_viewport(ratio=1)
    assert set(walk.page.column("include_names")) == {"sim", "'não'"}
    names = walk.page.page.locator("a[href*='/runs/']").all_inner_texts()
    assert len({name[:12] for name in names}) == 10
    pictures.take(walk.page.page, "runs")
    commits = walk.page.page.locator("[role=gridcell][col-id$='`Version`']").all_inner_texts()
    pushed = git("rev-parse", "main", cwd=walk.clone.parent / "served" / "ana" / FRESH)
    assert all(pushed.startswith(commit.strip()[:6]) for commit in commits), commits
    telemetry = requests.get(f"{walk.stack.mlflow_url}/ajax-api/3.0/mlflow/ui-telemetry", timeout=9)
    assert telemetry.json()["disable_ui_telemetry"] is True


def chart(walk: Walk) -> None:
    walk.page.compare_all()
    expect(walk.page.page.get_by_role("heading", name="Comparing 10 Runs")).to_be_visible()
    expect(walk.page.page.get_by_role("tab", name="Parallel Coordinates Plot")).to_be_visible()
    axes = walk.page.page.locator("svg text")
    for name in ("include_names", "test_size", "acuracia"):
        expect(axes.filter(has_text=name).first).to_be_visible()
    pictures.take(walk.page.page, "parallel")


def register(walk: Walk, run: str, version: int) -> None:
    walk.open_list()
    walk.page.open_model_of_run(run)
    walk.page.register_as_version_of(MODEL)
    eventually(lambda: len(walk.stack.versions()) == version, f"there is no version {version}")


def register_best(walk: Walk) -> None:
    walk.open_list()
    walk.page.open_model_of_run("0.1 sim não")
    walk.page.start_registering()
    expect(walk.page.page.locator("[class*=select-dropdown]").first).to_be_visible()
    pictures.take(walk.page.page, "register")
    walk.page.page.keyboard.press("Escape")
    register(walk, "0.1 sim não", 2)
    expect(walk.page.open_model(MODEL)).to_have_count(2)
    pictures.take(walk.page.page, "versions")
    model = walk.stack.mlflow(f"registered-models/get?name={MODEL}")["registered_model"]
    tags = {tag["key"]: tag["value"] for tag in model["tags"]}
    assert re.fullmatch(r"1@\d+", tags["history.Production"])
    assert {"acuracia_holdout", "sweep_run_id"} <= {
        tag["key"] for tag in walk.stack.versions()[0]["tags"]
    }


def promote(walk: Walk) -> None:
    with walk.watching_the_api("senhor dos aneis", "livro", "brinquedo"):
        walk.page.open_version(MODEL, 2)
        # What the page warns of: it is there, and it is blue.
        expect(walk.page.page.get_by_role("button", name="Promote model")).to_be_visible()
        walk.page.show_stages()
        dialog = walk.page.start_moving_to("Production")
        dialog.get_by_role("checkbox").check()
        pictures.take(walk.page.page, "promote")
        dialog.get_by_role("button", name="OK").click()
        expect(dialog).to_be_hidden()
        eventually(lambda: walk.answered_by() == "2", "version 2 does not answer")
    assert [v["current_stage"] for v in walk.stack.versions()] == ["Archived", "Production"]
    assert alias(walk) == "1"


def alias(walk: Walk) -> str:
    """The version that @production names: a stage that is moved in the page leaves it behind."""
    model = walk.stack.mlflow(f"registered-models/get?name={MODEL}")["registered_model"]
    return next(str(a["version"]) for a in model["aliases"] if a["alias"] == "production")


def register_quarter(walk: Walk) -> None:
    walk.open_list()
    eventually(lambda: len(walk.page.figures("acuracia_holdout")) == 16, "there are no 16 runs")
    register(walk, "0.25 sim sim", 3)


def register_accents(walk: Walk) -> None:
    assert walk.answered_by() == "2"
    register(walk, "0.1 sim sim", 4)
    walk.page.open_version(MODEL, 4)
    walk.page.move_to("Staging")


def side_by_side(walk: Walk) -> None:
    with walk.page_of_the_api("senhor dos aneis") as page:
        for stage, version, category in (("Production", 2, "brinquedo"), ("Staging", 4, "livro")):
            block = page.get_by_role("region", name=f"{stage} · Version {version}")
            expect(block.locator(".category")).to_have_text(category)
            expect(block.locator("li.for", has_text="aneis")).to_be_visible()


def exchange(walk: Walk) -> None:
    text = "senhor dos aneis"
    with (
        Stream("127.0.0.1", walk.stack.serve_port, text) as stream,
        walk.watching_the_api(text, "brinquedo", "livro"),
    ):
        eventually(lambda: stream.answers, "no answers of version 2")
        walk.page.open_version(MODEL, 4)
        walk.page.move_to("Production", current="Staging")
        walk.page.open_version(MODEL, 2)
        walk.page.move_to("Staging", current="Production")
        eventually(lambda: stream.answers[-1][0] == "4", "no answers of version 4")
        eventually(lambda: walk.answered_by() == "4", "version 4 does not answer alone")
    assert stream.failures == []
    assert set(stream.answers) == {("2", "brinquedo"), ("4", "livro")}
    assert alias(walk) == "1"
    expect(walk.page.open_model(MODEL)).to_have_count(4)
    pictures.take(walk.page.page, "exchanged")


PAGE_STEPS: dict[str, Callable[[Walk], None]] = {
    step.__name__: step
    for step in (
        compare,
        chart,
        register_best,
        promote,
        register_quarter,
        register_accents,
        side_by_side,
        exchange,
    )
}


SECTIONS = [section for section in tutorial_text.read(PAGES[0]).sections if section.steps]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.heading)
def test_section_says_what_happens(walk: Walk, section: Section) -> None:
    for step in section.steps:
        if isinstance(step, PageStep):
            PAGE_STEPS[step.name](walk)
        elif isinstance(step, Program):
            walk.write(step)
        else:
            walk.type_in(step)


def test_stage_and_alias_agree_at_the_end(walk: Walk) -> None:
    assert alias(walk) == "4"


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
    listed = subprocess.run(
        ["docker", "compose", "config", "--services"],
        cwd=DOCS.parent,
        capture_output=True,
        text=True,
    )
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


def test_ctrl_c_stops_it_all(walk: Walk) -> None:
    walk.stack.stop(signal.SIGINT)
    assert walk.stack.processes() == []
