"""What a setting can be: how its text is read, what help calls it, what an error asks for."""

import contextlib
import dataclasses
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WORKERS_PER_CORE = 4
_WORKERS_ANYWHERE = 64
_ORIGIN = re.compile(r"https?://[a-z0-9.\-\[\]:]+|\*")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value.

    Attributes:
        read: from text to a value; ValueError if it is none.
        metavar: what help calls the value; empty for a switch, which takes none.
        expected: what an error asks for.
    """

    read: Callable[[str], object]
    metavar: str
    expected: str


@dataclass(frozen=True, slots=True)
class Option:
    """A setting as the command line has it; `option` declares one.

    `default`, `meaning` and the kind's `expected` may hold the names of `machine_values` in braces.

    Attributes:
        name: the attribute of the settings.
        default: as text.
    """

    name: str
    kind: Kind
    default: str
    meaning: str

    @property
    def flag(self) -> str:
        """The option on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The variable that counts where the option is not given."""
        return "HOTSERVE_" + self.name.upper()


def option(kind: Kind, default: str, meaning: str) -> Any:
    """A field of a dataclass that is a setting."""
    return dataclasses.field(metadata={"kind": kind, "default": default, "meaning": meaning})


def options_of(settings: type) -> list[Option]:
    """The settings that a dataclass declares, in their order."""
    fields = dataclasses.fields(settings)
    return [Option(field.name, **field.metadata) for field in fields if field.metadata]


def machine_values(environment: Mapping[str, str]) -> dict[str, str]:
    """What depends on the machine: the names in braces in an option's texts."""
    cores = len(os.sched_getaffinity(0))
    return {
        "cores": str(cores),
        # More than this help nobody, and a slip of the pen must not take the whole memory.
        "most_workers": str(max(_WORKERS_ANYWHERE, _WORKERS_PER_CORE * cores)),
        "processes": str(max(2, _memory() >> 30)),
        "memory": f"{(_memory() >> 20) * 3 // 4}M",
        "cache_home": environment.get("XDG_CACHE_HOME") or "~/.cache",
    }


def _memory() -> int:
    """Bytes that this machine has, or this container may use."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):
        found = min(found, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return found


def number(text: str) -> int:
    """A whole number above 0.

    Raises:
        ValueError: it is none.
    """
    found = int(text)
    if found < 1:
        raise ValueError
    return found


def _workers(text: str) -> int:
    workers = number(text)
    if workers > int(machine_values({})["most_workers"]):
        raise ValueError
    return workers


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError
    return seconds


def _size(text: str) -> int:
    """Bytes, of `10485760`, `10M` or `64k`."""
    factor = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}.get(text[-1:].lower(), 1)
    return number(text if factor == 1 else text[:-1]) * factor


def _switch(text: str) -> bool:
    if text.lower() not in ("true", "1", "false", "0", ""):
        raise ValueError
    return text.lower() in ("true", "1")


def _folder(text: str) -> Path:
    if not text:
        # It would be the current folder; rather, it is a variable of the shell that is not set.
        raise ValueError
    try:
        return Path(os.path.abspath(Path(text).expanduser()))
    except RuntimeError:
        raise ValueError from None


def _output(text: str) -> str:
    return text if text in ("", "-") else str(_folder(text))


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(text.replace(",", " ").split())
    if not all(map(_ORIGIN.fullmatch, origins)):
        raise ValueError
    return origins


def _networks(text: str) -> tuple[str, ...]:
    """Of `10.0.0.1, 192.168.0.0/16`; an address is a network of one."""
    if text == "*":
        return "0.0.0.0/0", "::/0"
    return tuple(str(ipaddress.ip_network(one)) for one in text.replace(",", " ").split())


def choice(*choices: str) -> Kind:
    """One of a few words; the first one is the default."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError
        return text

    return Kind(read, "{" + ",".join(choices) + "}", f"one of {', '.join(choices)}")


SECONDS = Kind(_seconds, "S", "a number above 0")
COUNT = Kind(number, "N", "a whole number above 0")
WORKERS = Kind(_workers, "N", "a whole number from 1 to {most_workers}")
SIZE = Kind(_size, "SIZE", "a whole number of bytes, or one with k, M or G behind it")
SWITCH = Kind(_switch, "", "true or false")
FOLDER = Kind(_folder, "DIR", "a folder, and the home that ~ stands for known")
OUTPUT = Kind(_output, "DIR", FOLDER.expected)
ORIGINS = Kind(
    _origins, "ORIGINS", "origins as browsers send them (https://example.org), with commas between"
)
NETWORKS = Kind(
    _networks, "IPS", "addresses or networks (10.0.0.0/8) with commas between, or * for all"
)
FILE = Kind(str, "FILE", "a file")
TEXT = Kind(str, "NAME", "a name")
