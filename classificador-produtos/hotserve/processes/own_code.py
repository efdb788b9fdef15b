"""Children that run this package itself, wherever it lies."""

import os
from collections.abc import Mapping
from pathlib import Path

_PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])


def environment_of_own_code(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables with which `python -P -m hotserve.…` finds this very package."""
    paths = filter(None, [_PACKAGE_PARENT, os.environ.get("PYTHONPATH")])
    return {**environment, "PYTHONPATH": os.pathsep.join(paths)}
