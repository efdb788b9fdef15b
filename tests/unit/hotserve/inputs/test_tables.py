"""The shared tables, as the API reads them."""

import re

import pytest

from hotserve.inputs.bodies import CsvError
from hotserve.inputs.single_text import single_text
from tests.support.products import products
from tests.support.tables import READ, TABLES, Table

REFUSED = [table for table in TABLES if table.complaint]


@pytest.mark.parametrize("table", READ, ids=str)
def test_a_table_is_read(table: Table) -> None:
    assert tuple(products(table.body).texts()) == table.texts
    assert single_text(table.body) is None


@pytest.mark.parametrize("table", REFUSED, ids=str)
def test_a_table_that_can_not_be_read_is_named(table: Table) -> None:
    with pytest.raises(CsvError, match=re.compile(table.complaint, re.IGNORECASE)) as caught:
        products(table.body)
    assert table.line is None or f"line {table.line} " in f"{caught.value} ".replace(":", " ")
    assert single_text(table.body) is None
