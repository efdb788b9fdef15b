"""`make run`: the whole stack on one machine, in the foreground.

supervisord runs the services (supervisord.conf); this starts it, shows the trainer's progress,
says when everything answers, and stops it all on Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from local import settings as settings_module
from local.services import Services, ServicesError
from local.settings import ROOT, Settings, SettingsError, short
from local.summary import hindrance, summary

CONFIGURATION = ROOT / "local" / "supervisord.conf"
PROGRESS = "trainer-progress.log"
CONSOLE = "supervisord-console.log"
POLL_SECONDS = 0.2

NEARLY_FULL = 1_000_000
"""Bytes that are too few to write a model."""

LONGEST_TMPDIR = 60
"""Bytes."""

NOTICED_WITHIN = 10
"""Seconds after training in which the API surely sees the version that was made."""


class Stopped(Exception):
    """The user asked to stop."""

    def __init__(self, number: int) -> None:
        self.number = number


def main() -> int:
    """Run the stack until it is told to stop; returns the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        chosen = settings_module.read(os.environ)
        settings_module.check_tools()
        settings_module.check_port("MLFLOW_PORT", chosen.mlflow_port)
        settings_module.check_port("SERVE_PORT", chosen.serve_port)
        settings_module.check_dataset(chosen)
        with settings_module.prepare_home(chosen), _supervisord(chosen) as services:
            try:
                _watch(chosen, services)
            except ServicesError as error:
                raise ServicesError(f"{error}{_full_disk(chosen.home)}") from None
    except SettingsError as error:
        print(f"make run: {error}", file=sys.stderr)
        return 2
    except ServicesError as error:
        print(f"make run: {error}", file=sys.stderr)
        return 1
    except Stopped:
        pass
    except BrokenPipeError:
        # Who read what we say is gone, such as a `tee` that Ctrl-C ended first: nobody watches.
        # What Python has not written yet goes nowhere, or it would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _stop(number: int, _frame: FrameType | None) -> None:
    # Once is enough: a second Ctrl-C must not cut the clean stop short.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(number)


@contextmanager
def _supervisord(chosen: Settings) -> Iterator[Services]:
    """Start the process runner; on leaving, stop it and all it runs."""
    runtime = _folder_of_socket()
    # The progress of an earlier start is not shown again.
    (chosen.logs / PROGRESS).unlink(missing_ok=True)
    console = chosen.logs / CONSOLE
    with console.open("wb") as output:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "supervisord", "-c", str(CONFIGURATION)],
            cwd=ROOT,
            env=_environment(chosen, runtime),
            stdin=subprocess.DEVNULL,
            # Told to stop in the middle of an answer to us, it writes a stack trace: nothing for
            # the user's terminal. Why it did not start is read from here.
            stdout=output,
            stderr=subprocess.STDOUT,
            # Its own session: Ctrl-C reaches us alone, and we stop the services in order.
            start_new_session=True,
        )
    try:
        yield Services(runtime / "supervisor.sock", process, console)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if process.poll() is None:
            # A terminal that was closed takes no more words.
            with suppress(OSError):
                print("stopping …", flush=True)
            process.terminate()
        process.wait()
        shutil.rmtree(runtime, ignore_errors=True)


def _folder_of_socket() -> Path:
    """A new folder, neither in the data folder nor in a TMPDIR that is long.

    A socket's path may have 107 characters at most, and while it is made its name has a number
    behind it.
    """
    long = len(os.fsencode(tempfile.gettempdir())) > LONGEST_TMPDIR
    return Path(tempfile.mkdtemp(prefix="stack-", dir="/tmp" if long else None))


def _environment(chosen: Settings, runtime: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
        **{name: _and_loopback(os.environ.get(name)) for name in ("NO_PROXY", "no_proxy")},
        "STACK_HOME": str(chosen.home),
        "STACK_RUNTIME": str(runtime),
        "MLFLOW_PORT": str(chosen.mlflow_port),
        "SERVE_PORT": str(chosen.serve_port),
        "DATASET": chosen.dataset,
        "MLFLOW_TRACKING_URI": chosen.mlflow_url,
        "HOTSERVE_CACHE": str(chosen.home / "hotserve"),
        # Seven more processes of some 250 MB each, for features that nothing here uses.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": os.environ.get(
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false"
        ),
        # Nothing leaves the machine unless its owner wants it.
        "MLFLOW_DISABLE_TELEMETRY": os.environ.get("MLFLOW_DISABLE_TELEMETRY", "true"),
    }


def _and_loopback(no_proxy: str | None) -> str:
    return ",".join(filter(None, (no_proxy, "localhost", "127.0.0.1")))


def _watch(chosen: Settings, services: Services) -> None:
    """Show progress until all is up, say so, then see that it stays up.

    Raises:
        ServicesError: a service ended that should not have.
        Stopped: from the signal handler.
    """
    started = time.monotonic()
    print(f"starting MLflow on port {chosen.mlflow_port}; logs in {short(chosen.logs)}", flush=True)
    with (chosen.logs / PROGRESS).open("a+", encoding="utf-8", errors="replace") as progress:
        progress.seek(0)
        announced = False
        noticed_at = math.inf
        told = ""
        while True:
            trained = services.trainer_has_finished(chosen.logs)
            if not announced:
                sys.stdout.write(progress.read())
                sys.stdout.flush()
                if trained:
                    noticed_at = min(noticed_at, time.monotonic() + NOTICED_WITHIN)
                now = time.monotonic()
                if trained and (text := summary(chosen, now - started, settled=now > noticed_at)):
                    print(text, flush=True)
                    announced = True
                elif now > noticed_at and (why := hindrance(chosen)) not in ("", told):
                    print(_waiting(chosen, why), flush=True)
                    told = why
            services.check(chosen.logs)
            time.sleep(POLL_SECONDS if not announced else 1.0)


def _full_disk(folder: Path) -> str:
    """What to add when no service could write any more: none of them can say so itself."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        # It was taken away: a reason of its own, which the services' own words tell.
        return ""
    if free > NEARLY_FULL:
        return ""
    return f"; the disk is full: make room where {short(folder)} is, and start again"


def _waiting(chosen: Settings, why: str) -> str:
    return (
        f"the API waits: {why}\nit goes on by itself when a version that starts is in Production: "
        f"http://localhost:{chosen.mlflow_port} moves one there"
    )
