"""Runs whose process was killed, so that it could not say that they are over.

Each run says where its process is, and now and then that it is alive; whoever comes next to the
same experiment closes those that are over.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlflow.tracking import MlflowClient

HOST = "process.host"
PROCESS = "process.id"
HEARTBEAT = "process.heartbeat"

BEAT_SECONDS = 60.0
STALE_SECONDS = 15 * 60
"""So long without a sign of life, a run of another machine counts as over; a server may be away."""

UNCONFIRMED_TRIES, UNCONFIRMED_PAUSE = 8, 0.25
"""How often, and with how many seconds between, a run is looked for that a server may be making."""


def tags() -> dict[str, str]:
    """What tells others that this process has a run."""
    return {HOST: _host(), PROCESS: _process(os.getpid()) or "", HEARTBEAT: _now()}


@contextmanager
def beating(client: MlflowClient, run_id: str) -> Iterator[None]:
    """Give signs of life until the end of the block."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_SECONDS):
            with suppress(Exception):
                client.set_tag(run_id, HEARTBEAT, _now())

    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def close_all(client: MlflowClient, experiment_id: str) -> None:
    """Say KILLED of the experiment's runs whose process is gone, as of their last sign of life."""
    for run in client.search_runs([experiment_id], "attributes.status = 'RUNNING'"):
        if HEARTBEAT in run.data.tags and _is_over(run.data.tags):
            last = int(run.data.tags[HEARTBEAT]) * 1000
            client.set_terminated(run.info.run_id, "KILLED", end_time=last)


def close_children(client: MlflowClient, experiment_id: str, parent_id: str) -> None:
    """Say KILLED of a parent's runs that nobody goes on with."""
    left = f"attributes.status = 'RUNNING' and tags.mlflow.parentRunId = '{parent_id}'"
    for run in client.search_runs([experiment_id], left):
        client.set_terminated(run.info.run_id, "KILLED")


def close_unconfirmed(client: MlflowClient, experiment_id: str, name: str) -> None:
    """Say KILLED of this process's run of that name, which a server is making or has made.

    Whoever asked for it was stopped before the answer came.
    """
    process = _process(os.getpid())
    own = f"tags.`{PROCESS}` = '{process}' AND tags.`{HOST}` = '{_host()}'"
    for _ in range(UNCONFIRMED_TRIES if process else 0):
        found = client.search_runs([experiment_id], f"attributes.status = 'RUNNING' AND {own}")
        if unconfirmed := [run.info.run_id for run in found if run.info.run_name == name]:
            for run_id in unconfirmed:
                client.set_terminated(run_id, "KILLED")
            return
        time.sleep(UNCONFIRMED_PAUSE)


def _is_over(of_run: dict[str, str]) -> bool:
    if of_run[PROCESS] and of_run[HOST] == _host():
        return _process(int(of_run[PROCESS].split()[0])) != of_run[PROCESS]
    return time.time() - int(of_run[HEARTBEAT]) > STALE_SECONDS


def _now() -> str:
    return str(int(time.time()))


def _host() -> str:
    """This machine since it was started, and in it this container, whatever their names are."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _process(pid: int) -> str | None:
    """A process that lives and when it began, since numbers come again; None where none is seen."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state == "Z" else f"{pid} {fields[18]}"
