"""What flows through a job."""

import pyarrow as pa
import pytest

from produtos.io import rows


def test_rows_of_strings_become_columns_in_their_order() -> None:
    schema = rows.strings(["id", "nome"])
    batch = rows.batch_of([["1", "boneca"], ["2", ""]], schema)
    assert batch.to_pylist() == [{"id": "1", "nome": "boneca"}, {"id": "2", "nome": ""}]
    assert batch.schema.types == [pa.string(), pa.string()]
    assert rows.batch_of([], schema).schema == schema


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("boné", ""),
        (" \t", rows.NO_TEXT),
        ("", rows.NO_TEXT),
        ("caf\udce9", rows.UNDECODABLE),
        ("nÃ£o", rows.ENCODED_TWICE),
    ],
)
def test_why_a_text_is_not_classified(text: str, reason: str) -> None:
    assert rows.why_bad(text) == reason


def test_a_bad_row_is_shown_by_its_beginning_and_without_line_ends() -> None:
    assert rows.excerpt("caf\udce9;x\r\n") == r"caf\xe9;x"
    assert len(rows.excerpt("y" * 5_000)) == rows.KEPT_OF_A_BAD_ROW
