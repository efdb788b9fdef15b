"""The tables that trainer, batch, API and page are held to, as a job reads them."""

import re
from pathlib import Path

import pytest

from produtos.batch import inputs, job
from produtos.batch.record import Result
from produtos.batch.request import Request
from produtos.errors import BadInput
from produtos.io.rows import NO_TEXT, BadRow
from produtos.io.sinks import BadRows
from produtos.product_model.columns import fold
from tests.support.tables import BAD_ROWS, LATIN_1, READ, REFUSED, Table


def read(table: Table, folder: Path) -> tuple[list[str], list[str], list[BadRow], str]:
    """Columns, texts, bad rows, and what the console says of these."""
    path = folder / "produtos.csv"
    path.write_bytes(table.body)
    request = Request(models=("1",), input=str(path), output=str(folder / "saida.csv"))
    opened = inputs.open_inputs(request)
    chunks = list(inputs.chunks(request, opened))
    texts = [text for chunk in chunks for text in chunk.texts]
    bad = [row for chunk in chunks for row in chunk.bad]
    side = BadRows(request.bad_rows_address, request.encoding, "utf-8")
    side.write(bad)
    job.check_answered(request, Result(len(texts), len(bad), 1.0, None), side)
    columns = opened.schema.names if opened.tables[0].has_header else []
    return [fold(name) for name in columns], texts, bad, side.summary()


@pytest.mark.parametrize("table", READ, ids=str)
def test_a_table_is_read_as_everywhere(table: Table, tmp_path: Path) -> None:
    columns, texts, bad, _ = read(table, tmp_path)
    assert tuple(columns) == table.columns
    assert tuple(texts) == table.texts
    assert all(row.reason == NO_TEXT for row in bad)


@pytest.mark.parametrize("table", [*REFUSED, *BAD_ROWS, LATIN_1], ids=str)
def test_what_cannot_be_read_is_named_with_its_line(table: Table, tmp_path: Path) -> None:
    """In one line for the whole, or as a row that is listed while the others are classified."""
    bad: list[BadRow] = []
    try:
        *_, bad, message = read(table, tmp_path)
    except BadInput as error:
        message = str(error)
    lines = {row.line: row.reason for row in bad}
    message += lines.get(table.line or 0, "")
    assert re.search(table.complaint, message, re.IGNORECASE)
    listed = table.line in lines or "rows could be classified" in message
    assert table.line is None or listed or f"line {table.line}" in message
