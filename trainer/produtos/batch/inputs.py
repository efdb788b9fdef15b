"""What a job reads, and which columns it adds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from produtos.batch.request import Request
from produtos.errors import BadInput
from produtos.io import csv, database, formats, parquet
from produtos.io.csv import CsvTable
from produtos.io.parquet import ParquetTable
from produtos.io.rows import Chunk, batch_of, strings
from produtos.io.storage import Location, input_files, would_be_input
from produtos.language import tr
from produtos.product_model.columns import fold

CATEGORY = "categoria_prevista"


@dataclass(frozen=True)
class Inputs:
    """What is to be classified.

    Attributes:
        tables: the files, all with the same columns; none when texts were given.
        schema: those columns.
        size: of all files, in bytes.
    """

    tables: Sequence[CsvTable | ParquetTable]
    schema: pa.Schema
    size: int

    def notice(self) -> str:
        """What to say before the work begins: files without a known column, if there are any."""
        plain = [table.location.address for table in self.tables if not table.has_header]
        if not plain:
            return ""
        more = tr(" (and {plain:,} more)").format(plain=len(plain) - 1) if len(plain) > 1 else ""
        return tr(
            "input {plain}{more}: no known column in its first line, so each line is one "
            "product; if a column holds the text, name it with --text-column NAME"
        ).format(plain=plain[0], more=more)


def open_inputs(request: Request) -> Inputs:
    """Look at every file before the work begins.

    Raises:
        BadInput: one cannot be read, or its columns are not those of the others, or one has a
            name that the output needs, or what the job writes would be one of the next job's.
    """
    if request.texts:
        return Inputs((), strings([csv.TEXT]), 0)
    files = input_files(request.input)
    if [file.address for file in files] != [request.input]:
        _check_outside(request)
    for file in files:
        formats.check_name(file.path, file.address)
    opened = [_open_table(file, request) for file in files]
    schema = opened[0].schema
    for table in opened[1:]:
        if not table.schema.equals(schema):
            raise BadInput(
                "input {address}: its columns ({names}) are not those of {address2} "
                "({names2}), or are of other types; classify it by itself",
                address=table.location.address,
                names=", ".join(table.schema.names),
                address2=opened[0].location.address,
                names2=", ".join(schema.names),
            )
    added = answer_columns(request)
    if request.to_database:
        added += [*version_columns(request), *database.ORIGIN]
    for name in schema.names:
        if fold(name) in map(fold, added):
            raise BadInput(
                "input {input}: the output needs the column {name} for itself; rename the input's",
                input=request.input,
                name=name,
            )
    return Inputs(opened, schema, sum(file.size() for file in files))


def _open_table(file: Location, request: Request) -> CsvTable | ParquetTable:
    if file.is_parquet:
        return parquet.open_table(file, request.text_column)
    return csv.open_table(file, request.text_column, request.encoding)


def _check_outside(request: Request) -> None:
    """See that what the job writes is not in its input folder: the next job would read it."""
    output = "" if request.to_database else request.output
    for option, address in (("--output", output), ("--bad-rows", request.bad_rows_address)):
        if address and would_be_input(address, request.input):
            raise BadInput(
                "{option} {address}: this is in the input folder {input}, where the next job would "
                "take it for products; name a place outside, or a folder whose name begins with _",
                option=option,
                address=address,
                input=request.input,
            )


def answer_columns(request: Request) -> list[str]:
    """The output's columns with categories: one, or one for each of two models."""
    labels = request.labels()
    return [f"categoria_{label}" for label in labels] if len(labels) == 2 else [CATEGORY]


def version_columns(request: Request) -> list[str]:
    """What the versions that answered are called, in the order of `answer_columns`."""
    labels = request.labels()
    return [f"versao_{label}" for label in labels] if len(labels) == 2 else ["versao"]


def chunks(request: Request, inputs: Inputs) -> Iterator[Chunk]:
    """All rows of all inputs, one file after the other."""
    if request.texts:
        rows = batch_of([[text] for text in request.texts], inputs.schema)
        yield Chunk(list(request.texts), rows)
        return
    for table in inputs.tables:
        yield from table.chunks()
