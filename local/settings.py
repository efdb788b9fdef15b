"""The settings of `make run`, read from the environment and checked before anything starts."""

import difflib
import fcntl
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from hotserve.config.errors import UsageError
from hotserve.config.tokens import FILE_VARIABLE, read_tokens
from local.language import tr

ROOT = Path(__file__).resolve().parent.parent

ON_THE_LINE = ("MLFLOW_PORT", "SERVE_PORT", "STACK_HOME", "DATASET", "LINGUA", "LOCAL", "VERSION")
"""What `make run` and `make reset` read of what stands behind them."""

ALIKE = 0.85
"""Less, and MLFLOW_HOST, which MLflow reads, would be taken for MLFLOW_PORT."""


@dataclass(frozen=True)
class Settings:
    """What a user may choose.

    Attributes:
        mlflow_port, serve_port: on the loopback.
        home: the place of the data.
        dataset: the table of products.
        token: one that the API answers to; None if it needs none.
    """

    mlflow_port: int
    serve_port: int
    home: Path
    dataset: str
    token: str | None = field(default=None, repr=False)

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def mlflow_url(self) -> str:
        return f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def serve_url(self) -> str:
        return f"http://127.0.0.1:{self.serve_port}"


def short(path: Path) -> str:
    """A path as one would type it in the current folder, if it lies in there."""
    relative = os.path.relpath(path)
    return relative if not relative.startswith("..") else str(path)


def read(environ: Mapping[str, str], cwd: Path | None = None) -> Settings:
    """Read the settings; relative paths count from ``cwd``, the shipped defaults from the project.

    Raises:
        UsageError: a setting was given to make under a name that is almost its own, a port is no
            number from 1 to 65535, both are the same, a path cannot stand in the process runner's
            configuration, or the API's tokens can't be used.
    """
    cwd = cwd or Path.cwd()
    _check_names(environ.get("MAKEFLAGS", ""))
    mlflow_port = _port(environ, "MLFLOW_PORT", 5000)
    serve_port = _port(environ, "SERVE_PORT", 8080)
    if mlflow_port == serve_port:
        raise UsageError(
            tr(
                "MLFLOW_PORT and SERVE_PORT are both {serve_port}: give one of them another number"
            ).format(serve_port=serve_port)
        )
    # zsh and dash leave the ~ of an argument such as STACK_HOME=~/x to us.
    home = Path(
        os.path.abspath(cwd / os.path.expanduser(environ.get("STACK_HOME") or ROOT / ".stack"))
    )
    if unfit := set(str(home)) & set("%\"'#;?\n"):
        raise UsageError(
            tr("STACK_HOME={home}: choose a path without {unfit}").format(
                home=home, unfit=" ".join(sorted(unfit))
            )
        )
    dataset = environ.get("DATASET") or str(ROOT / "trainer" / "produtos.csv")
    # The trainer says which addresses can be read.
    if "://" not in dataset:
        dataset = os.path.abspath(cwd / os.path.expanduser(dataset))
    if '"' in dataset or "\n" in dataset:
        raise UsageError(tr("DATASET has a quotation mark in it: rename the file"))
    tokens = read_tokens(environ, environ.get(FILE_VARIABLE, ""))
    return Settings(mlflow_port, serve_port, home, dataset, next(iter(tokens)) if tokens else None)


def _check_names(flags: str) -> None:
    """See that no variable on make's own line, as make hands it down, is a misspelt setting."""
    for name in re.findall(r"(?<!\S)([A-Za-z]\w*)=", re.sub(r"\\.", "_", flags)):
        if name not in ON_THE_LINE:
            for near in difflib.get_close_matches(name.upper(), ON_THE_LINE, 1, ALIKE):
                raise UsageError(
                    tr("{name} is no setting; write it {near}=…").format(name=name, near=near)
                )


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise UsageError(
            tr("{name}={text}: a port is a number from 1 to 65535").format(name=name, text=text)
        )
    return int(text)


def check_tools() -> None:
    """See that what the services are started with is there.

    Raises:
        UsageError: a program is missing, with the package that brings it.
    """
    if shutil.which("setpriv") is None:
        raise UsageError(tr("setpriv was not found: install the package util-linux"))


def check_port(name: str, port: int) -> None:
    """See that nothing listens on the port yet.

    Raises:
        UsageError: the port cannot be bound on the loopback.
    """
    with socket.socket() as probe:
        # Without it a port that was ours a minute ago would count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return
        except PermissionError:
            other = port + 8000
            said = tr(
                "port {port} may not be opened by this user: choose one above 1023, make run "
                "{name}={port2}"
            )
        except OSError:
            other = port + 1
            said = tr(
                "port {port} is in use: stop what listens there, or choose another, make run "
                "{name}={port2}"
            )
    raise UsageError(said.format(port=port, name=name, port2=other))


def lock(path: Path, message: str) -> IO[str]:
    """Hold a lock for as long as the file that is given back stays open.

    Raises:
        UsageError: somebody else holds it; with this message.
    """
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise UsageError(message) from None
    return file


def prepare_home(settings: Settings) -> IO[str]:
    """Make the data folder and lock it: two stacks in one folder would ruin each other's data.

    Returns:
        What holds the lock.

    Raises:
        UsageError: the folder cannot be made or written, or another `make run` has it.
    """
    taken = tr(
        "another `make run` uses the data folder {home}: stop it, or give this one "
        "its own, make run STACK_HOME=/another/folder"
    ).format(home=settings.home)
    try:
        settings.logs.mkdir(parents=True, exist_ok=True)
        return lock(settings.home / "lock", taken)
    except OSError as error:
        raise UsageError(
            tr(
                "the data folder {home} cannot be written ({strerror}): choose another, make "
                "run STACK_HOME=/a/folder/of/yours"
            ).format(home=settings.home, strerror=error.strerror)
        ) from None


def check_dataset(settings: Settings) -> None:
    """Let the trainer look at the table of products before anything starts.

    Raises:
        UsageError: the trainer's own line about what is wrong with it.
    """
    check = subprocess.run(
        [sys.executable, "-m", "produtos.check", settings.dataset],
        cwd=ROOT / "trainer",
        capture_output=True,
        text=True,
        check=False,
    )
    if check.returncode:
        lines = check.stderr.strip().splitlines()
        message = (
            lines[-1].removeprefix("check.py: ") if lines else tr("the data set cannot be read")
        )
        raise UsageError(message)
