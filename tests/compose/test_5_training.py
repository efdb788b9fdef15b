"""Training against the stack: by hand, from git, cut off in the middle, and in two stacks."""

from collections.abc import Callable

import pytest

from tests.compose.stack import Stack, docker, wait_until


def train(stack: Stack, *arguments: str) -> dict[str, str]:
    """`mlflow run` in the trainer's service; the parameters of the newest run."""
    before = {run["info"]["run_id"] for run in stack.runs()}
    stack.compose("run", "--rm", "-T", "trainer", "mlflow", "run", *arguments, timeout=500)
    new = [run for run in stack.runs() if run["info"]["run_id"] not in before]
    assert new
    assert {run["info"]["status"] for run in new} == {"FINISHED"}
    return {pair["key"]: pair["value"] for pair in new[0]["data"].get("params", [])}


def test_one_run_with_a_parameter(stack: Stack) -> None:
    assert train(stack, ".", "-P", "test_size=0.25")["test_size"] == "0.25"


def test_the_sweep_registers_a_candidate(stack: Stack) -> None:
    train(stack, ".", "-e", "sweep")
    stages = {one["version"]: one["current_stage"] for one in stack.versions()}
    assert stages == {"1": "Production", "2": "Staging"}


def test_a_project_from_a_git_url(stack: Stack) -> None:
    """git's own server, in a container on the stack's public network."""
    image = f"classificador-de-produtos/trainer:{stack.setting('IMAGE_TAG')}"
    serve = (
        "git init -q -b main /tmp/project && mkdir /tmp/project/trainer"
        " && cp -r /app/. /tmp/project/trainer"
        " && cd /tmp/project && git add -A -f && git -c user.name=a -c user.email=a@example.org"
        " commit -q -m first && git clone -q --bare /tmp/project /tmp/repositories/projeto.git"
        " && exec git daemon --export-all --base-path=/tmp/repositories --reuseaddr"
    )
    server = docker(
        *("run", "--detach", "--rm", "--init", "--network", f"{stack.project}_public"),
        *("--network-alias", "git.example", image, "sh", "-c", serve),
    )
    try:
        parameters = train(
            stack, "git://git.example/projeto.git#trainer", "-v", "main", "-P", "test_size=0.35"
        )
    finally:
        docker("rm", "--force", server)
    assert parameters["test_size"] == "0.35"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_full_stop_in_the_middle_of_the_first_training(
    stack: Stack, new_stack: Callable[..., Stack]
) -> None:
    """In a second stack beside the first, which does not notice."""
    second = new_stack()
    second.compose("up", "--detach")
    wait_until(lambda: second.logs("trainer").count("acuracia ") >= 2, "two runs to be done")
    assert second.state("trainer")["Status"] == "running"
    second.compose("stop")
    assert stack.classify() == "brinquedo"

    second.compose("up", "--detach")
    second.wait_trained()
    second.wait_healthy()
    assert second.classify() == "brinquedo"
    statuses = [run["info"]["status"] for run in second.runs()]
    assert "RUNNING" not in statuses
    assert len([one for one in statuses if one == "FINISHED"]) == 11
    assert [v["current_stage"] for v in second.versions()] == ["Production"]

    theirs = {run["info"]["run_id"] for run in second.runs()}
    assert not theirs & {run["info"]["run_id"] for run in stack.runs()}
    second.forget()
    assert docker("volume", "ls", "--quiet", "--filter", f"name={second.project}") == ""
    assert stack.classify() == "brinquedo"
