"""What supervisord reports of the services, over its XML-RPC socket."""

import http.client
import re
import subprocess
import xmlrpc.client
from pathlib import Path
from typing import Any, cast

from supervisor.xmlrpc import SupervisorTransport

from local.language import tr
from local.settings import Settings, short

WAITED_IN_VAIN = 124
"""The exit code of wait-for-it.sh, which the trainer is started through, when time is up."""

OUT_OF_DATE = "out-of-date database schema"
"""What MLflow writes when its database is of another version of it."""

LAST_LINES = 40
"""Of a log, among which the reason of an end is looked for."""

_ERROR = re.compile(r"^(?:[\w.]+\.)?\w*(?:Error|Exception): ")


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

    def states(self) -> dict[str, dict[str, Any]]:
        """Process information by service name; empty while supervisord is still starting."""
        if self._process.poll() is not None:
            lines = [each for each in _lines(self._console) if not each.startswith("For help")]
            raise ServicesError(
                tr("the process runner ended with code {returncode}").format(
                    returncode=self._process.returncode
                )
                + (f": {lines[-1]}" if lines else "")
                + tr(" (its log: {short})").format(short=short(self._console))
            )
        # A transport of its own each time: after an error one is not fit for another request.
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        try:
            with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
                infos = cast("list[dict[str, Any]]", proxy.supervisor.getAllProcessInfo())
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return {}
        return {info["name"]: info for info in infos}

    def trained(self, chosen: Settings, *, mlflow_answered: bool) -> bool:
        """See that all goes well; whether the first-start job is done.

        Args:
            chosen: where the logs are.
            mlflow_answered: whether MLflow did once; from then on it is just started again.

        Raises:
            ServicesError: a service was given up, MLflow ended before it answered, or the job
                failed.
        """
        states = self.states()
        for name, info in states.items():
            ended_early = name == "mlflow" and info.get("stop") and not mlflow_answered
            if info["statename"] == "FATAL" or ended_early:
                raise ServicesError(_explain(chosen, name, info))
        info = states.get("trainer", {"statename": "STARTING"})
        if info["statename"] != "EXITED":
            return False
        if info["exitstatus"] != 0:
            reason = _explain(chosen, "trainer", info)
            if info["exitstatus"] == WAITED_IN_VAIN:
                reason += tr("; why MLflow does not answer: {short}").format(
                    short=short(chosen.logs / "mlflow.log")
                )
            raise ServicesError(reason)
        return True


def _explain(chosen: Settings, name: str, info: dict[str, Any]) -> str:
    log = chosen.logs / f"{name}.log"
    lines = _lines(log)[-LAST_LINES:]
    said = list(filter(_ERROR.match, lines)) or lines or [info.get("spawnerr") or ""]
    reason = said[-1] or tr("exit code {exitstatus}").format(exitstatus=info["exitstatus"])
    if OUT_OF_DATE not in reason:
        return tr("{name} could not go on: {reason} (its log: {short})").format(
            name=name, reason=reason, short=short(log)
        )
    # MLflow names a command without saying for which database.
    database = chosen.home / "mlflow.db"
    return tr(
        "the database {short} was made by another version of MLflow; stop here if it "
        "was a newer one, else copy it and bring it up to date: cp '{database}' "
        "'{database}.copy' && .venv/bin/mlflow db upgrade 'sqlite:///{database}'"
    ).format(short=short(database), database=database)


def _lines(log: Path) -> list[str]:
    """What was written to a log; nothing if there is none."""
    try:
        return log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return []
