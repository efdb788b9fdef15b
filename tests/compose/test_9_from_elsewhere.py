"""The page under a name of its own, with the settings that docs/compose.md gives for it."""

import re
from collections.abc import Iterator

import pytest
import requests

from tests.compose.stack import Stack
from tests.support.commands import ROOT

GUIDE = (ROOT / "docs" / "compose.md").read_text(encoding="utf-8")
NAME = "mlflow.example.org:5000"


def in_the_guide(setting: str) -> str:
    """The value that the guide shows for it."""
    (value,) = re.findall(rf"`{setting}=(\S+)`", GUIDE)
    return str(value)


@pytest.fixture
def known_elsewhere(stack: Stack) -> Iterator[Stack]:
    names = ("MLFLOW_ALLOWED_HOSTS", "MLFLOW_CORS_ORIGINS")
    settings = {name: in_the_guide(name) for name in names}
    # A space behind a comma is how one writes a list.
    settings = {name: value.replace(",", ", ") for name, value in settings.items()}
    stack.compose("up", "--detach", "--no-deps", "mlflow", settings=settings)
    stack.wait_healthy("mlflow")
    yield stack
    stack.compose("up", "--detach", "--no-deps", "mlflow")
    stack.wait_healthy("mlflow")


def list_of_runs(stack: Stack, page: str) -> int:
    """The status of what a browser sends for the list of runs, with the page opened there."""
    return requests.post(
        f"{stack.mlflow_url}/ajax-api/2.0/mlflow/runs/search",
        json={"experiment_ids": ["0"], "max_results": 1},
        headers={"Host": page, "Origin": f"http://{page}"},
        timeout=60,
    ).status_code


def test_the_page_lists_runs_under_the_name_that_the_guide_gives(known_elsewhere: Stack) -> None:
    assert list_of_runs(known_elsewhere, NAME) == 200
    assert list_of_runs(known_elsewhere, "rebound.example:5000") == 403
    for here in ("localhost", "127.0.0.1"):
        port = known_elsewhere.setting("MLFLOW_PORT")
        assert list_of_runs(known_elsewhere, f"{here}:{port}") == 200
