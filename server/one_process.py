"""`mlflow server` in one process: `python -m server.one_process server --port 5000 …`.

MLflow's command starts uvicorn in a process of its own, and 200 MB stay behind it for as long as
the server runs. Where nothing else is to be started, uvicorn takes the command's place instead.
"""

import os
import subprocess
import sys
from typing import Any


class _TakingOurPlace(subprocess.Popen[Any]):
    """As ever, but for uvicorn."""

    def __init__(self, args: Any, *more: Any, **options: Any) -> None:
        if isinstance(args, list) and args[:3] == [sys.executable, "-m", "uvicorn"]:
            os.execvpe(args[0], args, options["env"])
        super().__init__(args, *more, **options)


def main() -> None:
    """Run MLflow's command line with our arguments."""
    from mlflow.cli import cli
    from mlflow.environment_variables import MLFLOW_SERVER_ENABLE_JOB_EXECUTION

    # The parent has to start and end what runs the jobs.
    if not MLFLOW_SERVER_ENABLE_JOB_EXECUTION.get():  # type: ignore[no-untyped-call]
        subprocess.Popen = _TakingOurPlace  # type: ignore[misc]
    cli(prog_name="mlflow")


if __name__ == "__main__":
    main()
