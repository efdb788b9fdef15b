"""What every entry point has in common: signals, exit codes, and a quiet console."""

import errno
import logging
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from io import TextIOWrapper
from types import FrameType
from typing import Never

from produtos.errors import BadInput, Stopped, in_one_line
from produtos.language import tr

DEFAULTS = {
    # A server that is restarted meanwhile is waited for; one that is gone is not, for minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    # The sums are small: with a thread for each core, the threads wait for each other.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
"""Set before MLflow is imported, unless the user has set them."""

LOOPBACK = "localhost,127.0.0.1,::1,[::1]"
"""What no proxy is asked for."""

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""SIGHUP comes when the terminal is closed."""


def run(main: Callable[[], None]) -> Never:
    """Call `main` and end the process.

    Exit codes: 0; 2 for bad input, with one line on stderr; 128 plus the signal's number after
    one of `STOPPING`, or where nobody reads what it says any more; 1 for an error of this program.
    TRAINER_DEBUG=1 shows the traceback.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    # Libraries look at the name in small letters first. A star already stands for every host.
    direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    if direct != "*":
        os.environ["no_proxy"] = f"{direct},{LOOPBACK}" if direct else LOOPBACK
    # Library warnings are not for whoever waits for a model.
    warnings.simplefilter("ignore")
    for library in ("mlflow", "alembic", "git", "matplotlib"):
        logging.getLogger(library).setLevel(logging.ERROR)
    for number in STOPPING:
        # What nohup started is to go on when the terminal is closed.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)
    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal that has no such character, as of Latin-1, shows a question mark.
        sys.stdout.reconfigure(errors="replace")
    code = 0
    try:
        # Else SQLite has another idea of where temporary files are.
        os.environ.setdefault("TMPDIR", _temporary_folder())
        main()
        sys.stdout.flush()
    except Stopped as stopped:
        code = 128 + stopped.signal_number
    except SystemExit:
        # Of argparse, which has said what is wrong.
        sys.stderr.flush()
        _tidy_run_of_project()
        raise
    except BrokenPipeError:
        # As `head` does, which has enough. What is not written yet goes nowhere, or Python would
        # complain of it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 128 + signal.SIGPIPE
    except Exception as error:
        if os.environ.get("TRAINER_DEBUG") and not isinstance(error, BadInput):
            raise
        code, message = _failure(error)
        print(f"{os.path.basename(sys.argv[0])}: {message}", file=sys.stderr)
        if isinstance(error, BadInput):
            _tidy_run_of_project()
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)


def _temporary_folder() -> str:
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        # Python has tried to write a file in each folder that it knows.
        raise BadInput(
            "no temporary file can be written anywhere, most likely because a disk is full; "
            "make room, or set TMPDIR to a folder on another one"
        ) from None


def _tidy_run_of_project() -> None:
    """What `mlflow run` wrote down must not stay as it was typed because a parameter was wrong."""
    if os.environ.get("MLFLOW_RUN_ID"):
        from produtos.runs import tracking

        with suppress(BadInput):
            tracking.reach()


def _stop(number: int, _frame: FrameType | None) -> Never:
    # The second signal must not cut off the closing of runs that the first one started.
    for each in STOPPING:
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(number)


def _failure(error: Exception) -> tuple[int, str]:
    """The exit code, and what is said."""
    if isinstance(error, BadInput):
        return 2, str(error)
    if isinstance(error, ModuleNotFoundError):
        return 2, (
            tr(
                "{name} is not installed for {executable}; activate the environment first, "
                "or let mlflow run make one with --env-manager uv"
            ).format(name=error.name, executable=sys.executable)
        )
    if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL" or (
        isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    ):
        return 2, tr(
            "a disk is full; make room, or set TMPDIR to a folder on another one (now {folder})"
        ).format(folder=tempfile.gettempdir())
    message = in_one_line(error)
    libraries = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    if libraries & {"mlflow", "requests", "urllib3"}:
        return 2, tr("the tracking server could not do it: {message}").format(message=message)
    return 1, (
        tr("{name}: {message} (an error of this program; TRAINER_DEBUG=1 shows where)").format(
            name=type(error).__name__, message=message
        )
    )
