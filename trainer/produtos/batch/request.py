"""What a batch job is asked to do, checked as far as it can be without asking a server."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL

from produtos.batch.io import database
from produtos.batch.io.storage import PARQUET_ENDINGS
from produtos.errors import BadInput

DATABASE_VARIABLE = "BATCH_DATABASE_URL"
"""Where the database's address with its password stands, so that no list of processes and no
parameter of a run shows it."""

STACK_SETTINGS = ("host", "port", "user", "password", "database")
"""MYSQL_HOST and so on, which the stack's MLflow is given, too."""

BAD_ROWS_NAME = "rejeitadas.csv"


@dataclass(frozen=True)
class Request:
    """One job.

    Attributes:
        models: one, or the two to be compared, as the user wrote them.
        texts: products on the command line.
        input: the address of a file or folder; empty when there are texts.
        output: the address of a file or of a database's table; empty for the screen.
        bad_rows: the address of the side file; empty for one beside the output.
        text_column: the column that holds the text; nothing for the known names.
        encoding: of CSV files.
        workers: processes.
    """

    models: tuple[str, ...]
    texts: tuple[str, ...] = ()
    input: str = ""
    output: str = ""
    bad_rows: str = ""
    text_column: str | None = None
    encoding: str = "utf-8"
    workers: int = 1

    @property
    def to_database(self) -> bool:
        """Whether the answers go into a table."""
        return database.is_database(self.output)

    @property
    def shown_output(self) -> str:
        """The output's address without a password."""
        if self.to_database:
            url, table = database.parse(self.output)
            return f"{url.render_as_string()}#{table}"
        return self.output or "(screen)"

    @property
    def bad_rows_address(self) -> str:
        """Where the side file goes."""
        if self.bad_rows:
            return self.bad_rows
        if not self.output or self.to_database:
            return BAD_ROWS_NAME
        stem = re.sub(r"\.(csv|parquet|pq)$", "", self.output, flags=re.IGNORECASE)
        return f"{stem}.{BAD_ROWS_NAME}"

    def labels(self) -> list[str]:
        """For each of two models, what its column is called after `categoria_`."""
        return [
            re.sub(r"\W+", "_", model.removeprefix("models:")).strip("_").lower()
            for model in self.models
        ]


def check(request: Request) -> None:
    """See that the parts fit together.

    Raises:
        BadInput: they do not.
    """
    if bool(request.texts) == bool(request.input):
        raise BadInput(
            "give the products as texts or as --input, not both"
            if request.texts
            else "nothing to classify; give texts, or a file with --input"
        )
    if len(set(request.labels())) < len(request.models):
        raise BadInput(f"--compare {' '.join(request.models)}: name two different models")
    if request.to_database:
        database.parse(request.output)
    elif request.output and not request.output.lower().endswith((".csv", *PARQUET_ENDINGS)):
        raise BadInput(
            f"output {request.output}: end its name in .csv or .parquet, or give a database's "
            "address with #table"
        )
    if _is_same_file(request.input, request.output):
        raise BadInput(f"output {request.output}: this is the input; give another name")
    bad_rows = request.bad_rows_address
    for other, said in ((request.input, "input"), (request.output, "output")):
        if _is_same_file(other, bad_rows):
            raise BadInput(
                f"rows that cannot be classified would be listed in {bad_rows}: this is the "
                f"{said}; give another name with --bad-rows"
            )


def _is_same_file(one: str, other: str) -> bool:
    """Whether two addresses are the same file, be it there or not."""
    if not one or not other:
        return False
    if "://" in one or "://" in other:
        return one == other
    first, second = (Path(os.path.expanduser(each)) for each in (one, other))
    if first.exists() and second.exists():
        return first.samefile(second)
    return first.resolve() == second.resolve()


def table_address(table: str) -> str:
    """The output's address when only a table's name is given.

    Raises:
        BadInput: neither `BATCH_DATABASE_URL` nor the stack's settings say which database.
    """
    url = os.environ.get(DATABASE_VARIABLE) or _address_of_the_stack()
    if not url:
        raise BadInput(
            f"--output-table {table}: set {DATABASE_VARIABLE} to the database's address, "
            "mysql+pymysql://user:password@host/database"
        )
    return f"{url}#{table}"


def _address_of_the_stack() -> str:
    """The database that the stack's own settings name, or nothing.

    Put together here so that a password may have any character in it.
    """
    said = {name: os.environ.get(f"MYSQL_{name.upper()}", "") for name in STACK_SETTINGS}
    if not all(said[name] for name in ("host", "user", "password", "database")):
        return ""
    port = said["port"] or "3306"
    if not (port.isascii() and port.isdigit()):
        raise BadInput(f"MYSQL_PORT={port}: a port is a number from 1 to 65535")
    url = URL.create(
        "mysql+pymysql",
        username=said["user"],
        password=said["password"],
        host=said["host"],
        port=int(port),
        database=said["database"],
    )
    return url.render_as_string(hide_password=False)
