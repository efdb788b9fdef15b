"""The tutorial's reader: types what the page says, writes its programs, and clicks what it names.

What is typed to start it all is the test's business: `make run`, or containers.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import requests
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.e2e import pictures, tutorial_text
from tests.e2e.git_repository import Repository, copy_of_a_clone, git
from tests.e2e.git_server import running_git_server
from tests.e2e.hotserve_process import PATIENCE, eventually
from tests.e2e.registry_page import RegistryPage, chromium, go
from tests.e2e.stack import Servers
from tests.e2e.stream import Stream
from tests.e2e.terminal import Terminal
from tests.e2e.tutorial_text import Command, PageStep, Program, Step
from tests.support.commands import ROOT

DOCS = ROOT / "docs"
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
        servers: what is started in the clone that the reader made.
        clone: the reader's folder.
        terminal: the reader's other terminal.
        browser: the reader's.
        replaced: what stands in the tutorial, and what stands for it here.
        started: what the start has printed.
    """

    servers: Servers
    clone: Path
    terminal: Terminal
    browser: Browser
    replaced: dict[str, str]
    started: str = ""

    @cached_property
    def page(self) -> RegistryPage:
        """MLflow's page, in the reader's browser."""
        size = ViewportSize(width=pictures.WIDTH, height=pictures.HEIGHT)
        page = self.browser.new_page(viewport=size, locale="en-US")
        return RegistryPage(page, self.servers.mlflow_url)

    def do(self, step: Step) -> None:
        """Type it, write it, or click it."""
        if isinstance(step, PageStep):
            PAGE_STEPS[step.name](self)
        elif isinstance(step, Program):
            (self.clone / step.name).write_text(step.text, encoding="utf-8")
        else:
            self.type_in(step)

    def here(self, text: str) -> str:
        """A text of the tutorial with the addresses of this machine."""
        for written, real in self.replaced.items():
            text = text.replace(written, real)
        return text

    def type_in(self, command: Command) -> None:
        if command == first_block():
            # It runs in a terminal of its own, since before the first test.
            code, printed = 0, self.started
        else:
            code, printed = self.terminal.type_in(self.here(command.text))
        assert code == command.code, f"{command.text}\n{printed}"
        missing = tutorial_text.missing_line(tuple(map(self.here, command.shown)), printed)
        assert missing is None, f"{command.text}: not printed: {missing}\n{printed}"

    def open_list(self) -> None:
        """Open the list of the runs, by the address that the page gives."""
        self.page.open(self.here(listed_at()))

    @contextmanager
    def page_of_the_api(self, text: str) -> Iterator[Page]:
        """It in a window beside, with a text typed."""
        beside = self.browser.new_page()
        go(beside, self.servers.serve_url)
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
        model = requests.get(f"{self.servers.serve_url}/model", timeout=PATIENCE).json()
        return str(model["version"]) if model["wanted"] is None else ""


@contextmanager
def new_reader(
    folder: Path, servers: Servers, variables: dict[str, str], git_at: str = "127.0.0.1"
) -> Iterator[Walk]:
    """A reader who has made the clone, as the first block of the page says, and started nothing.

    Args:
        folder: for all of the reader's files.
        servers: with the ports that the reader will start them on.
        variables: of the reader's terminal, beside its language.
        git_at: this machine's address for the git server.
    """
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
    variables = variables | {
        "LINGUA": "pt",
        "CURL_HOME": str(folder),
        "TMPDIR": str(folder / "tmp"),
        "GIT_CONFIG_GLOBAL": str(folder / ".gitconfig"),
    }
    with (
        running_git_server(folder / "served", address=git_at) as server,
        chromium() as browser,
        Terminal(folder, variables) as terminal,
    ):
        replaced = {
            HOST: server.url,
            "localhost:5000": f"localhost:{servers.mlflow_port}",
            "localhost:8080": f"localhost:{servers.serve_port}",
            "porta 5000": f"porta {servers.mlflow_port}",
        }
        *before, make_run_line = first_block().text.splitlines()
        assert make_run_line == "make run"
        code, printed = terminal.type_in("\n".join(before).replace(HOST, server.url))
        assert code == 0, printed
        clone = folder / PROJECT
        # The environment that `make` would make there, ready-made.
        (clone / ".venv").symlink_to(DOCS.parent / ".venv")
        yield Walk(servers, clone, terminal, browser, replaced)


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
    telemetry = requests.get(
        f"{walk.servers.mlflow_url}/ajax-api/3.0/mlflow/ui-telemetry", timeout=9
    )
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
    eventually(lambda: len(walk.servers.versions()) == version, f"there is no version {version}")


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
    model = walk.servers.mlflow(f"registered-models/get?name={MODEL}")["registered_model"]
    tags = {tag["key"]: tag["value"] for tag in model["tags"]}
    assert re.fullmatch(r"1@\d+", tags["history.Production"])
    assert {"acuracia_holdout", "sweep_run_id"} <= {
        tag["key"] for tag in walk.servers.versions()[0]["tags"]
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
    assert [v["current_stage"] for v in walk.servers.versions()] == ["Archived", "Production"]
    assert alias(walk) == "1"


def alias(walk: Walk) -> str:
    """The version that @production names: a stage that is moved in the page leaves it behind."""
    model = walk.servers.mlflow(f"registered-models/get?name={MODEL}")["registered_model"]
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
        Stream(walk.servers.serve_url, text) as stream,
        walk.watching_the_api(text, "brinquedo", "livro"),
    ):
        stream.wait_for("2", more=0)
        walk.page.open_version(MODEL, 4)
        walk.page.move_to("Production", current="Staging")
        walk.page.open_version(MODEL, 2)
        walk.page.move_to("Staging", current="Production")
        stream.wait_for("4", more=0)
        eventually(lambda: walk.answered_by() == "4", "version 4 does not answer alone")
    assert stream.failures == []
    assert stream.late("4") == []
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
