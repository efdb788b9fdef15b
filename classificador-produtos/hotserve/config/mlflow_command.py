"""The command behind hotserve's own options: `mlflow models serve -m … -p … -h … [more]`."""

import argparse
import contextlib
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from hotserve.config.errors import UsageError
from hotserve.config.options import number

_SCRIPTS = Path(__file__).resolve().parents[1] / "processes"
_SERVER, _FETCH = _SCRIPTS / "scoring_server.py", _SCRIPTS / "fetch.py"


class HelpWanted(Exception):
    """The wrapped command, whose words these are, is asked for its help."""


@dataclass(frozen=True, slots=True)
class WrappedCommand:
    """`mlflow models serve`, taken apart.

    Attributes:
        program: what stands before `models serve` (`mlflow`, or `python -m mlflow`).
        model_uri: of `-m`.
        host: address to listen on, of `-h` or MLFLOW_HOST (127.0.0.1, as MLflow).
        port: TCP port, of `-p` or MLFLOW_PORT (5000, as MLflow).
        timeout: seconds for one request, of `-t` or MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT (60).
        others: every other option, as given.
        env_manager: of `--env-manager`; empty if it is not given.
        workers: processes that serve, of `-w` or MLFLOW_MODELS_WORKERS (1, as MLflow).
        unknown: those of `others` that this MLflow may know, and hotserve does not.
    """

    program: tuple[str, ...]
    model_uri: str
    host: str
    port: int
    timeout: int
    others: tuple[str, ...]
    env_manager: str
    workers: int
    unknown: tuple[str, ...]

    def serve(self, model: str, port: int) -> list[str]:
        """The command that serves the local model folder `model` on a loopback port.

        `mlflow models serve` in this environment would keep a parent of 240 MB that only waits for
        the server: where it would be MLflow's Python server, that is run without the parent.
        """
        server = self.python_server(model, port)
        if server and _is_python_function(Path(model)):
            return server
        return [
            *self.program,
            *("models", "serve", "-m", model, "-p", str(port), "-h", "127.0.0.1"),
            *("-t", str(self.timeout)),
            *self.others,
        ]

    def python_server(self, model: str, port: int) -> list[str] | None:
        """MLflow's Python server by itself, which waits for the folder where that is not there yet.

        None where it is MLflow's command that has to start it.
        """
        python = self.python()
        if not python or not self._is_mlflow() or self.env_manager != "local" or self.unknown:
            return None
        settings = (port, self.timeout, self.workers)
        return [python, str(_SERVER), model, *map(str, settings)]

    def _is_mlflow(self) -> bool:
        """Whether the program is MLflow's own: `python -m mlflow`, or the script that pip makes."""
        if len(self.program) > 1:
            return self.program[1:] == ("-m", "mlflow")
        with contextlib.suppress(OSError), open(self.program[0], "rb") as script:
            return b"from mlflow.cli import cli" in script.read(4096)
        return False

    def python(self) -> str | None:
        """The interpreter that runs the wrapped `mlflow`; None where it can't be found."""
        program = self.program[0]
        if len(self.program) > 1:
            return program
        for folder in (os.path.dirname(program), os.path.dirname(os.path.realpath(program))):
            for name in ("python", "python3"):
                if os.access(os.path.join(folder, name), os.X_OK):
                    return os.path.join(folder, name)
        with contextlib.suppress(OSError, ValueError), open(program, "rb") as script:
            first = script.readline(4096).decode()
            if first.startswith("#!"):
                words = shlex.split(first[2:])
                if words and os.path.basename(words[0]).startswith("python"):
                    return words[0]
        return None

    def check(self) -> list[str]:
        """A command that ends with code 2 if MLflow does not know one of the options."""
        return [*self.program, "models", "serve", *self.others, "-m", "unused", "--help"]

    def download(self, uri: str, destination: str) -> list[str]:
        """The command by which the same MLflow fetches a model's files."""
        python = self.python()
        if python and self._is_mlflow():
            return [python, str(_FETCH), uri, destination]
        return [*self.program, "artifacts", "download", "-u", uri, "-d", destination]


def _is_python_function(model: Path) -> bool:
    """Whether MLflow serves it with Python; it has a server for R's models, too."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return "\n  python_function:" in (model / "MLmodel").read_text("utf-8")
    return False


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"mlflow models serve: {message}")


# argparse calls a value that it can't read by the name of its function.
def port(text: str) -> int:
    """A TCP port."""
    found = number(text)
    if found > 65535:
        raise ValueError
    return found


def parse(command: Sequence[str], environment: Mapping[str, str]) -> WrappedCommand:
    """Take the wrapped command apart, with the variables that MLflow reads for it.

    Raises:
        UsageError: it is not `… models serve …`, has no `-m`, or a value is wrong.
        HelpWanted: `--help` is among its options, whatever else is.
    """
    if not command:
        raise UsageError("no command to run; put 'mlflow models serve -m … -p …' behind hotserve")
    for position in range(1, len(command) - 1):
        if tuple(command[position : position + 2]) == ("models", "serve"):
            break
    else:
        raise UsageError(f"the command must be 'mlflow models serve …', not '{' '.join(command)}'")
    if "--help" in command[position + 2 :]:
        raise HelpWanted(*command)
    parser = _Parser(add_help=False, allow_abbrev=False, prog="mlflow models serve")
    parser.add_argument("-m", "--model-uri", required=True)
    parser.add_argument("-h", "--host", default=environment.get("MLFLOW_HOST") or "127.0.0.1")
    parser.add_argument("-p", "--port", type=port, default=environment.get("MLFLOW_PORT") or "5000")
    parser.add_argument(
        "-t",
        "--timeout",
        type=number,
        default=environment.get("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT") or "60",
    )
    known, others = parser.parse_known_args(command[position + 2 :])
    parser.add_argument(
        "-w", "--workers", type=number, default=environment.get("MLFLOW_MODELS_WORKERS") or "1"
    )
    # Of several the last one counts, as in MLflow.
    parser.add_argument("--env-manager", choices=("local", "virtualenv", "uv", "conda"), default="")
    parser.add_argument("--no-conda", action="store_const", const="local", dest="env_manager")
    parser.add_argument("--install-mlflow", action="store_true")
    more, unknown = parser.parse_known_args(command[position + 2 :])
    return WrappedCommand(
        program=tuple(command[:position]),
        model_uri=known.model_uri,
        host=known.host,
        port=known.port,
        timeout=known.timeout,
        others=tuple(others),
        env_manager=more.env_manager,
        workers=more.workers,
        unknown=tuple(unknown),
    )
