"""hotserve's own settings: options in front of the wrapped command, or HOTSERVE_* variables."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from hotserve import __version__
from hotserve.wrapped import WrappedCommand
from hotserve.wrapped import parse as parse_command

CSV_CHOICES = ("auto", "text", "table")
LANE_CHOICES = ("auto", "off")


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


@dataclass(frozen=True, slots=True)
class _Option:
    """One option, the variable that sets it too, its default, and its line of help."""

    flag: str
    default: str
    read: Callable[[str], object]
    help: str
    metavar: str | None = None

    @property
    def name(self) -> str:
        return self.flag.lstrip("-").replace("-", "_")

    @property
    def variable(self) -> str:
        return "HOTSERVE_" + self.name.upper()


def _whole(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError
    return number


def _size(text: str) -> int:
    """Bytes, of `10485760`, `10M` or `64k`."""
    units = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
    factor = units.get(text[-1:].lower(), 1)
    return _whole(text if factor == 1 else text[:-1]) * factor


def _csv(text: str) -> str:
    if text not in CSV_CHOICES:
        raise ValueError
    return text


def _lane(text: str) -> str:
    if text not in LANE_CHOICES:
        raise ValueError
    return text


def _folder(text: str) -> Path:
    return Path(os.path.abspath(Path(text).expanduser()))


def _cores() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0))


def _cache_default(environment: Mapping[str, str]) -> str:
    base = environment.get("XDG_CACHE_HOME") or "~/.cache"
    return str(Path(base) / "hotserve")


def _options(environment: Mapping[str, str]) -> list[_Option]:
    return [
        _Option(
            "--workers",
            str(_cores()),
            _whole,
            "front processes that share the port, one per core if left out; each about 45 MB",
            "N",
        ),
        _Option("--poll-interval", "1", _seconds, "seconds between two looks at the registry", "S"),
        _Option(
            "--fetch-timeout", "600", _seconds, "seconds a model's files may take to fetch", "S"
        ),
        _Option(
            "--start-timeout", "120", _seconds, "seconds a new version may take to get healthy", "S"
        ),
        _Option(
            "--stop-timeout", "8", _seconds, "seconds that open requests get when stopping", "S"
        ),
        _Option(
            "--hold-timeout",
            "30",
            _seconds,
            "seconds a request waits while a server process that died is started again, then 503",
            "S",
        ),
        _Option("--max-body", "64M", _size, "largest request body; k, M and G are known", "SIZE"),
        _Option(
            "--max-concurrency",
            "256",
            _whole,
            "requests that each worker may have under way; others get 503",
            "N",
        ),
        _Option(
            "--max-connections",
            "2000",
            _whole,
            "open connections of each worker; for one more an idle one is closed",
            "N",
        ),
        _Option(
            "--read-timeout",
            "30",
            _seconds,
            "seconds a client may take to send its headers, and a slow one its body",
            "S",
        ),
        _Option(
            "--idle-timeout", "75", _seconds, "seconds a connection may be open without use", "S"
        ),
        _Option(
            "--csv",
            "auto",
            _csv,
            "what text/csv means: 'text' one prediction a line, 'table' the stock meaning, "
            "'auto' by the model's signature or input example",
            "{auto,text,table}",
        ),
        _Option(
            "--lane",
            "auto",
            _lane,
            "'auto' answers linear text classifiers from compiled arrays once their answers were "
            "found equal, 'off' leaves every answer to the wrapped command",
            "{auto,off}",
        ),
        _Option(
            "--cache",
            _cache_default(environment),
            _folder,
            "folder for models; the last good one is served from it when MLflow is down",
            "DIR",
        ),
        _Option("--keep-versions", "3", _whole, "versions of a model kept in the cache", "N"),
        _Option(
            "--child-log",
            "",
            str,
            "folder for the output of the wrapped command (default: in the cache), or - for stderr",
            "DIR",
        ),
    ]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}; see hotserve --help")


_EPILOG = """\
example:
  hotserve mlflow models serve -m models:/classificador-produtos/Production -p 8080 -h 0.0.0.0

Every option can be set as a variable too: --poll-interval as HOTSERVE_POLL_INTERVAL.
The registry is MLFLOW_REGISTRY_URI or MLFLOW_TRACKING_URI (http or https), with MLflow's own
variables for user, password, token and certificates.
"""


def read(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Read the whole command line.

    Raises:
        SettingsError, CommandError: with one line that says what is wrong.
        SystemExit: for `--help` and `--version`.
    """
    parser = _Parser(
        prog="hotserve",
        usage="hotserve [options] mlflow models serve -m MODEL -p PORT [mlflow's options]",
        description="Runs 'mlflow models serve' and follows the registry: when another version is\n"
        "promoted it takes over without a failed request.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"hotserve {__version__}")
    options = _options(environment)
    for option in options:
        shown = f" (default {option.default})" if option.default else ""
        parser.add_argument(option.flag, metavar=option.metavar, help=option.help + shown)
    parser.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    command: list[str] = given.command
    if command[:1] == ["--"]:
        command = command[1:]
    values = {o.name: _value(o, getattr(given, o.name), environment) for o in options}
    return Settings(command=parse_command(command, environment), **values)  # type: ignore[arg-type]


def _value(option: _Option, given: str | None, environment: Mapping[str, str]) -> object:
    source, text = option.flag, given
    if text is None:
        source, text = option.variable, environment.get(option.variable) or option.default
    try:
        return option.read(text)
    except ValueError:
        choices = {"csv": CSV_CHOICES, "lane": LANE_CHOICES}.get(option.name)
        wanted = f"one of {', '.join(choices)}" if choices else "a positive number"
        raise SettingsError(f"{source} must be {wanted}, not '{text}'") from None
