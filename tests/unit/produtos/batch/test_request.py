"""What a job is asked to do."""

from pathlib import Path

import pytest

from produtos.batch.io import database
from produtos.batch.request import BAD_ROWS_NAME, Request, check, table_address
from produtos.errors import BadInput


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
