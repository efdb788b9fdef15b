"""`make backup` while runs are logged, and `make restore` into a stack that has nothing."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.compose.stack import Stack, traffic, wait_until
from tests.compose.stack import docker as run_docker


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A folder for backups and a password of the test's own."""
    folder = tmp_path_factory.mktemp("backup")
    return {
        "BACKUP_FOLDER": str(folder / "backups"),
        "BACKUP_PASSWORD_FILE": str(folder / "backup.password"),
    }


@contextmanager
def endless_runs(stack: Stack, out: Path) -> Iterator[None]:
    """Runs and versions are logged for as long as the block lasts; what was is in the file."""
    with out.open("w", encoding="utf-8") as said:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("endless_runs.py"))],
            env={
                "PATH": "/usr/bin:/bin",
                "MLFLOW_TRACKING_URI": stack.mlflow_url,
                "MLFLOW_DISABLE_TELEMETRY": "true",
            },
            stdout=said,
        )
        try:
            wait_until(lambda: len(finished(out)) > 3, "runs to be logged")
            yield
            assert process.poll() is None, "it ended before the backup did"
        finally:
            process.kill()
            process.wait()


def finished(out: Path) -> set[str]:
    """The runs that have ended, as the client was told."""
    return set(re.findall(r"^([0-9a-f]{32})$", out.read_text(encoding="utf-8"), re.MULTILINE))


def artifact(stack: Stack, run_id: str, path: str) -> requests.Response:
    return requests.get(
        f"{stack.mlflow_url}/get-artifact",
        params={"run_id": run_id, "path": path},
        timeout=60,
    )


@pytest.mark.timeout(1500)
def test_a_backup_under_load_restored_into_an_empty_stack(
    stack: Stack, new_stack: Callable[..., Stack], settings: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "runs"
    with endless_runs(stack, out), traffic(stack) as answers:
        before = finished(out)
        first = stack.make("backup", settings=settings)
        at_first = len(finished(out))
        # The second one fetches what is new.
        second = stack.make("backup", "CHECK=yes", settings=settings)
        after = finished(out)
    assert answers.good
    assert not answers.bad
    assert before < after
    assert at_first < len(after)
    assert first != second

    other = new_stack()
    said = other.try_make("restore", "SNAPSHOT=latest", settings=settings)
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
        assert artifact(other, run_id, "modelo/MLmodel").text == run_id
        assert len(artifact(other, run_id, "modelo/pesos.bin").content) == 200_000
    versions = other.api("model-versions/search?filter=name%3D'sem-fim'&max_results=1000")
    assert len(versions["model_versions"]) >= len(before)
    for version in versions["model_versions"]:
        assert artifact(other, version["run_id"], "modelo/MLmodel").text == version["run_id"]
    assert [v["run_id"] for v in other.versions()] == [v["run_id"] for v in stack.versions()]

    # What is there now is not thrown away unasked.
    refused = other.try_make("restore", "SNAPSHOT=latest", settings=settings)
    assert refused.returncode == 2
    assert "FORCE=yes" in refused.stderr
    other.wait_healthy("mlflow")
    assert {r["info"]["run_id"] for r in other.runs()} == set(runs)
    other.forget()


def test_both_are_listed(stack: Stack, settings: dict[str, str]) -> None:
    listed = stack.make("backups", settings=settings)
    assert stack.project in listed


def test_prometheus_is_told(stack: Stack) -> None:
    said = run_docker(
        *("run", "--rm", "--volume", f"{stack.project}_backup_metrics:/metrics:ro"),
        *("--entrypoint", "cat", f"classificador-de-produtos/backup:{stack.setting('IMAGE_TAG')}"),
        "/metrics/backup.prom",
    )
    figures = {name: float(value) for name, value in (line.split() for line in said.splitlines())}
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
    stack: Stack, settings: dict[str, str], tmp_path: Path
) -> None:
    missing = settings | {"BACKUP_PASSWORD_FILE": str(tmp_path / "none")}
    done = stack.try_make("restore", "SNAPSHOT=latest", settings=missing)
    assert done.returncode == 2
    assert "there is no password at" in done.stderr
    assert not (tmp_path / "none").exists()
