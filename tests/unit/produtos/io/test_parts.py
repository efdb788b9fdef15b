"""Files read in parts: whatever is cut where, nothing is lost and nothing comes twice."""

import gzip
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from produtos.io import csv as csv_tables
from produtos.io import parquet, storage
from produtos.io.csv import CsvTable
from produtos.io.rows import CHUNK_ROWS


def opened(path: Path, content: bytes, encoding: str = "utf-8") -> CsvTable:
    path.write_bytes(content)
    return csv_tables.open_table(storage.locate(str(path)), None, encoding)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "produtos.csv"


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_a_part_has_the_rows_that_begin_in_it(path: Path, line_end: str) -> None:
    lines = [b"nome", b"a", b"caf\xc3\xa9", b"bola"]
    ends = line_end.encode()
    table = opened(path, ends.join(lines) + ends)
    size = path.stat().st_size
    second, third = (size - len(each + ends) for each in (b"caf\xc3\xa9" + ends + b"bola", b"bola"))
    for cut in range(1, size):
        above, below = table.read(0, cut), table.read(cut, size)
        assert above.end == below.start
        assert above.lines + below.lines == len(lines)
        texts = [text for part in (above, below) for chunk in part.chunks for text in chunk.texts]
        # Where the header's line is cut in two, the rows below it begin in the lower part.
        assert texts == ["a", "café", "bola"]
        if second < cut <= third:
            assert below.start == third


def test_a_file_that_gives_less_than_it_was_asked_for_is_read_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Reluctant(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, 3))

        def readinto(self, buffer: Any, /) -> int:
            return super().readinto(memoryview(buffer)[:3])

    table = opened(path, b"nome\n" + b"halo\n" * 1_000)
    monkeypatch.setattr(storage.Location, "open", lambda self: Reluctant(self.path))
    part = table.read(0, path.stat().st_size)
    assert [text for chunk in part.chunks for text in chunk.texts] == ["halo"] * 1_000
    assert part.end == path.stat().st_size


def test_a_part_says_where_a_row_ended_that_goes_over_its_end(path: Path) -> None:
    table = opened(path, b'nome\n"boneca\nde\npano"\nhalo\n')
    part = table.read(0, 8)
    assert (part.start, part.end, part.lines) == (0, 22, 4)
    assert [chunk.texts for chunk in part.chunks] == [["boneca\nde\npano"]]
    assert table.read(8, 26).start == 13


def test_a_mark_inside_of_a_file_is_no_mark_of_a_part(path: Path) -> None:
    body = "\ufeffnome\nhalo\n\ufeffbola\n".encode()
    table = opened(path, body)
    part = table.read(body.rindex("\ufeff".encode()), len(body))
    assert [chunk.texts for chunk in part.chunks] == [["\ufeffbola"]]


@pytest.mark.parametrize(
    ("name", "encoding", "can"),
    [
        ("a.csv", "utf-8", True),
        ("a.csv", "UTF8", True),
        ("a.csv", "cp1252", True),
        ("a.csv", "latin-1", True),
        ("a.csv.gz", "utf-8", False),
        ("a.csv", "utf-16", False),
        ("a.csv", "shift-jis", False),
        ("a.csv", "cp037", False),
    ],
)
def test_what_can_be_read_in_parts(tmp_path: Path, name: str, encoding: str, can: bool) -> None:
    content = "nome\nhalo\n".encode(encoding)
    zipped = name.endswith(".gz")
    table = opened(tmp_path / name, gzip.compress(content) if zipped else content, encoding)
    assert bool(list(table.parts())) == can


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from('ab;"\n\r é\ufeff'), max_size=60), st.integers(1, 70))
def test_lines_are_counted_wherever_a_file_is_cut(
    tmp_path_factory: pytest.TempPathFactory, text: str, cut: int
) -> None:
    content = f"nome;descricao\n{text}\nfim;fim\n".encode()
    table = opened(tmp_path_factory.getbasetemp() / "noise.csv", content)
    above = table.read(0, min(cut, len(content)))
    below = table.read(above.end, len(content))
    assert above.end == below.start
    whole = table.read(0, len(content))
    assert above.lines + below.lines == whole.lines
    # No row is in both, and none in neither.
    rows = [
        row for part in (above, below) for chunk in part.chunks for row in chunk.rows.to_pylist()
    ]
    assert rows == [row for chunk in whole.chunks for row in chunk.rows.to_pylist()]
    lines = [bad.line for chunk in above.chunks for bad in chunk.bad]
    lines += [above.lines + bad.line for chunk in below.chunks for bad in chunk.bad]
    assert lines == [bad.line for chunk in whole.chunks for bad in chunk.bad]


def test_parts_of_parquet_stay_within_a_row_group_and_a_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.parquet"
    count = 2 * CHUNK_ROWS + 10
    texts = [f"p {n}" for n in range(count)]
    texts[CHUNK_ROWS + 3] = ""
    pq.write_table(pa.table({"texto": texts}), path, row_group_size=CHUNK_ROWS + 5)
    table = parquet.open_table(storage.locate(str(path)), None)
    monkeypatch.setattr(parquet, "PART", 3_000)
    parts = list(table.parts())
    assert parts == [
        *((0, 3_000), (3_000, CHUNK_ROWS + 5)),
        *((CHUNK_ROWS + 5, CHUNK_ROWS + 3_005), (CHUNK_ROWS + 3_005, count)),
    ]
    read = [table.read(*each) for each in parts]
    assert [(part.start, part.end) for part in read] == parts
    assert [t for part in read for c in part.chunks for t in c.texts] == [t for t in texts if t]
    bad = [part.start + row.line for part in read for chunk in part.chunks for row in chunk.bad]
    assert bad == [CHUNK_ROWS + 4]
