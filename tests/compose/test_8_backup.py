"""`make backup` while runs are logged, and `make restore` into a stack that has nothing."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compose.endless_runs import endless_runs, finished
from tests.compose.stack import Stack, traffic
from tests.compose.stack import docker as run_docker


@pytest.mark.timeout(1500)
def test_a_backup_under_load_restored_into_an_empty_stack(
    stack: Stack, new_stack: Callable[..., Stack], backup_settings: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "runs"
    with endless_runs(stack.mlflow_url, out), traffic(stack) as answers:
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

    other = new_stack()
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
    other.forget()


def test_both_are_listed(stack: Stack, backup_settings: dict[str, str]) -> None:
    listed = stack.make("backups", settings=backup_settings)
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
    stack: Stack, backup_settings: dict[str, str], tmp_path: Path
) -> None:
    missing = backup_settings | {"BACKUP_PASSWORD_FILE": str(tmp_path / "none")}
    done = stack.try_make("restore", "SNAPSHOT=latest", settings=missing)
    assert done.returncode == 2
    assert "there is no password at" in done.stderr
    assert not (tmp_path / "none").exists()
