"""`make run`: the whole stack on one machine, in the foreground.

supervisord runs the services (supervisord.conf); this starts it, shows the trainer's progress,
says when everything answers, and stops it all on Ctrl-C or SIGTERM.
"""

import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from types import FrameType

from hotserve.config.errors import UsageError
from hotserve.config.proxies import bypass_on_loopback
from local import settings as settings_module
from local.language import tr
from local.progress import ProgressOutput
from local.services import Services, ServicesError
from local.settings import ROOT, Settings, short
from local.summary import summary, why_waiting

CONFIGURATION = ROOT / "local" / "supervisord.conf"
PROGRESS = "trainer-progress.log"
CONSOLE = "supervisord-console.log"
LAST_START = "last-start-seconds"
POLL_SECONDS = 0.2

NEARLY_FULL = 1_000_000
"""Bytes that are too few to write a model."""

LONGEST_TMPDIR = 60
"""Bytes."""

NOTICED_WITHIN = 10
"""Seconds after training in which the API surely sees the version that was made."""

ANOTHER_MLFLOW = re.compile(
    "REGISTERED_MODEL_NAME|MLFLOW_(TRACKING|REGISTRY|WORKSPACE|EXPERIMENT|RUN|READ_REPLICA"
    "|DEFAULT_ARTIFACT|ARTIFACTS|SERVE_ARTIFACTS|STATIC_PREFIX)"
)
"""How the variables begin that say where runs and versions are, which are meant, and who asks: in
the terminal of a student, or of who works with another MLflow, too, they are set for that one."""

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(Exception):
    """The user asked to stop."""


def main() -> int:
    """Run the stack until a signal ends it; returns the exit code."""
    for number in STOPPING:
        signal.signal(number, _stop)
    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal that has no such character, as of Latin-1, shows a question mark.
        sys.stdout.reconfigure(errors="replace")
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
    except (UsageError, ServicesError) as error:
        print(f"make run: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except Stopped:
        pass
    except BrokenPipeError:
        # Who read what we say is gone, such as a `tee` that Ctrl-C ended first: nobody watches.
        # What Python has not written yet goes nowhere, or it would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _stop(_number: int, _frame: FrameType | None) -> None:
    _ignore_signals()
    raise Stopped


def _ignore_signals() -> None:
    # Once is enough: a second Ctrl-C must not cut the clean stop short.
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


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
            # Ended in the middle of an answer to us, it writes a stack trace: nothing for
            # the user's terminal. Why it did not start is read from here.
            stdout=output,
            stderr=subprocess.STDOUT,
            # Its own session: Ctrl-C reaches us alone, and we stop the services in order.
            start_new_session=True,
        )
    try:
        yield Services(runtime / "supervisor.sock", process, console)
    finally:
        _ignore_signals()
        if process.poll() is None:
            # A terminal that was closed takes no more words.
            with suppress(OSError):
                print(tr("stopping …"), flush=True)
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
    environment = {
        # Seven more processes of some 250 MB each, for features that nothing here uses.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        # Nothing leaves the machine unless its owner wants it.
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "HOTSERVE_COMPARE": "Staging",
        **{name: value for name, value in os.environ.items() if not ANOTHER_MLFLOW.match(name)},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
        # Whatever the terminal's: so their logs are read.
        "PYTHONIOENCODING": "utf-8",
        "STACK_HOME": str(chosen.home),
        "STACK_RUNTIME": str(runtime),
        "MLFLOW_PORT": str(chosen.mlflow_port),
        "SERVE_PORT": str(chosen.serve_port),
        "DATASET": chosen.dataset,
        "MLFLOW_TRACKING_URI": chosen.mlflow_url,
        "HOTSERVE_CACHE": str(chosen.home / "hotserve"),
    }
    bypass_on_loopback(environment)
    return environment


def _watch(chosen: Settings, services: Services) -> None:
    """Show progress until all is up, say so, then see that it stays up.

    Raises:
        ServicesError: a service ended that should not have.
        Stopped: from the signal handler.
    """
    started = time.monotonic()
    output = ProgressOutput(sys.stdout)
    starting = tr("starting MLflow on port {mlflow_port}; logs in {short}").format(
        mlflow_port=chosen.mlflow_port, short=short(chosen.logs)
    )
    output.write(f"{starting}\n{_what_comes(chosen)}\n")
    with (chosen.logs / PROGRESS).open("a+", encoding="utf-8", errors="replace") as progress:
        progress.seek(0)
        ready = False
        noticed_at = math.inf
        reported = ""
        while True:
            # The trainer writes its first line when MLflow has answered.
            trained = services.trained(chosen, mlflow_answered=progress.tell() > 0)
            if not ready:
                output.write(progress.read())
                now = time.monotonic()
                if trained:
                    noticed_at = min(noticed_at, now + NOTICED_WITHIN)
                if trained and (text := summary(chosen, now - started, settled=now > noticed_at)):
                    output.write(f"{text}\n")
                    ready = True
                    _remember(chosen, now - started)
                elif now > noticed_at and (reason := why_waiting(chosen)) not in ("", reported):
                    output.write(f"{_waiting(chosen, reason)}\n")
                    reported = reason
                elif not reported:
                    output.wait_for(_waited_for(answered=progress.tell() > 0, trained=trained))
            time.sleep(1.0 if ready else POLL_SECONDS)


def _what_comes(chosen: Settings) -> str:
    """What the start will do, and how long that took the last time."""
    try:
        seconds = int((chosen.home / LAST_START).read_text())
    except (OSError, ValueError):
        return tr("then ten models are trained, and the best one is served; some 20 s on two cores")
    return tr("then the API; the last start took {seconds} s").format(seconds=seconds)


def _remember(chosen: Settings, seconds: float) -> None:
    # Nobody needs it: a full disk is no reason to end.
    with suppress(OSError):
        (chosen.home / LAST_START).write_text(f"{seconds:.0f}")


def _waited_for(*, answered: bool, trained: bool) -> str:
    if trained:
        return tr("the API fetches the model and starts it")
    return tr("the trainer is at work") if answered else tr("MLflow is starting")


def _full_disk(folder: Path) -> str:
    """What to add when no service could write any more: none of them can say so itself."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        # It was taken away: a reason of its own, which the services' own words tell.
        return ""
    if free > NEARLY_FULL:
        return ""
    return tr("; the disk is full: make room where {short} is, and start again").format(
        short=short(folder)
    )


def _waiting(chosen: Settings, reason: str) -> str:
    return tr(
        "the API waits: {reason}\nit goes on by itself when a version that starts is "
        "in Production: http://localhost:{mlflow_port} moves one there"
    ).format(reason=reason, mlflow_port=chosen.mlflow_port)
