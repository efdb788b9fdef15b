"""Second starts, restarts, crashes: the same data, and an API that goes on."""

from collections.abc import Iterator
from functools import partial

import pytest

from tests.compose.stack import JOBS, SERVERS, Stack, wait_until
from tests.compose.traffic import Traffic, traffic

BEHIND_THE_API = ("mlflow", "db", "s3")


def _started_again(stack: Stack, service: str, before: str) -> bool:
    return bool(stack.state(service)["StartedAt"] != before)


@pytest.fixture
def requests_go_on(stack: Stack) -> Iterator[Traffic]:
    """Requests to the API all through the test, none of which may fail."""
    with traffic(stack.classify) as seen:
        wait_until(lambda: seen.good > 5, "the first answers")
        yield seen
        before = seen.good
        wait_until(lambda: seen.good > before + 5 or seen.bad, "the last answers")
    assert seen.bad == []


def test_a_second_start_finds_everything_and_trains_nothing(stack: Stack) -> None:
    before = sorted(run["info"]["run_id"] for run in stack.runs())
    stack.compose("down")
    stack.compose("up", "--detach")
    stack.wait_trained()
    stack.wait_healthy()

    assert "nothing to train" in stack.logs("trainer")
    assert "is there already" in stack.logs("create_s3_buckets")
    assert sorted(run["info"]["run_id"] for run in stack.runs()) == before
    assert len(stack.versions()) == 1
    assert stack.classify() == "brinquedo"
    assert {n: stack.state(n)["RestartCount"] for n in SERVERS} == dict.fromkeys(SERVERS, 0)


def test_up_while_everything_runs_changes_nothing(stack: Stack) -> None:
    before = {service: stack.container(service) for service in SERVERS}
    stack.compose("up", "--detach")
    stack.wait_trained()
    assert {service: stack.container(service) for service in SERVERS} == before
    assert all(stack.state(job)["ExitCode"] == 0 for job in JOBS)


def test_everyday_commands_build_nothing_and_ask_no_registry(stack: Stack) -> None:
    """The images are there: what they were made from may be out of reach, or another by now."""
    before = {service: stack.container(service) for service in SERVERS}
    away = dict.fromkeys(("PYTHON_IMAGE", "S3_IMAGE"), "registry.invalid/gone:1")
    stack.compose("up", "--detach", settings=away)
    stack.compose("run", "--rm", "-T", "trainer", "mlflow", "--version", settings=away)
    stack.compose("run", "--rm", "-T", "batch", "--help", settings=away)
    assert {service: stack.container(service) for service in SERVERS} == before


def test_what_a_killed_server_left_on_the_disk_is_removed(stack: Stack) -> None:
    left = "touch -d '2 days ago' /tmp/left; touch /tmp/under-way"
    stack.compose("exec", "-T", "mlflow", "sh", "-c", left)
    stack.compose("restart", "mlflow")
    stack.wait_healthy("mlflow")
    assert stack.compose("exec", "-T", "mlflow", "ls", "/tmp").split() == ["under-way"]


@pytest.mark.parametrize("service", BEHIND_THE_API)
def test_a_restart_behind_the_api_fails_no_request(
    stack: Stack, requests_go_on: Traffic, service: str
) -> None:
    stack.compose("restart", service)
    stack.wait_healthy(service)
    assert requests_go_on.bad == []


@pytest.mark.parametrize("service", BEHIND_THE_API)
def test_a_crash_behind_the_api_fails_no_request_and_mends_itself(
    stack: Stack, requests_go_on: Traffic, service: str
) -> None:
    started = stack.state(service)["StartedAt"]
    stack.kill_9(service)
    wait_until(partial(_started_again, stack, service, started), f"{service} to start again")
    stack.wait_healthy(service)
    assert requests_go_on.bad == []


def test_the_api_comes_back_after_a_crash(stack: Stack) -> None:
    started = stack.state("classificador-produtos")["StartedAt"]
    stack.kill_9("classificador-produtos")
    wait_until(partial(_started_again, stack, "classificador-produtos", started), "a new start")
    stack.wait_answering()
    assert stack.classify() == "brinquedo"


def test_the_api_restarts_from_its_own_copy_while_all_else_is_away(stack: Stack) -> None:
    stack.compose("stop", *BEHIND_THE_API)
    stack.compose("restart", "classificador-produtos")
    stack.wait_answering()
    assert stack.classify() == "brinquedo"

    stack.compose("up", "--detach")
    stack.wait_trained()
    stack.wait_healthy()
    assert len(stack.versions()) == 1


def test_after_a_power_cut_everything_comes_back_by_itself(stack: Stack) -> None:
    """All at once and in no order: Compose is not there to wait for one before the other."""
    started = {service: stack.state(service)["StartedAt"] for service in SERVERS}
    for service in SERVERS:
        stack.kill_9(service)
    for service in SERVERS:
        wait_until(partial(_started_again, stack, service, started[service]), service)
    stack.wait_healthy()
    assert stack.classify() == "brinquedo"
    assert [v["current_stage"] for v in stack.versions()] == ["Production"]


def test_after_all_that_the_data_are_whole(stack: Stack) -> None:
    assert stack.sql("SELECT status, COUNT(*) FROM runs GROUP BY status") == "FINISHED\t11"
    model = stack.versions()[0]
    listing = stack.compose(
        *("run", "--rm", "--no-deps", "-T", "trainer", "mlflow", "artifacts", "list"),
        *("--run-id", model["run_id"]),
    )
    assert listing
