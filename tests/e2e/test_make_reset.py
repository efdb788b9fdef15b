"""`make reset LOCAL=yes`, as a teacher uses it between two classes."""

import os
import pty
import signal
import subprocess
from collections.abc import Iterator

import pytest
import requests
from mlflow import MlflowClient

from produtos.registry.registry import MODEL_NAME
from tests.e2e.hotserve_process import PATIENCE, eventually
from tests.e2e.stack import Stack, make_command, make_run, make_run_environment, run_in_checkout
from tests.e2e.stream import Stream
from tests.support.commands import ROOT


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack after its first start."""
    folder = tmp_path_factory.mktemp("make-reset")
    with make_run(folder / "home", folder / "output") as started:
        started.wait_until_ready()
        yield started


def command(stack: Stack, **more: object) -> list[str]:
    given = {"LOCAL": "yes", "STACK_HOME": stack.home, "MLFLOW_PORT": stack.mlflow_port} | more
    return make_command("reset", given)


def reset(stack: Stack, **more: object) -> subprocess.CompletedProcess[str]:
    """By a program: nobody is there to be asked."""
    return run_in_checkout(command(stack, **more), stdin=subprocess.DEVNULL)


def typed(stack: Stack, answer: str, **more: object) -> int:
    """By somebody at a terminal, who types an answer; returns the exit code."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command(stack, **more), cwd=ROOT, env=make_run_environment(), stdin=theirs
    ) as process:
        os.close(theirs)
        os.write(ours, f"{answer}\n".encode())
        code = process.wait()
    os.close(ours)
    return code


def served(stack: Stack) -> dict[str, object]:
    return dict(requests.get(f"{stack.serve_url}/model", timeout=PATIENCE).json())


def test_back_to_version_1_while_everything_runs(stack: Stack) -> None:
    client = MlflowClient(stack.mlflow_url)
    before = client.get_model_version(MODEL_NAME, "1")
    sweep = {run["info"]["run_id"] for run in stack.runs()}
    later = client.create_run(client.create_experiment("capitulo-10"))
    # Another model of the sweep, as a student would register it in the page.
    run = client.get_run(next(iter(sweep - {before.run_id})))
    assert run.outputs is not None
    model = run.outputs.model_outputs[-1].model_id
    client.create_model_version(MODEL_NAME, f"models:/{model}", run.info.run_id, model_id=model)
    stack.mlflow(
        "model-versions/transition-stage",
        {
            "name": MODEL_NAME,
            "version": "2",
            "stage": "Production",
            "archive_existing_versions": True,
        },
    )
    eventually(lambda: served(stack)["version"] == "2", "version 2 does not answer")

    refused = reset(stack, VERSION="1")
    assert refused.returncode == 2
    assert "1 later versions, 1 later runs" in refused.stdout
    assert "FORCE=yes" in refused.stderr
    assert typed(stack, "no", VERSION="1") == 2
    assert len(stack.versions()) == 2

    with Stream(stack.serve_url) as stream:
        stream.wait_for("2", more=0)
        assert typed(stack, "yes", VERSION="1") == 0
        stream.wait_for("1", more=0)
    assert stream.failures == []
    (version,) = stack.versions()
    assert (version["version"], version["current_stage"]) == ("1", "Production")
    assert (version["run_id"], version["source"]) == (before.run_id, before.source)
    assert {run["info"]["run_id"] for run in stack.runs()} == sweep
    assert client.search_runs([later.info.experiment_id]) == []
    again = client.create_model_version(MODEL_NAME, f"models:/{model}", model_id=model)
    assert str(again.version) == "2"


def test_everything_goes_but_not_while_it_runs(stack: Stack) -> None:
    refused = reset(stack, FORCE="yes")
    assert refused.returncode == 2
    assert "stop it first" in refused.stderr
    assert stack.predict("boneca de pano") == ["brinquedo"]

    stack.stop(signal.SIGINT)
    refused = reset(stack)
    assert refused.returncode == 2
    assert "11 runs and " in refused.stdout
    assert (stack.home / "mlflow.db").exists()
    without_mlflow = reset(stack, VERSION="1", FORCE="yes")
    assert without_mlflow.returncode == 2
    assert "no tracking server answers" in without_mlflow.stderr

    assert typed(stack, "yes") == 0
    assert [path.name for path in stack.home.iterdir()] == ["lock"]
