"""Batch jobs on registered models, as a user starts them, against a real tracking server."""

import sqlite3
import sys
from pathlib import Path

import batch as entry_point
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient

from produtos.errors import BadInput
from produtos.registry import reference as model_reference
from produtos.registry import registry
from tests.e2e.batch_jobs import EXPERIMENT, BatchJobs
from tests.e2e.conftest import MlflowServer, free_port
from tests.e2e.two_versions.products import answers, products


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("1", "1"),
        ("Production", "1"),
        ("production", "1"),
        ("@production", "1"),
        ("STAGING", "2"),
        ("@staging", "2"),
        ("campeao", "2"),
        ("models:/classificador-produtos/1", "1"),
        ("models:/classificador-produtos/staging", "2"),
        ("models:/classificador-produtos@campeao", "2"),
        ("models:/classificador-produtos/latest", "2"),
    ],
)
def test_a_model_is_named_by_version_stage_or_alias(
    client: MlflowClient, written: str, number: str
) -> None:
    client.set_registered_model_alias(registry.MODEL_NAME, "campeao", "2")
    found = model_reference.resolve(client, written)
    assert found.version == number
    assert found.uri == f"models:/classificador-produtos/{number}"


def test_texts_on_the_command_line(batch: BatchJobs, client: MlflowClient, tmp_path: Path) -> None:
    texts = ("boneca de pano", "senhor dos aneis")
    shown, _ = batch.done(*texts, MLFLOW_EXPERIMENT_NAME="not-there")
    assert shown.splitlines() == [
        "texto;categoria_prevista",
        "boneca de pano;brinquedo",
        "senhor dos aneis;brinquedo",
    ]
    assert not list(tmp_path.iterdir())
    assert client.get_experiment_by_name("not-there") is None


def test_a_csv_file_to_a_csv_file(batch: BatchJobs, client: MlflowClient, tmp_path: Path) -> None:
    source = tmp_path / "produtos.csv"
    source.write_bytes(b"id;nome;descricao\n1;boneca;de pano\n2;a;b;c\n3;halo;\n4;;\n5;caf\xe9;\n")
    _, said = batch.done("--input", "produtos.csv", "--output", "saida.csv")
    assert answers(tmp_path / "saida.csv") == [
        {"id": "1", "nome": "boneca", "descricao": "de pano", "categoria_prevista": "brinquedo"},
        {"id": "3", "nome": "halo", "descricao": "", "categoria_prevista": "game"},
    ]
    bad = answers(tmp_path / "saida.rejeitadas.csv")
    assert [(row["linha"], row["motivo"]) for row in bad] == [
        ("3", "too many fields"),
        ("5", "no text"),
        ("6", "cannot be decoded"),
    ]
    assert "2 products classified by classificador-produtos version 1 (Production)" in said
    assert "3 rows left out" in said
    assert "if it is not utf-8, --encoding names another" in said
    # The progress bar is for a terminal: a log file gets one line.
    assert len(said.splitlines()) == 1
    assert "\r" not in said
    run = batch.last_run()
    assert run.info.status == "FINISHED"
    assert (run.data.metrics["rows"], run.data.metrics["bad_rows"]) == (2.0, 3.0)
    assert run.data.params["output"] == "saida.csv"
    assert run.data.tags["versao"] == "1"
    assert "saida.rejeitadas.csv" in [file.path for file in client.list_artifacts(run.info.run_id)]


def test_a_job_that_answered_too_little_leaves_the_output_of_yesterday(
    batch: BatchJobs, client: MlflowClient, tmp_path: Path
) -> None:
    (tmp_path / "saida.csv").write_text("de ontem", encoding="utf-8")
    (tmp_path / "produtos.csv").write_bytes("nome\ncafé\nmaçã\npião\nboné\nhalo\n".encode("cp1252"))
    arguments = ("--input", "produtos.csv", "--output", "saida.csv")
    line = batch.refused(*arguments)
    assert "1 of 5 rows could be classified" in line
    assert (tmp_path / "saida.csv").read_text(encoding="utf-8") == "de ontem"
    run = batch.last_run()
    assert (run.info.status, run.data.metrics["bad_rows"]) == ("FAILED", 4.0)
    assert "saida.rejeitadas.csv" in [file.path for file in client.list_artifacts(run.info.run_id)]
    batch.done(*arguments, "--encoding", "cp1252")
    assert [row["nome"] for row in answers(tmp_path / "saida.csv")][3:] == ["boné", "halo"]


@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "latin-1"}])
def test_the_screen_gets_utf_8_whatever_the_locale(
    batch: BatchJobs, locale: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "produtos.csv").write_text("nome\npião – 3 €\n", encoding="utf-8")
    shown, _ = batch.done("--input", "produtos.csv", **locale)
    assert shown.splitlines()[1].startswith("pião – 3 €;")


def test_a_folder_of_parquet_files_to_parquet(batch: BatchJobs, tmp_path: Path) -> None:
    folder = tmp_path / "tabelas"
    folder.mkdir()
    for name, text in (("a", "boneca de pano"), ("b", "halo")):
        pq.write_table(pa.table({"id": [7], "texto": [text]}), folder / f"{name}.parquet")
    batch.done("--input", folder, "--output", "saida.parquet")
    table = pq.read_table(tmp_path / "saida.parquet")
    assert table.schema.field("id").type == pa.int64()
    assert table.column("categoria_prevista").to_pylist() == ["brinquedo", "game"]
    assert table.schema.metadata[b"versao"] == b"1"


