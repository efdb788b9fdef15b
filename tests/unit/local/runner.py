"""A process runner that is over."""

import subprocess

from local import run, services
from local.settings import Settings


def runner_that_ended(chosen: Settings, said: str) -> services.Services:
    """A process runner that wrote a text and ended with code 2."""
    console = chosen.logs / run.CONSOLE
    console.write_text(said, encoding="utf-8")
    process = subprocess.Popen(["bash", "-c", "exit 2"])
    process.wait()
    return services.Services(chosen.home / "no-socket", process, console)
