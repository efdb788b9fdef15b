"""The `hotserve` command."""

import dataclasses
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

import uvloop

from hotserve import log
from hotserve.config import model_uri, tokens
from hotserve.config import registry_credentials as connections
from hotserve.config import settings as settings_module
from hotserve.config.errors import UsageError
from hotserve.config.folders import make_ready
from hotserve.config.mlflow_command import HelpWanted
from hotserve.config.proxies import bypass_on_loopback
from hotserve.config.settings import Settings
from hotserve.manager import main as manager


def main(arguments: Sequence[str] | None = None) -> int:
    """Run hotserve; returns the exit code: 2 for whatever the user has to put right."""
    try:
        return _run(sys.argv[1:] if arguments is None else arguments)
    except UsageError as error:
        print(f"hotserve: {error}", file=sys.stderr)
        return 2


def _run(arguments: Sequence[str]) -> int:
    bypass_on_loopback(os.environ)
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UsageError("the current folder was removed; run hotserve in another one") from None
    try:
        settings = settings_module.read(arguments, os.environ)
    except HelpWanted as wanted:
        _become(wanted.args)
    # No process that is started from here on gets to see it.
    token = os.environ.pop(tokens.VARIABLE, None)
    name, *module = settings.command.program
    program, environment = _find(name)
    command = dataclasses.replace(settings.command, program=(program, *module))
    settings = dataclasses.replace(settings, command=command)
    reference = model_uri.parse(settings.command.model_uri)
    connection = connections.read(os.environ) if reference.in_registry else None
    scope = connections.scope(os.environ, in_registry=reference.in_registry)
    make_ready(settings.cache, settings.cache, "cache folder", "--cache")
    if settings.log_folder is not None:
        make_ready(settings.log_folder, settings.log_folder, "folder for the output", "--child-log")
    listeners = manager.listen(settings.command.host, settings.command.port)
    log.to_stderr(settings.log_format)
    _warn(settings, {**os.environ, tokens.VARIABLE: token} if token is not None else os.environ)
    return uvloop.run(manager.run(settings, reference, connection, scope, listeners, environment))


def _warn(settings: Settings, environment: Mapping[str, str]) -> None:
    """Tell of what may have been meant otherwise."""
    if not settings.tokens:
        for variable in (tokens.VARIABLE, tokens.FILE_VARIABLE):
            if environment.get(variable) == "":
                log.logger.warning("%s is empty: everybody is answered", variable)
    for variable, known in settings_module.misspelt(environment).items():
        log.logger.warning("%s is no setting; is %s meant?", variable, known)


def _become(command: Sequence[str]) -> NoReturn:
    """Run the wrapped command in this one's place: its output, its exit code."""
    program, environment = _find(command[0])
    os.execve(program, list(command), environment)


def _find(program: str) -> tuple[str, dict[str, str]]:
    """The wrapped program's path, and variables with which it finds what was installed with it.

    `mlflow models serve` runs `uvicorn` by name: in a virtual environment that is not activated
    it would not be there, or be another one.
    """
    # Where hotserve was installed, mlflow often was too.
    beside = os.path.dirname(sys.executable)
    found = shutil.which(program) or shutil.which(program, path=beside)
    if found is None:
        raise UsageError(f"there is no program '{program}'; is MLflow installed here?")
    found = os.path.abspath(found)
    path = os.pathsep.join(filter(None, [os.path.dirname(found), os.environ.get("PATH")]))
    return found, {**os.environ, "PATH": path}
