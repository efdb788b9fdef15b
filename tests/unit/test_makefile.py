"""What `make` hands to the commands that it runs, and what it keeps from them."""

import os

from tests.support.commands import ROOT, completed

SHOWN = 'shown: ; @echo "<$(or $(HOST),none)> <$(NAME)> <$(FORCE)>"; env'


def shown(*settings: str, **variables: str) -> list[str]:
    """What a target sees: three settings, and then its environment, a line each."""
    done = completed(
        ["make", "--no-print-directory", f"--eval={SHOWN}", "shown", *settings],
        cwd=ROOT,
        env={**os.environ, **variables},
        check=True,
    )
    return done.stdout.splitlines()


def test_what_the_shell_calls_by_a_settings_name_is_no_setting() -> None:
    """WSL sets NAME, conda and tcsh HOST; FORCE answers a question that nobody was asked."""
    first, *_ = shown(HOST="conda-linux", NAME="LAPTOP-1", FORCE="yes")
    assert first == "<none> <> <>"
    first, *_ = shown("HOST=0.0.0.0", "NAME=ana", "FORCE=yes")
    assert first == "<0.0.0.0> <ana> <yes>"


def test_a_registry_that_the_shell_names_for_something_else_is_not_asked() -> None:
    _, *environment = shown(MLFLOW_REGISTRY_URI="http://elsewhere:5000", MLFLOW_PORT="5001")
    assert "MLFLOW_PORT=5001" in environment
    assert not any(line.startswith("MLFLOW_REGISTRY_URI=") for line in environment)
