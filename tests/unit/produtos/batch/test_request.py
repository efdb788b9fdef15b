"""What a job is asked to do."""

from argparse import Namespace
from pathlib import Path

import pytest

from produtos.batch.request import BAD_ROWS_NAME, Request, check, of, table_address
from produtos.errors import BadInput
from produtos.io import database


def request(source: Path, **more: str) -> Request:
    return Request(models=("Production",), input=str(source), **more)  # type: ignore[arg-type]


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


def test_names_that_follow_from_others() -> None:
    assert Request(models=("1",), output="x/a.parquet").bad_rows_address == "x/a.rejeitadas.csv"
    assert Request(models=("1",), output="sqlite:///a.db#t").bad_rows_address == BAD_ROWS_NAME
    assert Request(models=("1",), output="a.csv", bad_rows="b.csv").bad_rows_address == "b.csv"
    models = ("models:/outro/Production", "2")
    assert Request(models=models).labels() == ["outro_production", "2"]


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


def given(**written: object) -> Namespace:
    """A command line's options, as the entry point hands them on."""
    nothing = dict.fromkeys(
        ("input", "output", "output_table", "output_encoding", "bad_rows", "text_column"), ""
    )
    more = {"model": "", "compare": [], "texts": [], "encoding": "", "min_answered": ""}
    engine = {"workers": "0", "engine": "local", "spark_master": ""}
    return Namespace(**(nothing | more | engine | written))


def test_what_is_left_out_has_its_default() -> None:
    job = of(given(input="a.csv"))
    assert (job.models, job.encoding, job.output_encoding) == (("Production",), "utf-8", "utf-8")
    assert (job.text_column, job.min_answered) == (None, 0.25)
    assert job.workers >= 1
    assert of(given(input="a.csv", workers="3", min_answered="1")).workers == 3


def test_spark_is_where_an_option_or_a_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPARK_MASTER", raising=False)
    assert of(given(input="a.csv")).spark_master == ""
    job = of(given(input="a.csv", engine="spark"))
    assert (job.spark_master, job.workers) == ("local[*]", 0)
    monkeypatch.setenv("SPARK_MASTER", "spark://a:7077")
    assert of(given(input="a.csv")).spark_master == ""
    assert of(given(input="a.csv", engine="spark")).spark_master == "spark://a:7077"
    job = of(given(input="a.csv", engine="spark", spark_master="local[2]", workers="5"))
    assert (job.spark_master, job.workers) == ("local[2]", 5)
    for address, shown in (("http://ana:segredo@b", "http://b"), ("localhost:7077",) * 2):
        with pytest.raises(BadInput, match=rf"--spark-master {shown}: must be local\[\*\], spark:"):
            of(given(input="a.csv", engine="spark", spark_master=address))


@pytest.mark.parametrize(
    ("compare", "models", "texts"),
    [
        (["a", "b"], ("a", "b"), ("halo",)),
        (["a,b"], ("a", "b"), ("halo",)),
        (["a", "b", "boneca"], ("a", "b"), ("boneca", "halo")),
    ],
)
def test_two_models_are_two_words_or_one(
    compare: list[str], models: tuple[str, ...], texts: tuple[str, ...]
) -> None:
    job = of(given(compare=compare, texts=["halo", " "]))
    assert (job.models, job.texts) == (models, texts)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"min_answered": "1.1"}, r"--min-answered 1\.1: must be a number from 0 to 1"),
        ({"min_answered": "nan"}, "--min-answered nan: must be"),
        ({"workers": "2.5"}, r"--workers 2\.5: must be a number from 0 to 1,024"),
        ({"workers": "-1"}, "--workers -1: must be"),
        ({"workers": "1025"}, "--workers 1025: must be"),
        ({"output_encoding": "latin-1"}, "--output-encoding latin-1: must be utf-8, or utf-8-sig"),
        ({"compare": ["a"]}, "--compare a: name two models"),
        ({"output": "a.csv", "output_table": "t"}, "not both"),
        ({"output": "s3://chave:segredo@lotes/a.csv"}, "holds no keys"),
        ({"bad_rows": "s3://chave:segredo@lotes/a.csv"}, "holds no keys"),
        ({"output": "https://ana:segredo@host/a.csv"}, "end the address with #"),
    ],
)
def test_options_that_make_no_sense_are_one_line_without_secrets(
    written: dict[str, object], message: str
) -> None:
    with pytest.raises(BadInput, match=message) as error:
        of(given(**{"input": "a.csv"} | written))
    assert "segredo" not in str(error.value)
    assert "\n" not in str(error.value)
