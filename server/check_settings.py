"""Checks the settings of ``.env``: ``python -m server.check_settings``.

What Compose can't see, that a value is there but can't be used, would end some service over and
over, with the reason in its log, and make a database with a password that lets nobody in. So the
job ``check_settings`` looks first, says what is wrong and ends the start. It is given the secrets
too, but no network. Exit code 2: a setting can't be used.
"""

import fnmatch
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit


def _is_port(value: str) -> bool:
    return bool(re.fullmatch("[0-9]{1,5}", value)) and 1 <= int(value) <= 65535


def _is_address(value: str) -> bool:
    """An http or https URL."""
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError:
        return False
    known = url.scheme in ("http", "https") and url.hostname and port != 0
    return bool(known and re.fullmatch("[!-~]+", value))


def _are_origins(value: str) -> bool:
    """What browsers call a page's origin; MLflow takes a * for any part of it."""
    parts = [each.strip().replace("*", "1") for each in value.split(",")]
    return all(part == "1" or (_is_address(part) and part.count("/") == 2) for part in parts)


def _let_the_services_in(value: str) -> bool:
    """The other services call MLflow by this name, which MLflow compares in this way."""
    return any(fnmatch.fnmatchcase("mlflow:5000", each.strip()) for each in value.split(","))


PORT = (_is_port, "a number from 1 to 65535")
SWITCH = ("true|false", "true or false")
ADDRESS = "an address that begins with http:// or https://"
# PyMySQL sends a password as latin-1, and MySQL compares it as UTF-8.
PASSWORD = ("[ -~]+", "of ASCII characters")
LONG = ("[!-~]{12,}", "12 visible ASCII characters at least, without spaces")

# With less the job runner's processes would be killed, and MLflow with them.
JOBS_NEED = 2 << 30
UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}

# A pattern or a function that a value has to pass, and what follows "must be" where it doesn't.
RULES: dict[str, tuple[str | Callable[[str], bool], str]] = {
    "S3_PORT": PORT,
    "S3_CONSOLE_PORT": PORT,
    "MLFLOW_PORT": PORT,
    "SERVE_PORT": PORT,
    "AWS_ACCESS_KEY_ID": ("[!-~]{3,}", "3 visible ASCII characters at least"),
    "AWS_SECRET_ACCESS_KEY": (".{8,}", "8 characters at least"),
    "AWS_REGION": ("(?!-)[A-Za-z0-9-]{1,63}(?<!-)", "a region's name, such as us-east-1"),
    "S3_ENDPOINT_URL": (_is_address, f"{ADDRESS}, such as http://s3:9000"),
    "S3_PUBLIC_URL": (_is_address, f"{ADDRESS}, as clients reach S3"),
    "S3_WAIT_SECONDS": (r"[0-9]+(\.[0-9]+)?", "a number of seconds"),
    "MYSQL_USER": (".{1,32}", "of 32 characters at most"),
    "MYSQL_PASSWORD": PASSWORD,
    "MYSQL_ROOT_PASSWORD": PASSWORD,
    "MYSQL_BUFFER_POOL": (
        "0*[1-9][0-9]*[KMGkmg]?",
        "a number of bytes, with K, M or G behind it, such as 64M",
    ),
    "MYSQL_HOST": (
        r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]",
        "a host's name or address, without a port",
    ),
    "MYSQL_PORT": PORT,
    "MLFLOW_WORKERS": ("0*[1-9][0-9]{0,3}", "a whole number from 1"),
    "MLFLOW_ALLOWED_HOSTS": (
        _let_the_services_in,
        "a list with commas that holds mlflow:5000, as the other services call it",
    ),
    "MLFLOW_CORS_ORIGINS": (
        _are_origins,
        "pages with commas, each as in http://mlflow.example.org:5000 and without a path",
    ),
    "MLFLOW_ACCESS_LOG": SWITCH,
    "MLFLOW_JOBS": SWITCH,
    "HOTSERVE_ACCESS_LOG": SWITCH,
    "HOTSERVE_TOKEN": ("[!-~]+", "visible ASCII characters without spaces"),
    "PUBLIC_HOST": (
        # As browsers send it: MLflow compares it letter by letter.
        r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?",
        "a host's name in small letters or its IPv4 address, without a port",
    ),
    "TLS": (r"internal|\S+@\S+|/\S+ /\S+", "internal, an e-mail address, or two files' paths"),
    "GRAFANA_PASSWORD": LONG,
    "MLFLOW_SECRET_KEY": LONG,
    "MLFLOW_ADMIN_PASSWORD": LONG,
    "MLFLOW_TRAINER_PASSWORD": LONG,
    "MLFLOW_HOTSERVE_PASSWORD": LONG,
    "MLFLOW_BATCH_PASSWORD": LONG,
}
SECRETS = {name for name in RULES if re.search("PASSWORD|SECRET|TOKEN", name)}
# What `.env` ships with, and everybody knows.
DEVELOPMENT = "somente-para-desenvolvimento"


def _bytes(size: str) -> float:
    """Of a size as Compose reads it, such as 1g; Compose has refused what is none."""
    parts = re.fullmatch(r"([0-9.]+) ?([bkmg]?)(?:i?b)?", size.lower())
    return float(parts[1]) * UNITS[parts[2]] if parts else JOBS_NEED


def _wrong_for_our_mysql(environment: Mapping[str, str]) -> list[str]:
    """The image writes user and passwords into SQL as they are, and root's into an option file."""
    unfit = {"MYSQL_USER": "'\\", "MYSQL_PASSWORD": "'\\", "MYSQL_ROOT_PASSWORD": "'\\#"}
    lines = [
        f"{name}: must be without {' '.join(characters)} for the MySQL of the stack"
        for name, characters in unfit.items()
        if set(characters) & set(environment.get(name, ""))
    ]
    if environment.get("MYSQL_USER") == "root":
        lines.append("MYSQL_USER=root: must be another name, the database has a user root already")
    return lines


def wrong(environment: Mapping[str, str]) -> list[str]:
    """A line for each setting that can't be used: its name, its value (no secret's), its rule.

    Of a variable that is missing or empty nothing is said: Compose has done that.
    """
    lines = []
    for name, (rule, wanted) in RULES.items():
        value = environment.get(name)
        if value and not (rule(value) if callable(rule) else re.fullmatch(rule, value)):
            shown = name if name in SECRETS else f"{name}={value}"
            lines.append(f"{shown}: must be {wanted}")
    if environment.get("MYSQL_HOST") == "db":
        lines += _wrong_for_our_mysql(environment)
    if environment.get("PUBLIC_HOST"):
        lines += [
            f"{name}: must not be the one that is in everybody's .env; `make team` writes another"
            for name in sorted(SECRETS)
            if environment.get(name) == DEVELOPMENT
        ]
    memory = environment.get("MLFLOW_MEMORY")
    if memory and environment.get("MLFLOW_JOBS") == "true" and _bytes(memory) < JOBS_NEED:
        lines.append(f"MLFLOW_MEMORY={memory}: must be 2g at least while MLFLOW_JOBS=true")
    return lines


def report(job: str, environment: Mapping[str, str], required: Sequence[str] = ()) -> bool:
    """Say a line for each setting that is missing or can't be used. Returns whether none is."""
    lines = [f"{name} must be set" for name in required if not environment.get(name)]
    lines += [f"{line}; change it in .env" for line in wrong(environment)]
    for line in lines:
        print(f"{job}: {line}", file=sys.stderr)
    return not lines


if __name__ == "__main__":
    sys.exit(0 if report("check_settings", os.environ) else 2)
