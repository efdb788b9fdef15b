"""What a batch job is asked to do, checked as far as it can be without asking a server."""

import os
import re
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from joblib import cpu_count  # type: ignore[import-untyped]
from sqlalchemy.engine import URL

from produtos.errors import BadInput, without_secrets
from produtos.io import database
from produtos.io.storage import PARQUET_ENDINGS, locate
from produtos.language import tr
from produtos.spark.master import master_of

DATABASE_VARIABLE = "BATCH_DATABASE_URL"
"""Where the database's address with its password stands, so that no list of processes and no
parameter of a run shows it."""

STACK_SETTINGS = ("MYSQL_USER", "MYSQL_PASSWORD", "MYSQL_HOST", "MYSQL_DATABASE")
"""What the stack's MLflow is given, too."""

BAD_ROWS_NAME = "rejeitadas.csv"

Number = TypeVar("Number", int, float)


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
        output_encoding: of those that are written.
        min_answered: the share of rows without which there is no output.
        workers: processes; on Spark 0 for as many as it has cores.
        spark_master: where Spark is; empty for the engine of this machine.
    """

    models: tuple[str, ...]
    texts: tuple[str, ...] = ()
    input: str = ""
    output: str = ""
    bad_rows: str = ""
    text_column: str | None = None
    encoding: str = "utf-8"
    output_encoding: str = "utf-8"
    min_answered: float = 0.25
    workers: int = 1
    spark_master: str = ""

    @property
    def to_database(self) -> bool:
        """Whether the answers go into a table."""
        return database.is_database(self.output)

    @property
    def writes_csv(self) -> bool:
        """Whether the answers go into a CSV file, or to the screen."""
        return not self.to_database and not self.output.lower().endswith(PARQUET_ENDINGS)

    @property
    def shown_output(self) -> str:
        """The output's address without a password."""
        if self.to_database:
            url, table = database.parse(self.output)
            return f"{database.shown(url)}#{table}"
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
        names = (model.removeprefix("models:").lower() for model in self.models)
        return [re.sub(r"\W+", "_", name).strip("_") for name in names]


def of(given: Namespace) -> Request:
    """The job that a command line asks for.

    Raises:
        BadInput: it makes no sense, or not without asking a server.
    """
    compared, more_texts = _two_models(given.compare)
    if given.output and given.output_table:
        raise BadInput("give --output or --output-table, not both")
    master = master_of(given)
    request = Request(
        models=compared or (given.model or "Production",),
        texts=tuple(text for text in [*more_texts, *given.texts] if text.strip()),
        input=given.input,
        output=table_address(given.output_table) if given.output_table else given.output,
        bad_rows=given.bad_rows,
        text_column=given.text_column or None,
        encoding=given.encoding or "utf-8",
        output_encoding=given.output_encoding or "utf-8",
        min_answered=_number("--min-answered", given.min_answered or "0.25", float, 1),
        workers=_number("--workers", given.workers or "0", int, 1024)
        or (0 if master else int(cpu_count())),
        spark_master=master,
    )
    check(request)
    return request


def _two_models(written: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """The two models after --compare, as two words or in one, and what follows them."""
    both = written[0].replace(",", " ").split() if written else []
    rest = written[1:]
    if len(both) == 1 and rest:
        both, rest = [both[0], rest[0]], rest[1:]
    if len(both) not in (0, 2):
        raise BadInput("--compare {both}: name two models", both=" ".join(both))
    return tuple(both), rest


def _number(option: str, written: str, kind: type[Number], most: Number) -> Number:
    try:
        number = kind(written)
    except ValueError:
        number = kind(-1)
    if not 0 <= number <= most:
        raise BadInput(
            "{option} {written}: must be a number from 0 to {most:,}",
            option=option,
            written=written,
            most=most,
        )
    return number


def check(request: Request) -> None:
    """See that the parts fit together.

    Raises:
        BadInput: they do not.
    """
    if bool(request.texts) == bool(request.input):
        raise BadInput(
            tr("give the products as texts or as --input, not both")
            if request.texts
            else tr("nothing to classify; give texts, or a file with --input")
        )
    if len(set(request.labels())) < len(request.models):
        raise BadInput(
            "--compare {models}: name two different models", models=" ".join(request.models)
        )
    if request.output_encoding not in ("utf-8", "utf-8-sig"):
        raise BadInput(
            "--output-encoding {output_encoding}: must be utf-8, or utf-8-sig for Excel",
            output_encoding=request.output_encoding,
        )
    bad_rows = request.bad_rows_address
    if request.to_database:
        database.parse(request.output)
    elif request.output and not request.output.lower().endswith((".csv", *PARQUET_ENDINGS)):
        raise BadInput(
            "output {address}: end its name in .csv or .parquet, or give a "
            "database's address with #table",
            address=without_secrets(request.output),
        )
    for address in (request.input, request.output, bad_rows):
        if not database.is_database(address):
            locate(address)
    if _is_same_file(request.input, request.output):
        raise BadInput(
            "output {output}: this is the input; give another name", output=request.output
        )
    for other, name in ((request.input, "input"), (request.output, "output")):
        if _is_same_file(other, bad_rows):
            raise BadInput(
                "rows that cannot be classified would be listed in {bad_rows}: this is the "
                "{name}; give another name with --bad-rows",
                bad_rows=bad_rows,
                name=name,
            )


def _is_same_file(one: str, other: str) -> bool:
    """Whether two addresses are the same file, be it there or not."""
    if not one or not other:
        return False
    if "://" in one or "://" in other:
        return one == other
    first, second = (Path(each).expanduser() for each in (one, other))
    both = first.exists() and second.exists()
    return first.samefile(second) if both else first.resolve() == second.resolve()


def table_address(table: str) -> str:
    """The output's address when only a table's name is given.

    Raises:
        BadInput: neither `BATCH_DATABASE_URL` nor the stack's settings say which database.
    """
    url = os.environ.get(DATABASE_VARIABLE) or _address_of_the_stack()
    if not url:
        raise BadInput(
            "--output-table {table}: set {variable} to the database's address, "
            "mysql+pymysql://user:password@host/database",
            table=table,
            variable=DATABASE_VARIABLE,
        )
    return f"{url}#{table}"


def _address_of_the_stack() -> str:
    """The database that the stack's own settings name, or nothing.

    Put together here so that a password may have any character in it.
    """
    user, password, host, name = settings = [os.environ.get(each, "") for each in STACK_SETTINGS]
    port = os.environ.get("MYSQL_PORT") or "3306"
    if not all(settings):
        return ""
    if not (port.isascii() and port.isdigit()):
        raise BadInput("MYSQL_PORT={port}: a port is a number from 1 to 65535", port=port)
    url = URL.create("mysql+pymysql", user, password, host, int(port), name)
    return url.render_as_string(hide_password=False)
