"""What supervisord says of the services, over its XML-RPC socket."""

from __future__ import annotations

import http.client
import subprocess
import xmlrpc.client
from pathlib import Path
from typing import Any, cast

from supervisor.xmlrpc import SupervisorTransport

from local.settings import short

WAITED_IN_VAIN = 124
"""The exit code of wait-for-it.sh, which the trainer is started through, when time is up."""


class ServicesError(Exception):
    """One line that says which service ended, why, and where its log is."""


class Services:
    """The services of one supervisord.

    Args:
        socket: the UNIX socket on which it answers.
        process: the supervisord itself.
        console: the file that it writes to when it can't start.
    """

    def __init__(self, socket: Path, process: subprocess.Popen[bytes], console: Path) -> None:
        self._process = process
        self._console = console
        self._socket = socket

    def _states(self) -> dict[str, dict[str, Any]]:
        """Process information by service name; empty while supervisord is still starting."""
        if self._process.poll() is not None:
            said = [each for each in _lines(self._console) if not each.startswith("For help")]
            raise ServicesError(
                f"the process runner ended with code {self._process.returncode}"
                + (f": {said[-1]}" if said else "")
                + f" (its log: {short(self._console)})"
            )
        # A transport of its own each time: after an error one is not fit for another request.
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        try:
            infos = cast("list[dict[str, Any]]", proxy.supervisor.getAllProcessInfo())
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return {}
        finally:
            transport.close()
        return {info["name"]: info for info in infos}

    def trainer_has_finished(self, logs: Path) -> bool:
        """Whether the first-start job is done.

        Raises:
            ServicesError: it failed, with the last line that it wrote.
        """
        info = self._states().get("trainer")
        if info is None or info["statename"] != "EXITED":
            return False
        if info["exitstatus"] != 0:
            told = _explain("trainer", info, logs / "trainer.log")
            if info["exitstatus"] == WAITED_IN_VAIN:
                told += f"; why MLflow does not answer: {short(logs / 'mlflow.log')}"
            raise ServicesError(told)
        return True

    def check(self, logs: Path) -> None:
        """See that no service was given up.

        Raises:
            ServicesError: one was started again and again in vain.
        """
        for name, info in self._states().items():
            if info["statename"] == "FATAL":
                raise ServicesError(_explain(name, info, logs / f"{name}.log"))


def _explain(name: str, info: dict[str, Any], log: Path) -> str:
    lines = _lines(log)
    last = lines[-1] if lines else info.get("spawnerr") or f"exit code {info['exitstatus']}"
    return f"{name} could not go on: {last} (its log: {short(log)})"


def _lines(log: Path) -> list[str]:
    """What was written to a log; nothing if there is none."""
    try:
        return log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return []
