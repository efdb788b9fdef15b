"""Tables in Parquet files."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from produtos.errors import BadInput
from produtos.io import parquet, rows, storage


def write(path: Path, **columns: list[object]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def read(path: Path) -> list[rows.Chunk]:
    table = parquet.open_table(storage.locate(str(path)), None)
    return list(table.chunks())


def test_parquet_keeps_its_types_and_leaves_out_rows_without_a_text(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.parquet",
        id=[1, 2, 3, 4],
        nome=["boneca", None, " ", "halo"],
        descricao=["de pano", "batom", None, ""],
    )
    (chunk,) = read(path)
    assert chunk.texts == ["boneca de pano", "batom", "halo"]
    assert chunk.rows.column("id").to_pylist() == [1, 2, 4]
    assert chunk.rows.schema.field("id").type == pa.int64()
    assert [(bad.line, bad.reason) for bad in chunk.bad] == [(3, rows.NO_TEXT)]


def test_bytes_that_are_no_text_are_a_bad_row(tmp_path: Path) -> None:
    spoilt = pa.array([b"boneca", b"caf\xe9"], pa.binary())
    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.table({"texto": pa.Array.from_buffers(pa.string(), 2, spoilt.buffers())}), path
    )
    (chunk,) = read(path)
    assert chunk.texts == ["boneca"]
    assert [(bad.line, bad.reason, bad.content) for bad in chunk.bad] == [
        (2, rows.UNDECODABLE, r"caf\xe9")
    ]


def test_row_numbers_go_on_over_chunks_and_row_groups(tmp_path: Path) -> None:
    count = 2 * rows.CHUNK_ROWS + 10
    texts = [f"p {n}" for n in range(count)]
    texts[-1] = ""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"texto": texts}), path, row_group_size=3_000)
    chunks = read(path)
    assert sum(len(chunk.texts) for chunk in chunks) == count - 1
    assert chunks[-1].bad[0].line == count
    # What a row takes is rounded.
    assert sum(chunk.size for chunk in chunks) == pytest.approx(
        path.stat().st_size, abs=len(chunks)
    )


def test_one_column_needs_no_known_name_and_several_do(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.parquet", produto=["halo"]))[0].texts == ["halo"]
    with pytest.raises(
        BadInput, match="no column texto, informacao, nome or descricao; there are: a, b"
    ):
        read(write(tmp_path / "b.parquet", a=["halo"], b=["x"]))


def test_a_file_that_is_no_parquet_file(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_text("nome\nhalo\n", encoding="utf-8")
    with pytest.raises(BadInput, match="cannot be read"):
        read(path)
