"""`make backup` while runs are logged, and `make restore` into a stack that has nothing."""

import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.compose.backups import backup_containers, metrics
from tests.compose.endless_runs import endless_runs, finished
from tests.compose.stack import Stack, wait_until
from tests.compose.stack import docker as run_docker
from tests.compose.traffic import traffic
from tests.support.commands import ROOT, completed


@pytest.fixture(scope="module")
def other(new_stack: Callable[..., Stack]) -> Stack:
    """A stack that has nothing until the first backup is restored into it."""
    return new_stack()


@pytest.mark.timeout(1500)
def test_a_backup_under_load_restored_into_an_empty_stack(
    stack: Stack, other: Stack, backup_settings: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "runs"
    with endless_runs(stack.mlflow_url, out), traffic(stack.classify) as answers:
        before = finished(out)
        first = stack.make("backup", settings=backup_settings)
        at_first = len(finished(out))
        # The second one fetches what is new.
        second = stack.make("backup", "CHECK=yes", settings=backup_settings)
        after = finished(out)
    assert answers.good
    assert not answers.bad
    assert before < after
    assert at_first < len(after)
    assert first != second

    said = other.try_make("restore", "SNAPSHOT=latest", settings=backup_settings)
    assert said.returncode == 0, said.stderr
    assert "all files are there that the database names" in said.stderr
    assert re.search(r"made with mlflow: 3\.", said.stderr)
    other.wait_trained()
    other.wait_healthy()
    assert "nothing to train" in other.logs("trainer")
    other.wait_answering()
    assert other.classify() == "brinquedo"

    # Every run that had ended is there; of those that ended meanwhile, what is there is whole.
    runs = {r["info"]["run_id"]: r["info"] for r in other.runs()}
    assert before <= set(runs)
    ended = {i for i, info in runs.items() if info["status"] == "FINISHED"} & after
    for run_id in ended:
        assert other.artifact(run_id, "modelo/MLmodel").text == run_id
        assert len(other.artifact(run_id, "modelo/pesos.bin").content) == 200_000
    versions = other.api("model-versions/search?filter=name%3D'sem-fim'&max_results=1000")
    assert len(versions["model_versions"]) >= len(before)
    for version in versions["model_versions"]:
        assert other.artifact(version["run_id"], "modelo/MLmodel").text == version["run_id"]
    assert [v["run_id"] for v in other.versions()] == [v["run_id"] for v in stack.versions()]

    # What is there now is not thrown away unasked.
    refused = other.try_make("restore", "SNAPSHOT=latest", settings=backup_settings)
    assert refused.returncode == 2
    assert "FORCE=yes" in refused.stderr
    other.wait_healthy("mlflow")
    assert {r["info"]["run_id"] for r in other.runs()} == set(runs)


@contextmanager
def a_table_that_cannot_be_dropped(stack: Stack) -> Iterator[None]:
    stack.sql("CREATE TABLE meio (nada INT)")
    password = f"MYSQL_PWD={stack.setting('MYSQL_PASSWORD')}"
    process = subprocess.Popen(
        [
            *("docker", "exec", "--env", password, stack.container("db")),
            *("mysql", f"--user={stack.setting('MYSQL_USER')}", stack.setting("MYSQL_DATABASE")),
            *("--execute", "LOCK TABLES meio READ; SELECT SLEEP(3600)"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        holding = (
            "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%SLEEP(3600)'"
        )
        wait_until(lambda: stack.sql(holding) == "1", "the table to be locked")
        yield
    finally:
        number = stack.sql(holding.replace("COUNT(*)", "id"))
        stack.sql(f"KILL {number}")
        process.wait()


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_restore_that_is_killed_is_not_called_done_and_can_be_repeated(
    other: Stack, backup_settings: dict[str, str]
) -> None:
    runs = {r["info"]["run_id"] for r in other.runs()}
    marked = "SHOW TABLES LIKE 'unfinished_restore'"
    with a_table_that_cannot_be_dropped(other), ThreadPoolExecutor() as pool:
        arguments = ("restore", "SNAPSHOT=latest", "FORCE=yes")
        restore = pool.submit(other.try_make, *arguments, settings=backup_settings)
        wait_until(lambda: other.sql(marked), "the restore to be half-way")
        run_docker("rm", "--force", *backup_containers(other))
        done = restore.result()
    assert done.returncode
    assert "MLflow stays stopped; run it again" in done.stderr
    # Whoever starts it nevertheless is told so.
    other.compose("up", "--detach", "--no-deps", "mlflow")
    wait_until(lambda: "a restore was cut off" in other.logs("mlflow"), "MLflow to say so")
    backup = other.try_make("backup", settings=backup_settings)
    assert backup.returncode
    assert "a restore was cut off" in backup.stderr

    other.make("restore", "SNAPSHOT=latest", settings=backup_settings)
    other.wait_healthy("mlflow")
    assert not other.sql(marked)
    assert {r["info"]["run_id"] for r in other.runs()} == runs


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_is_made_at_the_time_that_is_set(other: Stack, backup_settings: dict[str, str]) -> None:
    overlay = ("--file", str(ROOT / "compose.backup.yml"))
    soon = datetime.now(UTC) + timedelta(minutes=2)
    settings = backup_settings | {"BACKUP_SCHEDULE": f"{soon:%H:%M}"}
    project = other.command_line()
    subprocess.run(
        [*project, *overlay, "up", "--detach", "--no-deps", "backup"],
        cwd=ROOT,
        env=other.environment() | settings,
        check=True,
        capture_output=True,
    )

    def said() -> str:
        container = run_docker(
            *(
                "ps",
                "--all",
                "--quiet",
                f"--filter=label=com.docker.compose.project={other.project}",
            ),
            "--filter=label=com.docker.compose.service=backup",
        )
        return completed(["docker", "logs", container], check=True).stderr

    wait_until(lambda: f"{soon:%F %H:%M} UTC" in said(), "the schedule to be read")
    wait_until(lambda: "kept at /backups" in said(), "the backup")
    assert other.project in other.make("backups", settings=backup_settings)


def test_an_s3_is_a_place_too(stack: Stack, backup_settings: dict[str, str]) -> None:
    settings = backup_settings | {
        "BACKUP_TARGET": "s3:http://s3:9000/copias",
        "BACKUP_AWS_ACCESS_KEY_ID": stack.setting("AWS_ACCESS_KEY_ID"),
        "BACKUP_AWS_SECRET_ACCESS_KEY": stack.setting("AWS_SECRET_ACCESS_KEY"),
    }
    kept = stack.make("backup", settings=settings).strip()
    assert kept
    assert kept in stack.make("backups", settings=settings)


def test_both_are_listed(stack: Stack, backup_settings: dict[str, str]) -> None:
    listed = stack.make("backups", settings=backup_settings)
    assert stack.project in listed


def test_prometheus_is_told(stack: Stack) -> None:
    figures = metrics(stack)
    assert set(figures) == {
        "backup_last_success_timestamp_seconds",
        "backup_last_run_timestamp_seconds",
        "backup_last_run_success",
        "backup_duration_seconds",
        "backup_size_bytes",
    }
    assert figures["backup_last_run_success"] == 1
    assert figures["backup_size_bytes"] > 1_000_000


def test_the_password_is_asked_for_before_anything_is_made(
    stack: Stack, backup_settings: dict[str, str], tmp_path: Path
) -> None:
    missing = backup_settings | {"BACKUP_PASSWORD_FILE": str(tmp_path / "none")}
    done = stack.try_make("restore", "SNAPSHOT=latest", settings=missing)
    assert done.returncode == 2
    assert "there is no password at" in done.stderr
    assert not (tmp_path / "none").exists()
