"""Faults of the API itself: what they cost, and that it mends itself."""

import os

import pytest

from tests.compose.faults import API, PAGE, Faults, rows_of_page
from tests.compose.stack import wait_until
from tests.compose.test_faults_registry import CASES as CASES_BEHIND

pytestmark = [
    pytest.mark.slow,
    # Caddy's authority is its own here.
    pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning"),
]

WORKER, PROCESS, MANAGER = "front worker", "model's process", "manager"
COMMANDS = {
    WORKER: "hotserve.worker.main",
    PROCESS: "scoring_server",
    MANAGER: "hotserve mlflow models serve",
}
SIGNALS = {"stopped": "TERM", "killed": "KILL", "frozen": "STOP"}
CHILDREN = [(part, fault) for part in (PROCESS, WORKER) for fault in SIGNALS]
ENDS = [(MANAGER, fault) for fault in ("stopped", "killed")]
OF_THE_CONTAINER = [("API", fault) for fault in ("slow network", "disk full", "clock moved")]
OF_CADDY = [
    ("Caddy", fault) for fault in ("stopped", "killed", "frozen", "slow network", "disk full")
]
CASES = [*CHILDREN, *ENDS, (MANAGER, "frozen"), *OF_THE_CONTAINER, *OF_CADDY]


@pytest.mark.parametrize(("part", "fault"), CHILDREN)
def test_a_child_is_replaced_and_costs_what_it_held(faults: Faults, part: str, fault: str) -> None:
    before = faults.processes(COMMANDS[part])
    with faults.case(part, fault, is_crash=True) as case:
        faults.send(SIGNALS[fault], before[0])
        wait_until(lambda: before[0] not in faults.processes(COMMANDS[part]), f"the {part} to end")
    assert case.lost == []
    assert len(case.failed) <= faults.users.at_once(part == PROCESS), case.failed
    assert case.refused == 0


@pytest.mark.parametrize(("part", "fault"), ENDS)
def test_the_manager_ends_with_everything_and_the_container_starts_again(
    faults: Faults, part: str, fault: str
) -> None:
    before = faults.stack.state(API)["StartedAt"]
    with faults.case(part, fault, is_crash=True) as case:
        faults.send(SIGNALS[fault], *faults.processes(COMMANDS[part]))
        wait_until(lambda: faults.stack.state(API)["StartedAt"] != before, "a new start")
    # Caddy holds what comes meanwhile; its client sends one request at a time.
    assert sum(line.startswith("https:") for line in case.failed) <= 1, case.failed
    assert case.lost == []
    assert case.refused == 0
    faults.stack.wait_healthy(API)


def test_without_the_manager_workers_go_on(faults: Faults) -> None:
    pids = faults.processes(COMMANDS[MANAGER])
    with faults.case(MANAGER, "frozen") as case:
        faults.send("STOP", *pids)
        faults.lasts()
        faults.send("CONT", *pids)
    assert (case.failed, case.lost, case.refused) == ([], [], 0)


@pytest.mark.parametrize(("part", "fault"), OF_THE_CONTAINER)
def test_a_fault_of_the_container_fails_no_request(faults: Faults, part: str, fault: str) -> None:
    faults.require(fault)
    with faults.case(part, fault) as case, faults.while_it_is(fault, API):
        faults.lasts()
    assert (case.failed, case.lost, case.refused) == ([], [], 0)


@pytest.mark.parametrize(("part", "fault"), OF_CADDY)
def test_only_those_who_come_through_caddy_notice_it(faults: Faults, part: str, fault: str) -> None:
    faults.require(fault)
    with faults.case(part, fault, is_crash=fault == "killed") as case:
        if fault == "killed":
            faults.kill("caddy")
        else:
            with faults.while_it_is(fault, "caddy"):
                faults.lasts()
    assert all(line.startswith("https:") for line in case.failed), case.failed
    assert (case.lost, case.refused) == ([], 0)


def test_the_page_has_a_row_for_every_case() -> None:
    if os.environ.get("UPDATE_RELIABILITY"):
        pytest.skip("it is written by this run")
    assert list(rows_of_page()) == [*CASES_BEHIND, *CASES], PAGE
