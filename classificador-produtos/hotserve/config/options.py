"""The table of hotserve's own options: what each is called, read as, and said to be."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hotserve.log import FORMATS

CSV_CHOICES = ("auto", "text", "table")
LANE_CHOICES = ("auto", "off")
_WORKERS_OF_A_CORE = 4
_WORKERS_ANYWHERE = 64
_A_WHOLE_NUMBER = "a whole number above 0"
_A_FOLDER = "a folder, and the home that ~ stands for known"
_SWITCH_CHOICES = {"true": True, "1": True, "false": False, "0": False, "": False}


@dataclass(frozen=True, slots=True)
class Option:
    """One option, the variable that sets it too, its default, and its line of help.

    Attributes:
        read: from text to a value; ValueError if it is none.
        metavar: what help calls its value; None for a switch, which takes none.
        wanted: what to say where `read` fails.
    """

    flag: str
    default: str
    read: Callable[[str], object]
    help: str
    metavar: str | None
    wanted: str = "a number above 0"

    @property
    def name(self) -> str:
        """As an attribute of the settings."""
        return self.flag.lstrip("-").replace("-", "_")

    @property
    def variable(self) -> str:
        """The variable that sets it, where it is not given."""
        return "HOTSERVE_" + self.name.upper()


def _whole(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _whole_up_to(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = _whole(text)
        if number > most:
            raise ValueError
        return number

    return read


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


def _switch(text: str) -> bool:
    try:
        return _SWITCH_CHOICES[text.lower()]
    except KeyError:
        raise ValueError from None


def _folder(text: str) -> Path:
    if not text:
        # It would be the current folder; rather, it is a variable of the shell that is not set.
        raise ValueError
    try:
        return Path(os.path.abspath(Path(text).expanduser()))
    except RuntimeError:
        raise ValueError from None


def _folder_or_stream(text: str) -> str:
    return text if text in ("", "-") else str(_folder(text))


def _choice(flag: str, choices: tuple[str, ...], told: str) -> Option:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError
        return text

    shown = "{" + ",".join(choices) + "}"
    return Option(flag, choices[0], read, told, shown, f"one of {', '.join(choices)}")


def _cores() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0))


def _most_workers() -> int:
    """More than this help nobody, and a slip of the pen must not take the whole memory."""
    return max(_WORKERS_ANYWHERE, _WORKERS_OF_A_CORE * _cores())


def _cache_default(environment: Mapping[str, str]) -> str:
    base = environment.get("XDG_CACHE_HOME") or "~/.cache"
    return str(Path(base) / "hotserve")


def options(environment: Mapping[str, str]) -> dict[str, list[Option]]:
    """Every option, by the heading under which help shows it."""
    cache = _cache_default(environment)
    most = _most_workers()
    return {
        "following the registry": [
            Option("--poll-interval", "1", _seconds, "seconds between two looks at it", "S"),
            Option("--fetch-timeout", "600", _seconds, "seconds that fetching may take", "S"),
            Option(
                "--start-timeout",
                "120",
                _seconds,
                "seconds a new version may take to get healthy",
                "S",
            ),
            Option(
                "--cache",
                cache,
                _folder,
                "folder for models; the last good one is served from it when MLflow is down",
                "DIR",
                _A_FOLDER,
            ),
            Option(
                "--keep-versions",
                "3",
                _whole,
                "versions of a model kept there",
                "N",
                _A_WHOLE_NUMBER,
            ),
        ],
        "answers": [
            _choice(
                "--csv",
                CSV_CHOICES,
                "what text/csv means: 'text' one prediction a line, 'table' the stock meaning, "
                "'auto' by the model's signature or input example",
            ),
            _choice(
                "--lane",
                LANE_CHOICES,
                "'auto' answers linear text classifiers from compiled arrays once their answers "
                "were found equal, 'off' leaves every answer to the wrapped command",
            ),
            Option(
                "--token-file",
                "",
                str,
                "answer only to who shows one of the tokens in this file, one a line; "
                "HOTSERVE_TOKEN is one token",
                "FILE",
            ),
        ],
        "processes": [
            Option(
                "--workers",
                str(_cores()),
                _whole_up_to(most),
                "front processes that share the port, one per core if left out, at most "
                f"{most} on this machine; each about 45 MB",
                "N",
                f"a whole number from 1 to {most}",
            ),
            Option(
                "--hold-timeout",
                "30",
                _seconds,
                "seconds a request waits while a server process that died is started again",
                "S",
            ),
            Option(
                "--stop-timeout", "8", _seconds, "seconds that open requests get when stopping", "S"
            ),
        ],
        "limits, for each worker": [
            Option(
                "--max-body",
                "64M",
                _size,
                "largest body; k, M and G are known",
                "SIZE",
                "a whole number of bytes, or one with k, M or G behind it",
            ),
            Option(
                "--max-concurrency",
                "256",
                _whole,
                "requests that may be under way; others get 503",
                "N",
                _A_WHOLE_NUMBER,
            ),
            Option(
                "--max-connections",
                "2000",
                _whole,
                "open connections; for one more an idle one is closed",
                "N",
                _A_WHOLE_NUMBER,
            ),
            Option(
                "--read-timeout",
                "30",
                _seconds,
                "seconds a client may take to send its headers, and a slow one its body",
                "S",
            ),
            Option(
                "--idle-timeout",
                "75",
                _seconds,
                "seconds a connection may be open without use",
                "S",
            ),
        ],
        "logs": [
            Option(
                "--access-log",
                "false",
                _switch,
                "a line of JSON for each request on standard output",
                None,
                "true or false",
            ),
            _choice("--log-format", FORMATS, "of hotserve's own lines on standard error"),
            Option(
                "--child-log",
                "",
                _folder_or_stream,
                "folder for the output of the wrapped command, or - for standard error "
                "(default: in the cache)",
                "DIR",
                _A_FOLDER,
            ),
        ],
    }
