"""What flows through a job."""

import pyarrow as pa

from produtos.batch.io.rows import AnsweredRows, TextRows


def test_answers_are_columns_behind_those_of_the_input() -> None:
    read = pa.schema([("id", pa.string()), ("nome", pa.string())])
    written = pa.schema([*read, ("um", pa.string()), ("dois", pa.string())])
    rows = TextRows([["1", "boneca"], ["2", "halo"]], read)
    answered = AnsweredRows(rows, [["a", "b"], ["c", "d"]], written)
    assert list(answered.values()) == [["1", "boneca", "a", "c"], ["2", "halo", "b", "d"]]
    assert answered.batch().to_pylist() == [
        {"id": "1", "nome": "boneca", "um": "a", "dois": "c"},
        {"id": "2", "nome": "halo", "um": "b", "dois": "d"},
    ]
