"""A run that was killed with its process is closed by whoever comes next."""

import os
import subprocess
import sys
import time

import pytest
from mlflow import MlflowClient

from produtos.runs import abandoned


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> MlflowClient:
    return MlflowClient(f"sqlite:///{tmp_path_factory.mktemp('runs')}/mlflow.db")


@pytest.fixture(scope="module")
def experiment(client: MlflowClient) -> str:
    return str(client.create_experiment("jobs"))


def ended_process() -> str:
    """The tag of a process that was there."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    seen = abandoned._process(process.pid)
    process.communicate(b"\n")
    assert seen
    return seen


def status(client: MlflowClient, experiment: str, tags: dict[str, str]) -> str:
    run_id = client.create_run(experiment, tags=tags).info.run_id
    abandoned.close_all(client, experiment)
    return str(client.get_run(run_id).info.status)


def test_a_run_of_a_process_that_lives_goes_on(client: MlflowClient, experiment: str) -> None:
    old = {abandoned.HEARTBEAT: str(int(time.time()) - 10 * abandoned.STALE_SECONDS)}
    assert status(client, experiment, abandoned.tags()) == "RUNNING"
    assert status(client, experiment, abandoned.tags() | old) == "RUNNING"


def test_a_run_of_a_process_that_is_gone_was_killed_at_its_last_sign_of_life(
    client: MlflowClient, experiment: str
) -> None:
    tags = abandoned.tags() | {
        abandoned.PROCESS: ended_process(),
        abandoned.HEARTBEAT: "1700000000",
    }
    run_id = client.create_run(experiment, tags=tags).info.run_id
    abandoned.close_all(client, experiment)
    info = client.get_run(run_id).info
    assert (info.status, info.end_time) == ("KILLED", 1_700_000_000_000)


def test_another_process_of_the_same_number_does_not_stand_for_it(
    client: MlflowClient, experiment: str
) -> None:
    tags = abandoned.tags() | {abandoned.PROCESS: f"{os.getpid()} 1"}
    assert status(client, experiment, tags) == "KILLED"


@pytest.mark.parametrize(
    ("unseen", "age", "expected"),
    [
        ({abandoned.HOST: "another"}, abandoned.STALE_SECONDS - 60, "RUNNING"),
        ({abandoned.HOST: "another"}, abandoned.STALE_SECONDS + 60, "KILLED"),
        ({abandoned.PROCESS: ""}, abandoned.STALE_SECONDS - 60, "RUNNING"),
        ({abandoned.PROCESS: ""}, abandoned.STALE_SECONDS + 60, "KILLED"),
    ],
)
def test_a_process_that_cannot_be_seen_counts_by_its_signs_of_life(
    client: MlflowClient, experiment: str, unseen: dict[str, str], age: int, expected: str
) -> None:
    beat = {abandoned.HEARTBEAT: str(int(time.time()) - age)}
    assert status(client, experiment, abandoned.tags() | unseen | beat) == expected


def test_runs_of_others_and_of_other_experiments_are_left_alone(
    client: MlflowClient, experiment: str
) -> None:
    assert status(client, experiment, {}) == "RUNNING"
    other = str(client.create_experiment("others"))
    run_id = client.create_run(
        other, tags=abandoned.tags() | {abandoned.PROCESS: ended_process()}
    ).info.run_id
    abandoned.close_all(client, experiment)
    assert client.get_run(run_id).info.status == "RUNNING"


def test_a_run_gives_signs_of_life_until_its_block_ends(
    client: MlflowClient, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(abandoned, "BEAT_SECONDS", 0.01)
    run_id = client.create_run(experiment, tags={abandoned.HEARTBEAT: "0"}).info.run_id
    deadline = time.monotonic() + 60
    with abandoned.beating(client, run_id):
        while client.get_run(run_id).data.tags[abandoned.HEARTBEAT] == "0":
            assert time.monotonic() < deadline
    assert abs(int(client.get_run(run_id).data.tags[abandoned.HEARTBEAT]) - time.time()) < 60
