"""hotserve's own settings: options in front of the wrapped command, or HOTSERVE_* variables."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from hotserve import __version__
from hotserve.config.mlflow_command import WrappedCommand
from hotserve.config.mlflow_command import parse as parse_command
from hotserve.config.options import Option, options
from hotserve.config.tokens import VARIABLE, read_tokens

_PREFIX = "HOTSERVE_"


class SettingsError(ValueError):
    """The command line or a variable is wrong; the text says what, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be chosen; `hotserve --help` says what each means.

    Attributes whose name ends in `_timeout` or `_interval` are seconds, `max_body` is bytes.
    """

    command: WrappedCommand
    workers: int
    poll_interval: float
    fetch_timeout: float
    start_timeout: float
    stop_timeout: float
    hold_timeout: float
    max_body: int
    max_concurrency: int
    max_connections: int
    read_timeout: float
    idle_timeout: float
    csv: str
    lane: str
    cache: Path
    keep_versions: int
    child_log: str
    access_log: bool
    log_format: str
    token_file: str
    tokens: tuple[str, ...] = field(default=(), repr=False)

    @property
    def log_folder(self) -> Path | None:
        """The folder of `child_log`; None where it names none."""
        return Path(self.child_log) if self.child_log not in ("", "-") else None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}; see hotserve --help")


_DESCRIPTION = """\
Runs 'mlflow models serve' and follows the registry: when another version is promoted it takes
over without a failed request. Without 'hotserve' in front the line is stock MLflow."""

_EPILOG = """\
examples:
  export MLFLOW_TRACKING_URI=http://localhost:5000
  hotserve mlflow models serve -m models:/classificador-produtos/Production -p 8080 -h 0.0.0.0
  hotserve --workers 2 --access-log mlflow models serve -m models:/spam@champion -p 8080 \\
      --env-manager local
  curl -H 'Content-Type: text/csv' --data-binary 'boneca de pano' localhost:8080/invocations
  curl localhost:8080/model

what -m may be:
  models:/NAME/Production, models:/NAME@alias, models:/NAME/latest are followed;
  models:/NAME/3, runs:/..., s3://... and a folder are served as they are.

variables:
  Every option can be set as one: --poll-interval as HOTSERVE_POLL_INTERVAL. An option counts
  before its variable. The registry is MLFLOW_REGISTRY_URI or MLFLOW_TRACKING_URI (http or https),
  with MLflow's own variables for user, password, token and certificates.

exit codes:
  0  stopped by SIGTERM, SIGINT (Ctrl-C) or SIGHUP, after the open requests
  1  a fault of hotserve
  2  an option, a variable, an address, a port or a folder can't be used; one line says which

The interface is described at /docs of a running hotserve.
"""


def read(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Read the whole command line.

    Raises:
        SettingsError, CommandError, TokenError: with one line that says what is wrong.
        SystemExit: for `--help` and `--version`.
        HelpWanted: for the `--help` of the wrapped command.
    """
    parser = _Parser(
        prog="hotserve",
        usage="hotserve [options] mlflow models serve -m MODEL -p PORT [mlflow's options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"hotserve {__version__}")
    groups = options(environment)
    for title, each in groups.items():
        group = parser.add_argument_group(title)
        for option in each:
            if option.metavar is None:
                group.add_argument(
                    option.flag, action="store_const", const="true", help=option.help
                )
                continue
            shown = f" (default {option.default})" if option.default else ""
            group.add_argument(option.flag, metavar=option.metavar, help=option.help + shown)
    parser.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    command: list[str] = given.command
    if command[:1] == ["--"]:
        command = command[1:]
    if given.token_file == "":
        raise SettingsError("--token-file names no file; see hotserve --help")
    values = {
        option.name: _value(option, getattr(given, option.name), environment)
        for each in groups.values()
        for option in each
    }
    settings = Settings(command=parse_command(command, environment), **values)  # type: ignore[arg-type]
    return replace(settings, tokens=read_tokens(environment, settings.token_file))


def _value(option: Option, given: str | None, environment: Mapping[str, str]) -> object:
    source, text = option.flag, given
    if text is None:
        source, text = option.variable, environment.get(option.variable) or option.default
    try:
        return option.read(text)
    except ValueError:
        raise SettingsError(f"{source} must be {option.wanted}, not '{text}'") from None


def misspelt(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that are none of ours and look like one of them, and which.

    Not every other one: in Kubernetes a service called hotserve gives HOTSERVE_PORT to all.
    """
    known = [each.variable for group in options(environment).values() for each in group]
    known.append(VARIABLE)
    others = [name for name in environment if name.startswith(_PREFIX) and name not in known]
    names = {name.removeprefix(_PREFIX): name for name in known}
    found = {}
    for other in others:
        for near in difflib.get_close_matches(other.removeprefix(_PREFIX), names, 1, 0.8):
            found[other] = names[near]
    return found
