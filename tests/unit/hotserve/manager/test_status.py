"""The contents of `/model`."""

from collections.abc import Callable

import pytest

from hotserve.config.model_uri import parse
from hotserve.manager import status as status_module
from hotserve.manager.registry import ModelVersion
from hotserve.manager.status import Status, title
from hotserve.redaction import Redactor
from tests.unit.hotserve.manager.samples import version

FIRST, SECOND = version("1"), version("2")


class Published(Status):
    """Counts how often it was published."""

    times = 0

    def __init__(self, uri: str = "models:/produtos/Production") -> None:
        def changed() -> None:
            self.times += 1

        super().__init__(parse(uri), Redactor(["/home/somebody"]), changed)

    @property
    def state(self) -> object:
        return self.to_json()["state"]

    @property
    def message(self) -> object:
        return self.to_json()["message"]


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the clock shows, in a list that a test may change."""
    shown = ["2026-11-25T10:00:00Z"]
    monkeypatch.setattr(status_module, "now", lambda: shown[0])
    return shown


def test_the_clock_is_utc() -> None:
    assert len(status_module.now()) == len("2026-11-25T10:00:00Z")
    assert status_module.now().endswith("Z")


def test_before_anything() -> None:
    status = Published()
    assert status.to_json() == {
        "name": "produtos",
        "uri": "models:/produtos/Production",
        "state": "waiting",
        "message": "hotserve has just begun",
        **dict.fromkeys(("version", "stage", "run_id", "model_id", "metrics", "since", "lane")),
        **dict.fromkeys(("batching", "process", "note", "wanted", "last_error", "registry")),
        **dict.fromkeys(("signature", "compared")),
        "aliases": [],
        "columns": [],
        "expected": None,
        "seen": None,
        "switches": [],
        "restarts": 0,
    }


def test_from_one_version_to_the_next(moment: list[str]) -> None:
    status = Published()
    status.starting(FIRST)
    assert status.to_json()["wanted"] == {
        "version": "1",
        "state": "starting",
        "step": "fetch",
        "since": moment[0],
    }
    moment.append(moment[0])
    moment[0] = "2026-11-25T10:30:00Z"
    status.step("start")
    assert status.to_json()["wanted"]["step"] == "start"
    assert status.to_json()["wanted"]["since"] == moment[1]
    moment[0] = moment.pop()
    assert (status.state, status.message) == ("starting", "produtos version 1 is starting")
    status.serving(FIRST, 7.04)
    shown = status.to_json()
    assert (shown["state"], shown["message"], shown["wanted"]) == ("serving", None, None)
    assert shown["since"] == moment[0]
    status.starting(SECOND)
    assert (status.state, status.message) == ("serving", None)
    moment[0] = "2026-11-25T11:00:00Z"
    status.serving(SECOND, 13.06)
    assert status.to_json()["since"] == moment[0]
    assert status.to_json()["switches"] == [
        {"at": "2026-11-25T10:00:00Z", "from": None, "to": "1", "seconds": 7.0},
        {"at": "2026-11-25T11:00:00Z", "from": "1", "to": "2", "seconds": 13.1},
    ]
    assert status.switches == 2


def test_its_lane_answers_first_and_its_process_later() -> None:
    status = Published()
    status.serving_by_lane(FIRST, 0.2)
    assert (status.state, status.message) == (
        "starting",
        "the process of produtos version 1 is starting",
    )
    status.serving(FIRST, 9.0)
    assert (status.state, status.switches) == ("serving", 1)


def test_a_process_that_sleeps(moment: list[str]) -> None:
    status = Published()
    status.starting(FIRST)
    status.serving(FIRST, 1.0)
    since = moment[0]
    assert status.to_json()["process"] == {"state": "running", "since": since, "wakes": 0}
    moment[0] = "2026-11-25T11:00:00Z"
    status.serving(FIRST, 1.0)
    assert status.to_json()["process"]["since"] == since
    status.asleep()
    assert status.to_json()["process"] == {"state": "asleep", "since": moment[0], "wakes": 0}
    # The lane answers, and nothing is wrong.
    assert (status.state, status.message) == ("serving", None)
    for wakes in (1, 2):
        status.waking()
        assert (status.to_json()["process"]["state"], status.state) == ("starting", "serving")
        status.process_is_back()
        assert status.to_json()["process"]["wakes"] == wakes
        assert status.to_json()["process"]["state"] == "running"


def test_the_last_ten_switches() -> None:
    status = Published()
    for number in range(12):
        status.serving(version(str(number)), 1.0)
    assert [each["to"] for each in status.to_json()["switches"]] == [*"23456789", "10", "11"]
    assert status.switches == 12


def test_a_version_that_would_not_start(moment: list[str]) -> None:
    status = Published()
    status.failed(FIRST, "no files")
    assert status.message == "produtos version 1 would not start: no files"
    status.serving(SECOND, 1.0)
    status.failed(FIRST, "no files")
    shown = status.to_json()
    assert (shown["state"], shown["message"]) == ("serving", None)
    failed = {"version": "1", "state": "failed", "step": None, "since": moment[0]}
    assert shown["wanted"] == failed
    status.step("start")
    assert status.to_json()["wanted"] == failed, "that is a step of another version"
    assert shown["last_error"] == {"at": moment[0], "version": "1", "message": "no files"}
    assert status.failed_starts == 2
    status.not_started(FIRST, "another is back")
    assert status.to_json()["last_error"]["message"] == "another is back"
    assert status.failed_starts == 2
    status.nothing_is_starting()
    assert status.to_json()["wanted"] is None
    status.step("start")
    assert status.to_json()["wanted"] is None
    status.starting(SECOND)
    status.step("compare")
    status.failed(SECOND, "SIGKILL")
    assert status.to_json()["wanted"]["step"] == "compare"


def test_a_process_that_ended() -> None:
    status = Published()
    status.serving(FIRST, 1.0)
    status.restarting(FIRST, "SIGKILL")
    shown = status.to_json()
    assert (shown["state"], shown["restarts"]) == ("restarting", 1)
    assert shown["message"] == "produtos version 1 is being started again: SIGKILL"
    assert (shown["last_error"]["version"], shown["last_error"]["message"]) == ("1", "SIGKILL")
    assert shown["process"]["state"] == "starting"
    status.process_is_back()
    assert (status.state, status.message) == ("serving", None)


def test_the_registry(moment: list[str]) -> None:
    status = Published()
    status.registry(None)
    before = moment[0]
    moment[0] = "2026-11-25T11:00:00Z"
    status.registry(None)
    assert status.to_json()["registry"] == {"reachable": True, "error": None, "since": before}
    status.registry("away")
    status.registry("away")
    assert status.to_json()["registry"] == {
        "reachable": False,
        "error": "away",
        "since": moment[0],
    }
    assert status.times == 2


def test_every_change_is_published() -> None:
    status = Published()
    steps: tuple[Callable[[], None], ...] = (
        lambda: status.starting(FIRST),
        lambda: status.failed(FIRST, "x"),
        lambda: status.not_started(FIRST, "y"),
        lambda: status.serving_by_lane(FIRST, 1.0),
        lambda: status.serving(FIRST, 1.0),
        lambda: status.restarting(FIRST, "z"),
        lambda: status.process_is_back(),
        lambda: status.starting(SECOND),
        lambda: status.step("start"),
        lambda: status.nothing_is_starting(),
        lambda: status.note("n"),
        lambda: status.compared({"version": "2", "why": "no /home/somebody/x"}),
        lambda: status.note(None),
        lambda: status.waiting("w"),
    )
    for step in steps:
        before = status.times
        step()
        assert status.times == before + 1
    assert status.to_json()["compared"] == {"version": "2", "why": "no …"}


@pytest.mark.parametrize(
    ("uri", "of", "full"),
    [
        ("models:/produtos/Production", FIRST, "produtos version 1 (Production)"),
        ("models:/produtos@b", FIRST, "produtos version 1 (@b)"),
        ("models:/produtos/1", FIRST, "produtos version 1"),
    ],
)
def test_titles(uri: str, of: ModelVersion, full: str) -> None:
    assert Published(uri).full_title(of) == full
    assert title(of) == "produtos version 1"
