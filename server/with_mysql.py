"""Waits until MySQL can be used, then becomes the command, which finds the database.

``python -m server.with_mysql mlflow server …``: MLflow's ``MLFLOW_BACKEND_STORE_URI`` is put
together from ``MYSQL_HOST`` (``db``), ``MYSQL_PORT`` (3306), ``MYSQL_DATABASE``, ``MYSQL_USER``
and ``MYSQL_PASSWORD``, so that a password may have any ASCII character in it.

A refused password, or tables of another MLflow, are said once, in one line, and then looked at
again now and then: neither a traceback nor a container that starts over and over, and what is
mended in MySQL is taken up. ``python -m server.with_mysql upgrade`` brings the tables up to date.
``mlflow gc``, which is `make gc`, gets the admin's password, too, where there are logins.
Tables of a first start that was cut off are made again. Exit code 2: a setting is missing or
wrong; 127: the command is not found.
"""

import os
import re
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pymysql
from pymysql.constants import CR, ER
from sqlalchemy import URL

from server import check_settings, incomplete_tables

PAUSE_SECONDS = 2.0
REQUIRED = ("MYSQL_DATABASE", "MYSQL_USER", "MYSQL_PASSWORD")
# The table that deploy/backup/mysql-s3.sh makes at the start of a restore and drops at its end.
UNFINISHED_RESTORE = "unfinished_restore"
AWAY = " does not answer yet"
NO_DATABASE = " has no database {database} that the user {user} may use: see MYSQL_DATABASE"
REFUSALS = {
    ER.ACCESS_DENIED_ERROR: " refuses the user {user}: see MYSQL_USER and MYSQL_PASSWORD"
    " (a database keeps the password that it was made with)",
    ER.DBACCESS_DENIED_ERROR: NO_DATABASE,
    ER.BAD_DB_ERROR: NO_DATABASE,
    CR.CR_CONN_HOST_ERROR: AWAY,
    CR.CR_SERVER_LOST: AWAY,
    CR.CR_CONNECTION_ERROR: AWAY,
}


def address(environment: Mapping[str, str]) -> URL:
    """The database's address."""
    return URL.create(
        "mysql+pymysql",
        username=environment["MYSQL_USER"],
        password=environment["MYSQL_PASSWORD"],
        host=environment.get("MYSQL_HOST") or "db",
        port=int(environment.get("MYSQL_PORT") or 3306),
        database=environment["MYSQL_DATABASE"],
    )


def reason_to_wait(url: URL, *, any_revision: bool = False) -> str | None:
    """Why the database can't be used, in one line; None when it can.

    Args:
        url: the database's address.
        any_revision: whether tables of another MLflow will do.
    """
    options = url.translate_connect_args(username="user")
    try:
        with pymysql.connect(**options, connect_timeout=5) as connection:
            if connection.cursor().execute(f"SHOW TABLES LIKE '{UNFINISHED_RESTORE}'"):
                return "a restore was cut off: run `make restore` again"
            if incomplete_tables.clear(connection):
                log("the first start was cut off while it made the tables: making them again")
            return None if any_revision else other_revision(connection)
    except pymysql.MySQLError as error:
        known = REFUSALS.get(error.args[0])
        reason = known.format(**options) if known else f": {error.args[-1]}"
        return f"MySQL at {url.host}:{url.port}{reason}"


def other_revision(connection: Any) -> str | None:
    """What to do about tables of another MLflow, in one line; None if there is nothing to do."""
    with connection.cursor() as cursor:
        if not cursor.execute("SHOW TABLES LIKE 'alembic_version'"):
            return None
        cursor.execute("SELECT version_num FROM alembic_version")
        row = cursor.fetchone()
    revisions, newest = revisions_of_mlflow()
    if row is None or row[0] == newest:
        return None
    if row[0] not in revisions:
        return (
            f"the database is of a newer MLflow than this one (revision {row[0]} is unknown): "
            "go back to the newer image, or restore a backup"
        )
    return (
        f"the database is of an older MLflow (revision {row[0]}, this one needs {newest}): "
        "run `make upgrade`"
    )


def revisions_of_mlflow() -> tuple[set[str], str]:
    """The revisions of tables that the installed MLflow knows, and the newest of them.

    Read from the files of its migrations: to ask MLflow itself would take seconds at each start.
    """
    folder = Path(sysconfig.get_path("purelib"), "mlflow", "store", "db_migrations", "versions")
    scripts = "".join(file.read_text(encoding="utf-8") for file in folder.glob("*.py"))
    known = set(re.findall(r'^revision = "(\w+)"', scripts, re.MULTILINE))
    (newest,) = known - set(re.findall(r'^down_revision = "(\w+)"', scripts, re.MULTILINE))
    return known, newest


def log(line: str) -> None:
    print(f"mlflow: {line}", file=sys.stderr, flush=True)


def main(command: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Wait, then run the command in our place. Returns only when that can't be done."""
    if not command:
        log("which command? python -m server.with_mysql mlflow server …")
        return 2
    if not check_settings.report("mlflow", environment, REQUIRED):
        return 2
    url = address(environment)
    logged = None
    while reason := reason_to_wait(url, any_revision=command == ["upgrade"]):
        if reason != logged:
            log(reason)
            logged = reason
        time.sleep(PAUSE_SECONDS)
    uri = url.render_as_string(hide_password=False)
    own = {**environment, "MLFLOW_BACKEND_STORE_URI": uri}
    match command:
        case ["upgrade"]:
            from mlflow.db import commands  # in this process: everybody can read a command line

            commands(["upgrade", uri])
        case ["mlflow", "server", *_]:
            command = [sys.executable, "-m", "server.one_process", *command[1:]]
        case ["mlflow", "gc", *_]:
            # Of the variables, it is this one where it looks for the database.
            own["MLFLOW_TRACKING_URI"] = uri
            own["MLFLOW_TRACKING_USERNAME"] = "admin"
            own["MLFLOW_TRACKING_PASSWORD"] = environment.get("MLFLOW_AUTH_ADMIN_PASSWORD", "")
    try:
        os.execvpe(command[0], list(command), own)
    except FileNotFoundError:
        log(f"command not found: {command[0]}")
        return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
