"""MLflow's scoring server in one process: `scoring_server.py MODEL PORT TIMEOUT WORKERS`.

`mlflow models serve --env-manager local` keeps a parent of 240 MB that only waits for the server
it started. This script is run by the Python that has MLflow, and imports nothing of hotserve's.
It may be started before the model is there, so that what it imports is by then.
MLflow's application stands behind invocations.py, or behind predict_stream.py for a model that
streams.
"""

import os
import shlex
import sys
import time
from typing import Any

import uvicorn
from mlflow.models import Model
from mlflow.pyfunc import FLAVOR_NAME, scoring_server

_LOOK = 0.02


def main(model: str, port: str, timeout: str, workers: str) -> None:
    """Become the server that MLflow would start. Returns only when it ended."""
    while not os.path.exists(os.path.join(model, "MLmodel")):
        time.sleep(_LOOK)
    host: Any = "127.0.0.1"  # MLflow's own annotation of it is wrong
    command, environment = scoring_server.get_cmd(
        model, int(port), host, int(timeout), int(workers)
    )
    arguments = shlex.split(command)
    if arguments[0] == "uvicorn":
        folder = os.path.dirname(os.path.abspath(__file__))
        streams = Model.load(model).flavors.get(FLAVOR_NAME, {}).get("streamable")
        module = "predict_stream" if streams else "invocations"
        arguments[-1:] = ["--factory", "--app-dir", folder, f"{module}:application"]
    if arguments[0] != "uvicorn" or int(workers) > 1:
        # With several workers uvicorn's first process only watches them: it needs no MLflow.
        os.execvpe(sys.executable, [sys.executable, "-m", *arguments], environment)
    os.environ.update(environment)
    uvicorn.main(arguments[1:], prog_name="uvicorn")


if __name__ == "__main__":
    main(*sys.argv[1:])
