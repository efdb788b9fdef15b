"""Waits until MySQL lets us in, then becomes the command, which finds the database.

``python -m server.with_mysql mlflow server …``: MLflow's ``MLFLOW_BACKEND_STORE_URI`` is put
together from ``MYSQL_HOST`` (``db``), ``MYSQL_PORT`` (3306), ``MYSQL_DATABASE``, ``MYSQL_USER``
and ``MYSQL_PASSWORD``, so that a password may have any ASCII character in it.

A refused password is said once, in one line, and then tried again now and then: neither a
traceback nor a container that starts over and over, and a password that is mended in MySQL
is taken up. Tables of a first start that was cut off are made again. Exit code 2: a setting
is missing; 127: the command is not found.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pymysql
from pymysql.constants import CR, ER
from sqlalchemy import URL

from server import half_made

PAUSE_SECONDS = 2.0
REQUIRED = ("MYSQL_DATABASE", "MYSQL_USER", "MYSQL_PASSWORD")


class SettingError(Exception):
    """One line that says which setting is wrong."""


def address(environment: Mapping[str, str]) -> URL:
    """The database's address.

    Raises:
        SettingError: a required variable is missing, the password is not ASCII, or the port is
            no number.
    """
    for name in REQUIRED:
        if not environment.get(name):
            raise SettingError(f"{name} must be set")
    if not environment["MYSQL_PASSWORD"].isascii():
        # PyMySQL sends it as latin-1, MySQL compares it as UTF-8: it would be refused for ever.
        raise SettingError("MYSQL_PASSWORD must be of ASCII characters")
    port = environment.get("MYSQL_PORT") or "3306"
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise SettingError(f"MYSQL_PORT={port}: a port is a number from 1 to 65535")
    return URL.create(
        "mysql+pymysql",
        username=environment["MYSQL_USER"],
        password=environment["MYSQL_PASSWORD"],
        host=environment.get("MYSQL_HOST") or "db",
        port=int(port),
        database=environment["MYSQL_DATABASE"],
    )


def _connect(url: URL) -> Any:
    return pymysql.connect(
        host=url.host,
        port=url.port or 3306,
        user=url.username,
        password=str(url.password),
        database=url.database,
        connect_timeout=5,
    )


def trouble(url: URL) -> str | None:
    """Why MySQL does not let us in, in one line; None when it does."""
    place = f"{url.host}:{url.port}"
    try:
        _connect(url).close()
    except pymysql.MySQLError as error:
        code = error.args[0] if error.args else None
        if code == ER.ACCESS_DENIED_ERROR:
            return (
                f"MySQL at {place} refuses the user {url.username}: see MYSQL_USER and "
                "MYSQL_PASSWORD (a database keeps the password that it was made with)"
            )
        if code in {ER.DBACCESS_DENIED_ERROR, ER.BAD_DB_ERROR}:
            return (
                f"MySQL at {place} has no database {url.database} that the user "
                f"{url.username} may use: see MYSQL_DATABASE"
            )
        if code in {CR.CR_CONN_HOST_ERROR, CR.CR_SERVER_LOST, CR.CR_CONNECTION_ERROR}:
            return f"MySQL at {place} does not answer yet"
        return f"MySQL at {place}: {error.args[-1] if error.args else error}"
    return None


def clear_half_made_tables(url: URL) -> None:
    """Let a first start that was cut off begin anew; what is in the way is said in one line."""
    try:
        with _connect(url) as connection:
            if half_made.clear(connection):
                say("the first start was cut off while it made the tables: making them again")
    except pymysql.MySQLError as error:
        # MLflow itself may still do, and says more if not.
        say(f"could not look for tables of a first start that was cut off: {error.args[-1]}")


def say(line: str) -> None:
    print(f"mlflow: {line}", file=sys.stderr, flush=True)


def main(command: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Wait, then run the command in our place. Returns only when that cannot be done."""
    try:
        if not command:
            raise SettingError("which command? python -m server.with_mysql mlflow server …")
        url = address(environment)
    except SettingError as error:
        say(str(error))
        return 2
    said = None
    while (wrong := trouble(url)) is not None:
        if wrong != said:
            say(wrong)
            said = wrong
        time.sleep(PAUSE_SECONDS)
    clear_half_made_tables(url)
    uri = url.render_as_string(hide_password=False)
    try:
        os.execvpe(command[0], list(command), {**environment, "MLFLOW_BACKEND_STORE_URI": uri})
    except FileNotFoundError:
        say(f"command not found: {command[0]}")
        return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
