"""What every entry point has in common: signals, exit codes, and a quiet console."""

import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Never

from produtos.errors import BadInput, Stopped, in_one_line

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

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""SIGHUP comes when the terminal is closed."""


def run(main: Callable[[], None]) -> Never:
    """Call `main` and end the process.

    Exit codes: 0; 2 for bad input, with one line on stderr; 128 plus the signal's number after
    one of `STOPPING`; 1 for an error of this program. TRAINER_DEBUG=1 shows the traceback.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    # Library warnings are not for whoever waits for a model.
    warnings.simplefilter("ignore")
    for library in ("mlflow", "alembic", "git", "matplotlib"):
        logging.getLogger(library).setLevel(logging.ERROR)
    for number in STOPPING:
        # What nohup started is to go on when the terminal is closed.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)
    program = os.path.basename(sys.argv[0])
    code = 0
    try:
        main()
    except Stopped as stopped:
        code = 128 + stopped.signal_number
    except SystemExit:
        # Of argparse, which has said what is wrong.
        sys.stderr.flush()
        _tidy_run_of_project()
        raise
    except BadInput as error:
        print(f"{program}: {error}", file=sys.stderr, flush=True)
        code = 2
        _tidy_run_of_project()
    except ModuleNotFoundError as error:
        if os.environ.get("TRAINER_DEBUG"):
            raise
        print(
            f"{program}: {error.name} is not installed for {sys.executable}; activate the "
            "environment first, or let mlflow run make one with --env-manager uv",
            file=sys.stderr,
        )
        code = 2
    except Exception as error:
        if os.environ.get("TRAINER_DEBUG"):
            raise
        code = 2 if _is_servers_fault(error) else 1
        print(f"{program}: {_one_line(error)}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)


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


def _is_servers_fault(error: Exception) -> bool:
    modules = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    return bool(modules & {"mlflow", "requests", "urllib3"})


def _one_line(error: Exception) -> str:
    said = in_one_line(error)
    if _is_servers_fault(error):
        return f"the tracking server could not do it: {said}"
    return f"{type(error).__name__}: {said} (an error of this program; TRAINER_DEBUG=1 shows where)"
