"""What the settings of ``.env`` must be.

What Compose can't see, that a value is there but can't be used, would end some service over and
over, with the reason in its log. So the first job, ``create_s3_buckets``, says it and ends the
start. Two settings are secrets that it is not given: the services that use them look at them.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Rule:
    """What a variable must be.

    Attributes:
        holds: whether a value can be used.
        wanted: what follows "must be".
        secret: whether the value is kept out of the message.
    """

    holds: Callable[[str], bool]
    wanted: str
    secret: bool = False


def _matches(pattern: str) -> Callable[[str], bool]:
    return lambda value: re.fullmatch(pattern, value) is not None


def _is_port(value: str) -> bool:
    return _matches("[0-9]{1,5}")(value) and 1 <= int(value) <= 65535


def _is_address(value: str) -> bool:
    """An http or https URL."""
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError:
        return False
    known = url.scheme in ("http", "https") and url.hostname and port != 0
    return bool(known and _matches("[!-~]+")(value))


def _are_origins(value: str) -> bool:
    """What browsers call a page's origin; MLflow takes a * for any part of it."""
    parts = [each.strip().replace("*", "1") for each in value.split(",")]
    return all(part == "1" or (_is_address(part) and part.count("/") == 2) for part in parts)


def _let_the_services_in(value: str) -> bool:
    """The other services call MLflow by this name, which MLflow compares in this way."""
    return any(fnmatch.fnmatchcase("mlflow:5000", each.strip()) for each in value.split(","))


PORT = Rule(_is_port, "a number from 1 to 65535")
SWITCH = Rule(lambda value: value in ("true", "false"), "true or false")

# With less the job runner's processes would be killed, and MLflow with them.
JOBS_NEED = 2 << 30
UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}

RULES = {
    "S3_PORT": PORT,
    "S3_CONSOLE_PORT": PORT,
    "MLFLOW_PORT": PORT,
    "SERVE_PORT": PORT,
    "AWS_ACCESS_KEY_ID": Rule(_matches("[!-~]{3,}"), "3 visible ASCII characters at least"),
    "AWS_SECRET_ACCESS_KEY": Rule(_matches(".{8,}"), "8 characters at least", secret=True),
    "AWS_REGION": Rule(
        _matches("(?!-)[A-Za-z0-9-]{1,63}(?<!-)"), "a region's name, such as us-east-1"
    ),
    "S3_ENDPOINT_URL": Rule(
        _is_address, "an address that begins with http:// or https://, such as http://s3:9000"
    ),
    "S3_PUBLIC_URL": Rule(
        _is_address, "an address that begins with http:// or https://, as clients reach S3"
    ),
    "MYSQL_USER": Rule(_matches(".{1,32}"), "of 32 characters at most"),
    "MYSQL_BUFFER_POOL": Rule(
        _matches("0*[1-9][0-9]*[KMGkmg]?"),
        "a number of bytes, with K, M or G behind it, such as 64M",
    ),
    "MYSQL_HOST": Rule(
        _matches(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]"), "a host's name or address, without a port"
    ),
    "MYSQL_PORT": PORT,
    "MLFLOW_WORKERS": Rule(_matches("0*[1-9][0-9]{0,3}"), "a whole number from 1"),
    "MLFLOW_ALLOWED_HOSTS": Rule(
        _let_the_services_in,
        "a list with commas that holds mlflow:5000, as the other services call it",
    ),
    "MLFLOW_CORS_ORIGINS": Rule(
        _are_origins,
        "pages with commas, each as in http://mlflow.example.org:5000 and without a path",
    ),
    "MLFLOW_ACCESS_LOG": SWITCH,
    "MLFLOW_JOBS": SWITCH,
}


def _bytes(size: str) -> float:
    """Of a size as Compose reads it, such as 1g; Compose has refused what is none."""
    parts = re.fullmatch(r"([0-9.]+) ?([bkmg]?)(?:i?b)?", size.lower())
    return float(parts[1]) * UNITS[parts[2]] if parts else JOBS_NEED


def _together(environment: Mapping[str, str]) -> list[str]:
    """Lines for settings that can be used, but not with each other."""
    lines = []
    if environment.get("MYSQL_USER") == "root" and environment.get("MYSQL_HOST") == "db":
        lines.append("MYSQL_USER=root: must be another name, the database has a user root already")
    memory = environment.get("MLFLOW_MEMORY")
    if memory and environment.get("MLFLOW_JOBS") == "true" and _bytes(memory) < JOBS_NEED:
        lines.append(f"MLFLOW_MEMORY={memory}: must be 2g at least while MLFLOW_JOBS=true")
    return lines


def wrong(environment: Mapping[str, str]) -> list[str]:
    """A line for each setting that can't be used: its name, its value (no secret's), its rule.

    Of a variable that isn't there nothing is said: Compose has done that.
    """
    lines = []
    for name, rule in RULES.items():
        value = environment.get(name)
        if value and not rule.holds(value):
            shown = name if rule.secret else f"{name}={value}"
            lines.append(f"{shown}: must be {rule.wanted}")
    return lines + _together(environment)
