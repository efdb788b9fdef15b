"""hotserve's own settings: options in front of the wrapped command, or HOTSERVE_* variables."""

import argparse
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from hotserve import __version__
from hotserve.config.errors import UsageError
from hotserve.config.mlflow_command import WrappedCommand
from hotserve.config.mlflow_command import parse as parse_command
from hotserve.config.options import (
    COUNT,
    FILE,
    FOLDER,
    NETWORKS,
    ORIGINS,
    OUTPUT,
    SECONDS,
    SIZE,
    SWITCH,
    TEXT,
    WORKERS,
    Option,
    choice,
    machine_values,
    option,
    options_of,
)
from hotserve.config.tokens import VARIABLE, Client, read_tokens
from hotserve.log import FORMATS

_PREFIX = "HOTSERVE_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be chosen, declared once: options, variables, help and docs follow.

    Attributes whose name ends in `_timeout` or `_interval` are seconds, `max_body` and
    `max_memory` bytes.
    """

    command: WrappedCommand
    poll_interval: float = option(SECONDS, "1", "seconds between two looks at the registry")
    fetch_timeout: float = option(SECONDS, "600", "seconds that fetching a model's files may take")
    start_timeout: float = option(
        SECONDS,
        "120",
        "seconds a new version may take to get healthy; where its environment is made first "
        "(--env-manager virtualenv or conda) it may need more",
    )
    cache: Path = option(
        FOLDER,
        "{cache_home}/hotserve",
        "folder for models; the last good one is served from it when MLflow is down",
    )
    keep_versions: int = option(COUNT, "3", "versions of a model kept in the cache")
    csv: str = option(
        choice("auto", "text", "table"),
        "auto",
        "what text/csv means: 'text' one prediction a line, 'table' the stock meaning, "
        "'auto' by what the model says of itself",
    )
    lane: str = option(
        choice("auto", "off"),
        "auto",
        "'auto' answers linear text classifiers from compiled arrays once their answers "
        "were found equal, 'off' leaves every answer to the wrapped command",
    )
    batching: str = option(
        choice("auto", "off"),
        "auto",
        "'auto' has requests that wait for the model's process go to it together, once rows "
        "together were found to be answered as one by one; 'off' sends each by itself",
    )
    compare: str = option(
        TEXT,
        "",
        "a stage or @alias of the same model: the page shows the category and the words of its "
        "version beside those of the one that answers; for a model of the fast lane, where it is "
        "the only one",
    )
    cors_origins: tuple[str, ...] = option(
        ORIGINS,
        "",
        "origins whose web pages may ask (https://shop.example, with commas between), or * for all",
    )
    token_file: str = option(
        FILE,
        "",
        "answer only to who shows one of the tokens in this file, one a line, its client's name "
        "before it or not, the models that it is good for behind it (models:/NAME) or not; "
        "HOTSERVE_TOKEN is one token",
    )
    workers: int = option(
        WORKERS,
        "{cores}",
        "front processes that share the port, one per core if left out, at most {most_workers} "
        "on this machine; each about 45 MB",
    )
    process: str = option(
        choice("always", "asleep"),
        "always",
        "'asleep' ends the model's process while the lane is open and no request needs it; the "
        "first one that does starts it again, and waits for it",
    )
    process_idle: float = option(
        SECONDS, "300", "seconds without a request after which the model's process falls asleep"
    )
    max_processes: int = option(
        COUNT,
        "{processes}",
        "models' processes that may run at a time where many models are served, one per GB of "
        "memory if left out; the one least recently used goes to sleep for another",
    )
    max_memory: int = option(
        SIZE,
        "{memory}",
        "memory that the processes of many models may take together, three quarters of what there "
        "is if left out; beyond it the one least recently used goes to sleep",
    )
    hold_timeout: float = option(
        SECONDS, "30", "seconds a request waits while a server process that died is started again"
    )
    stop_timeout: float = option(SECONDS, "8", "seconds that open requests get when stopping")
    max_body: int = option(SIZE, "64M", "largest body; k, M and G are known")
    max_concurrency: int = option(COUNT, "256", "requests that may be under way; others get 503")
    max_connections: int = option(
        COUNT, "2000", "open connections; for one more an idle one is closed"
    )
    read_timeout: float = option(
        SECONDS, "30", "seconds a client may take to send its headers, and a slow one its body"
    )
    idle_timeout: float = option(SECONDS, "75", "seconds a connection may be open without use")
    access_log: bool = option(SWITCH, "false", "a line of JSON for each request on standard output")
    forwarded_allow_ips: tuple[str, ...] = option(
        NETWORKS,
        "",
        "proxies whose X-Forwarded-For the access log believes: addresses or networks with commas "
        "between, or * for all",
    )
    log_format: str = option(
        choice(*FORMATS), FORMATS[0], "of hotserve's own lines on standard error"
    )
    child_log: str = option(
        OUTPUT,
        "",
        "folder for the output of the wrapped command, or - for standard error "
        "(default: in the cache)",
    )
    tokens: dict[str, Client] | None = field(default=None, repr=False)

    @property
    def log_folder(self) -> Path | None:
        """The folder of `child_log`; None where it names none."""
        return Path(self.child_log) if self.child_log not in ("", "-") else None


OPTIONS = options_of(Settings)

_HEADINGS = {
    "poll_interval": "following the registry",
    "csv": "answers",
    "workers": "processes",
    "max_body": "limits, for each worker",
    "access_log": "logs",
}
"""What stands in help above the first option of a group."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see hotserve --help")


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
  models:/NAME/3, runs:/..., s3://... and a folder are served as they are;
  'models:/*/Production' and 'models:/shop-*@alias' are all models that match, at /models/NAME/.

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
        UsageError: an option, a variable or the wrapped command is wrong.
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
    machine = machine_values(environment)
    for each in OPTIONS:
        if each.name in _HEADINGS:
            group = parser.add_argument_group(_HEADINGS[each.name])
        meaning = each.meaning.format_map(machine)
        if not each.kind.metavar:
            group.add_argument(each.flag, action="store_const", const="true", help=meaning)
            continue
        default = f" (default {each.default})".format_map(machine) if each.default else ""
        group.add_argument(each.flag, metavar=each.kind.metavar, help=meaning + default)
    parser.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    command: list[str] = given.command
    if command[:1] == ["--"]:
        command = command[1:]
    if given.token_file == "":
        raise UsageError("--token-file names no file; see hotserve --help")
    values = {
        each.name: _value(each, getattr(given, each.name), environment, machine) for each in OPTIONS
    }
    settings = Settings(command=parse_command(command, environment), **values)  # type: ignore[arg-type]
    return replace(settings, tokens=read_tokens(environment, settings.token_file))


def _value(
    option: Option, given: str | None, environment: Mapping[str, str], machine: Mapping[str, str]
) -> object:
    source, text = option.flag, given
    if text is None:
        default = option.default.format_map(machine)
        source, text = option.variable, environment.get(option.variable) or default
    try:
        return option.kind.read(text)
    except ValueError:
        expected = option.kind.expected.format_map(machine)
        raise UsageError(f"{source} must be {expected}, not '{text}'") from None


def misspelt(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that are none of ours and look like one of them, and which.

    Not every other one: in Kubernetes a service called hotserve gives HOTSERVE_PORT to all.
    """
    known = [*(each.variable for each in OPTIONS), VARIABLE]
    others = [name for name in environment if name.startswith(_PREFIX) and name not in known]
    names = {name.removeprefix(_PREFIX): name for name in known}
    found = {}
    for other in others:
        for near in difflib.get_close_matches(other.removeprefix(_PREFIX), names, 1, 0.8):
            found[other] = names[near]
    return found
