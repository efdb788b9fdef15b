"""Files, folders, and the columns that an output adds."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from produtos.batch.inputs import open_inputs
from produtos.batch.request import Request
from produtos.errors import BadInput


def write(path: Path, **columns: list[object]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def request(source: Path, **more: str) -> Request:
    return Request(models=("Production",), input=str(source), **more)  # type: ignore[arg-type]


def test_a_folder_is_all_files_in_it_in_order(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("nome\nboneca\n", encoding="utf-8")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "z.CSV").write_text("nome\nhalo\n", encoding="utf-8")
    for hidden in ("_SUCCESS.csv", ".b.csv.1.part", "notas.md"):
        (tmp_path / hidden).write_text("x;y\n", encoding="utf-8")
    opened = open_inputs(request(tmp_path))
    assert [Path(table.location.path).name for table in opened.tables] == ["z.CSV", "b.csv"]
    assert opened.size == 12 + 10
    (tmp_path / "c.csv").write_text("nome;preco\nboneca;1\n", encoding="utf-8")
    with pytest.raises(BadInput, match=r"c\.csv: its columns \(nome, preco\) are not those of"):
        open_inputs(request(tmp_path))


@pytest.mark.parametrize("name", ["a.json", "a.csv.zip", "a.parquet.gz"])
def test_a_file_with_another_ending_is_refused_whatever_is_in_it(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("nome\nhalo\n", encoding="utf-8")
    with pytest.raises(BadInput, match=r"not read; give one that ends in \.csv"):
        open_inputs(request(tmp_path / name))
    (tmp_path / "a.XLSX").write_bytes(b"PK\x03\x04")
    with pytest.raises(BadInput, match="a spreadsheet, not a CSV; save the sheet as CSV, UTF-8"):
        open_inputs(request(tmp_path / "a.XLSX"))
    (tmp_path / "sem-final").write_text("nome\nhalo\n", encoding="utf-8")
    open_inputs(request(tmp_path / "sem-final"))


def test_files_without_a_known_column_are_told(tmp_path: Path) -> None:
    for name in ("a.csv", "b.txt"):
        (tmp_path / name).write_text("a;b;c\nboneca;x;y\n", encoding="utf-8")
    notice = open_inputs(request(tmp_path)).notice()
    assert "a.csv (and 1 more): no known column in its first line, so each line is" in notice
    assert "--text-column NAME" in notice
    assert not open_inputs(request(tmp_path / "a.csv", text_column="b")).notice()
    write(tmp_path / "c.parquet", produto=["halo"])
    assert not open_inputs(request(tmp_path / "c.parquet")).notice()
    assert not open_inputs(Request(models=("1",), texts=("halo",))).notice()


def test_a_folder_without_a_table_and_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no \.csv or \.parquet file in this folder"):
        open_inputs(request(tmp_path))
    with pytest.raises(BadInput, match="no such file or folder"):
        open_inputs(request(tmp_path / "nada.csv"))
    with pytest.raises(BadInput, match="only paths and s3"):
        open_inputs(Request(models=("1",), input="ftp://host/a.csv"))


def test_columns_that_the_output_adds_may_not_be_there_yet(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("nome;Categoria_Prevista\nhalo;game\n", encoding="utf-8")
    with pytest.raises(BadInput, match="the output needs the column Categoria_Prevista for itself"):
        open_inputs(request(source))
    source.write_text("nome;versao\nhalo;2\n", encoding="utf-8")
    open_inputs(request(source))
    with pytest.raises(BadInput, match="the output needs the column versao for itself"):
        open_inputs(request(source, output="sqlite:///a.db#t"))


def test_what_a_job_writes_may_not_be_in_its_input_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pasta"
    folder.mkdir()
    (folder / "a.csv").write_text("nome\nhalo\n", encoding="utf-8")
    (tmp_path / "atalho").symlink_to(folder)
    for output in (folder / "saida.csv", folder / "b" / "s.parquet", tmp_path / "atalho" / "s.csv"):
        with pytest.raises(BadInput, match=r"--output .*: this is in the input folder .*pasta,"):
            open_inputs(request(folder, output=str(output)))
    with pytest.raises(BadInput, match=r"--bad-rows .*r\.csv: this is in the input folder"):
        open_inputs(request(folder, bad_rows=str(folder / "r.csv")))
    open_inputs(request(folder, output=str(folder / "_respostas" / "s.csv")))
    open_inputs(request(folder, output=str(tmp_path / "pasta-respostas.csv")))
    open_inputs(request(folder / "a.csv", output=str(folder / "saida.csv")))
    monkeypatch.chdir(folder)
    with pytest.raises(BadInput, match=r"--bad-rows rejeitadas\.csv: this is in the input folder"):
        open_inputs(request(Path(), output="sqlite:///a.db#t"))
