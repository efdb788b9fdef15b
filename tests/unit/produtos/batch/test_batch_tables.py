"""Parquet files, folders, and the columns that an output adds."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from produtos.batch.inputs import open_inputs
from produtos.batch.io import database, parquet, rows, storage
from produtos.batch.request import BAD_ROWS_NAME, Request, check, table_address
from produtos.errors import BadInput


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
    assert chunk.rows.batch().column("id").to_pylist() == [1, 2, 4]
    assert chunk.rows.batch().schema.field("id").type == pa.int64()
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
    assert chunks[-1].position == path.stat().st_size


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


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (Request(models=("1",)), "nothing to classify"),
        (Request(models=("1",), texts=("halo",), input="a.csv"), "not both"),
        (Request(models=("Staging", "staging"), texts=("halo",)), "name two different models"),
        (Request(models=("1",), texts=("halo",), output="a.xlsx"), r"\.csv or \.parquet"),
        (
            Request(models=("1",), texts=("halo",), output="sqlite:///a.db"),
            "end the address with #",
        ),
    ],
)
def test_requests_that_make_no_sense(given: Request, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        check(given)


def test_the_output_is_never_the_input(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("nome\nhalo\n", encoding="utf-8")
    (tmp_path / "b.csv").symlink_to(source)
    with pytest.raises(BadInput, match="this is the input"):
        check(request(source, output=str(tmp_path / "b.csv")))


def test_the_list_of_bad_rows_is_neither_the_input_nor_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is removed when there are no bad rows."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / BAD_ROWS_NAME).write_text("nome\nhalo\n", encoding="utf-8")
    with pytest.raises(BadInput, match=f"listed in {BAD_ROWS_NAME}: this is the input"):
        check(request(tmp_path / BAD_ROWS_NAME))
    check(request(tmp_path / BAD_ROWS_NAME, bad_rows="outras.csv"))
    with pytest.raises(BadInput, match="this is the output; give another name with --bad-rows"):
        check(request(tmp_path / "a.csv", output="b.csv", bad_rows="./b.csv"))
    with pytest.raises(BadInput, match="this is the input"):
        check(Request(models=("1",), input="s3://a/b.csv", bad_rows="s3://a/b.csv"))


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


def test_a_folder_on_s3_and_an_output_in_it() -> None:
    assert storage.would_be_input("s3://lotes/pasta/r.csv", "s3://lotes/pasta/")
    assert not storage.would_be_input("s3://lotes/pasta/_r/r.csv", "s3://lotes/pasta")
    assert not storage.would_be_input("s3://lotes/pasta2/r.csv", "s3://lotes/pasta")
    assert not storage.would_be_input("r.csv", "s3://lotes/pasta")


def test_names_that_follow_from_others() -> None:
    assert Request(models=("1",), output="x/a.parquet").bad_rows_address == "x/a.rejeitadas.csv"
    assert Request(models=("1",), output="sqlite:///a.db#t").bad_rows_address == BAD_ROWS_NAME
    assert Request(models=("1",), output="a.csv", bad_rows="b.csv").bad_rows_address == "b.csv"
    models = ("models:/outro/Production", "2")
    assert Request(models=models).labels() == ["outro_production", "2"]


@pytest.mark.parametrize("password", ["se@gredo", "se/gre@do", "se#gredo", "se:@gredo"])
def test_a_password_that_tears_the_address_is_told_and_not_shown(password: str) -> None:
    with pytest.raises(BadInput, match="%40 for an @") as error:
        database.parse(f"mysql+pymysql://ana:{password}@127.0.0.1:3306/mlflow#predicoes")
    assert "gredo" not in str(error.value)
    assert database.parse("sqlite:////casa/ana@loja/a.db#predicoes")[1] == "predicoes"


def test_a_password_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="set BATCH_DATABASE_URL"):
        table_address("predicoes")
    monkeypatch.setenv("BATCH_DATABASE_URL", "mysql+pymysql://ana:segredo@db/mlflow")
    shown = Request(models=("1",), output=table_address("predicoes")).shown_output
    assert shown == "mysql+pymysql://ana:***@db/mlflow#predicoes"


def test_the_stack_s_own_database_is_named_by_its_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = {"HOST": "db", "PORT": "3307", "USER": "equipe", "DATABASE": "mlflow"}
    for name, value in settings.items():
        monkeypatch.setenv(f"MYSQL_{name}", value)
    with pytest.raises(BadInput, match="set BATCH_DATABASE_URL"):
        table_address("predicoes")
    monkeypatch.setenv("MYSQL_PASSWORD", "p@ss/word%1'#")
    url, table = database.parse(table_address("predicoes"))
    assert (url.host, url.port, url.username, url.database) == ("db", 3307, "equipe", "mlflow")
    assert (url.password, table) == ("p@ss/word%1'#", "predicoes")
    monkeypatch.setenv("MYSQL_PORT", "abc")
    with pytest.raises(BadInput, match="MYSQL_PORT=abc"):
        table_address("predicoes")
    monkeypatch.setenv("BATCH_DATABASE_URL", "mysql+pymysql://ana:segredo@outro/dela")
    assert database.parse(table_address("predicoes"))[0].host == "outro"