def test_lines_without_a_header(batch: BatchJobs, tmp_path: Path) -> None:
    (tmp_path / "linhas.txt").write_text("boneca, de pano\n\nhalo\n", encoding="utf-8")
    shown, said = batch.done("--input", "linhas.txt")
    assert shown.splitlines()[1:] == ["boneca, de pano;brinquedo", "halo;game"]
    assert said.startswith("input linhas.txt: no known column in its first line, so each line")


def test_into_a_table_twice(batch: BatchJobs, tmp_path: Path) -> None:
    products(tmp_path / "produtos.csv", 3)
    url = f"sqlite:///{tmp_path}/saidas.db"
    _, said = batch.done("--input", "produtos.csv", "--output", f"{url}#predicoes")
    first = batch.last_run()
    batch.done(
        *("--model", "2", "--input", "produtos.csv", "--output-table", "predicoes"),
        BATCH_DATABASE_URL=url,
    )
    second = batch.last_run()
    connection = sqlite3.connect(tmp_path / "saidas.db")
    rows = connection.execute(
        "select run_id, modelo, versao, categoria_prevista, count(*), min(momento) "
        "from predicoes group by 1, 2, 3, 4 order by 3"
    ).fetchall()
    connection.close()
    assert [row[:5] for row in rows] == [
        (first.info.run_id, "classificador-produtos", "1", "brinquedo", 3),
        (second.info.run_id, "classificador-produtos", "2", "brinquedo", 3),
    ]
    assert rows[0][5].startswith("20")
    assert "predicoes" in said


def test_comparing_staging_with_production(
    batch: BatchJobs, client: MlflowClient, tmp_path: Path
) -> None:
    (tmp_path / "produtos.csv").write_text(
        "nome\nboneca de pano\nsenhor dos aneis\nhalo\n", encoding="utf-8"
    )
    _, said = batch.done(
        *("--compare", "staging", "production"),
        *("--input", "produtos.csv", "--output", "lado_a_lado.csv"),
    )
    rows = answers(tmp_path / "lado_a_lado.csv")
    assert rows[1] == {
        "nome": "senhor dos aneis",
        "categoria_staging": "livro",
        "categoria_production": "brinquedo",
    }
    assert [row["categoria_staging"] == row["categoria_production"] for row in rows] == [
        True,
        False,
        True,
    ]
    assert "staging and production differ on 1 of 3 products" in said
    assert "senhor dos aneis" in said
    run = batch.last_run()
    assert run.data.metrics["rows_differing"] == 1.0
    assert (run.data.tags["versao_staging"], run.data.tags["versao_production"]) == ("2", "1")
    logged = Path(client.download_artifacts(run.info.run_id, "comparison", str(tmp_path)))
    assert answers(logged / "differences.csv") == [
        {"texto": "senhor dos aneis", "staging": "livro", "production": "brinquedo"}
    ]
    assert sum(int(row["products"]) for row in answers(logged / "summary.csv")) == 3
    assert (logged / "differences.png").read_bytes().startswith(b"\x89PNG")


def test_exchanging_the_stages_changes_the_answers_and_nothing_else(
    batch: BatchJobs, client: MlflowClient
) -> None:
    def asked() -> list[str]:
        shown, _ = batch.done("--compare", "Production", "Staging", "senhor dos aneis")
        return shown.splitlines()[1].split(";")[1:]

    one, two = (client.get_model_version(registry.MODEL_NAME, number) for number in "12")
    assert asked() == ["brinquedo", "livro"]
    registry.move(client, two, registry.PRODUCTION)
    registry.move(client, one, registry.STAGING)
    try:
        assert asked() == ["livro", "brinquedo"]
    finally:
        registry.move(client, one, registry.PRODUCTION)
        registry.move(client, two, registry.STAGING)
    assert asked() == ["brinquedo", "livro"]


def test_as_an_entry_point_of_the_project(
    batch: BatchJobs, server: MlflowServer, tmp_path: Path
) -> None:
    products(tmp_path / "produtos.csv", 2)
    finished = server.mlflow_run(
        "batch",
        EXPERIMENT,
        input=f"{tmp_path}/produtos.csv",
        output=f"{tmp_path}/saida.csv",
        compare="staging,production",
    )
    assert finished.returncode == 0, finished.stderr
    assert answers(tmp_path / "saida.csv")[1]["categoria_staging"] == "brinquedo"
    run = batch.last_run()
    assert run.data.params["compare"] == "staging,production"
    assert run.data.metrics["rows"] == 2.0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--model 9 halo", "has no version 9; there are: 1 (Production), 2 (Staging)"),
        ("--model Archived halo", "no version of classificador-produtos is in Archived"),
        ("--model vencedor halo", "has no stage or alias vencedor"),
        ("--model models:/outro/1 halo", "no version is registered under this name"),
        ("--model models:outro halo", "models:/name/version"),
        ("--compare staging halo boneca", "has no stage or alias halo"),
        ("--compare staging", "name two models"),
        ("--input nada.csv", "no such file"),
        ("--input produtos.csv --output nada/a.csv", "cannot be written"),
        ("--input produtos.csv --output produtos.csv", "this is the input"),
        ("--input produtos.csv --output-table t", "set BATCH_DATABASE_URL"),
        ("--input produtos.csv --output a.csv --output-table t", "not both"),
        ("", "nothing to classify"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(
    server: MlflowServer,
    arguments: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    products(tmp_path / "produtos.csv", 1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["batch.py", *arguments.split()])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
    with pytest.raises(BadInput) as error:
        entry_point.main()
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["produtos.csv"]


def test_a_tracking_server_that_is_down_is_one_line(batch: BatchJobs) -> None:
    down = f"http://127.0.0.1:{free_port()}"
    line = batch.refused("halo", MLFLOW_TRACKING_URI=down)
    assert f"no tracking server answers at {down}" in line
