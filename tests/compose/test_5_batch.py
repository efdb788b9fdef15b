"""Batch jobs in the stack: from its S3, into a table of its MySQL."""

import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.compose.stack import Stack, docker, wait_until

COLUMNS = ("id", "nome", "descricao")
PRODUCTS = [("1", "boneca", "de pano"), ("2", "o senhor dos anéis", "livro"), ("3", "halo", "")]
CATEGORIES = {"1": "brinquedo", "2": "livro", "3": "game"}


def csv_bytes(rows: Sequence[Sequence[str]]) -> bytes:
    return "".join(";".join(row) + "\n" for row in (COLUMNS, *rows)).encode()


def parquet_bytes(rows: Sequence[Sequence[str]]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(dict(zip(COLUMNS, zip(*rows, strict=True), strict=True))), file)
    return file.getvalue()


@pytest.fixture(scope="module")
def bucket(stack: Stack) -> Iterator[Any]:
    """The stack's bucket with products in it: a CSV file, a Parquet file, and a folder of both."""
    s3 = boto3.resource(
        "s3",
        endpoint_url=stack.s3_url,
        region_name=stack.setting("AWS_REGION"),
        aws_access_key_id=stack.setting("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=stack.setting("AWS_SECRET_ACCESS_KEY"),
    )
    bucket = s3.Bucket(stack.setting("AWS_BUCKET_NAME"))
    files = {
        "lotes/um.csv": csv_bytes([*PRODUCTS, ("4", "", "")]),
        "lotes/um.parquet": parquet_bytes(PRODUCTS),
        "lotes/pasta/a.csv": csv_bytes(PRODUCTS[:1]),
        "lotes/pasta/dentro/b.parquet": parquet_bytes(PRODUCTS[1:]),
        "lotes/muitos.csv": csv_bytes([(str(n), "boneca", "de pano") for n in range(400_000)]),
    }
    for key, body in files.items():
        bucket.put_object(Key=key, Body=body)
    yield bucket
    # One by one: this S3 takes no list without a checksum that boto3 has given up.
    for item in bucket.objects.filter(Prefix="lotes/"):
        item.delete()


def job(*arguments: str, **settings: str) -> list[str]:
    """The line that runs a job, after `docker compose`."""
    options = [word for pair in settings.items() for word in ("-e", "=".join(pair))]
    return ["run", "--rm", "-T", *options, "batch", *arguments]


def address(stack: Stack, key: str) -> str:
    return f"s3://{stack.setting('AWS_BUCKET_NAME')}/{key}"


def refused(stack: Stack, *arguments: str, **settings: str) -> str:
    """The one line of a job that has to be refused."""
    done = stack.try_compose(*job(*arguments, **settings))
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("batch.py: ")
    return line


def secrets(stack: Stack) -> list[str]:
    return [stack.setting(name) for name in ("MYSQL_PASSWORD", "AWS_SECRET_ACCESS_KEY")]


def rows_of(stack: Stack, table: str, columns: str) -> list[list[str]]:
    said = stack.sql(f"SELECT {columns} FROM {table} ORDER BY momento, id")
    return [line.split("\t") for line in said.splitlines()]


def test_texts_are_answered_without_anything_else(stack: Stack) -> None:
    assert stack.compose(*job("boneca de pano")).splitlines() == [
        "texto;categoria_prevista",
        "boneca de pano;brinquedo",
    ]


@pytest.mark.parametrize(
    ("key", "target"),
    [
        ("um.csv", "do-csv.csv"),
        ("um.parquet", "do-parquet.parquet"),
        ("pasta", "da-pasta.csv"),
    ],
)
def test_from_s3_to_s3(stack: Stack, bucket: Any, key: str, target: str) -> None:
    folder = "lotes/respostas"
    stack.compose(
        *job("--input", address(stack, f"lotes/{key}")),
        *("--output", address(stack, f"{folder}/{target}")),
    )
    body = bucket.Object(f"{folder}/{target}").get()["Body"].read()
    if target.endswith(".csv"):
        lines = [line.split(";") for line in body.decode().splitlines()]
        found = {line[0]: line[-1] for line in lines[1:]}
    else:
        read = pq.read_table(io.BytesIO(body)).to_pydict()
        found = dict(zip(read["id"], read["categoria_prevista"], strict=True))
    assert found == CATEGORIES
    keys = {one.key for one in bucket.objects.filter(Prefix=folder)}
    stem = target.rpartition(".")[0]
    # The product without a text, and only that one, is listed beside the answers.
    assert (f"{folder}/{stem}.rejeitadas.csv" in keys) == (key == "um.csv")


def test_a_folder_of_this_machine(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "produtos.csv").write_bytes(csv_bytes(PRODUCTS))
    mounted = ("--volume", f"{tmp_path}:/data", "--user", str(os.getuid()))
    line = job("--input", "/data/produtos.csv", "--output", "/data/respostas.csv")
    stack.compose(line[0], *mounted, *line[1:])
    lines = (tmp_path / "respostas.csv").read_text(encoding="utf-8").splitlines()
    assert [line.rpartition(";")[2] for line in lines[1:]] == list(CATEGORIES.values())


@pytest.mark.usefixtures("bucket")
def test_a_table_is_made_and_then_appended_to(stack: Stack) -> None:
    for key in ("um.csv", "um.parquet"):
        stack.compose(
            *job("--input", address(stack, f"lotes/{key}"), "--output-table", "predicoes")
        )
    rows = rows_of(stack, "predicoes", "id, nome, categoria_prevista, versao, modelo, run_id")
    assert [row[0] for row in rows] == ["1", "2", "3"] * 2
    assert {row[0]: row[2] for row in rows} == CATEGORIES
    assert {row[1] for row in rows} == {name for _, name, _ in PRODUCTS}
    assert {(row[3], row[4]) for row in rows} == {("1", "classificador-produtos")}

    first, second = rows[0][5], rows[3][5]
    assert [row[5] for row in rows] == [first] * 3 + [second] * 3
    runs = {run["info"]["run_id"]: run for run in stack.runs()}
    for run_id in (first, second):
        metrics = {one["key"]: one["value"] for one in runs[run_id]["data"]["metrics"]}
        assert metrics["rows"] == 3
    # What the job left out is kept with its run, since its container is gone.
    assert runs[first]["info"]["status"] == "FINISHED"
    listed = stack.api(f"artifacts/list?run_id={first}")["files"]
    assert "rejeitadas.csv" in {one["path"] for one in listed}
    age = stack.sql("SELECT MAX(TIMESTAMPDIFF(SECOND, momento, UTC_TIMESTAMP())) FROM predicoes")
    assert 0 <= int(age) < 600


def uncommitted(stack: Stack, table: str) -> int:
    """Rows of a table, those of a transaction that has not ended among them."""
    try:
        said = stack.sql(
            "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED; "
            f"SELECT COUNT(*) FROM {table}"
        )
    except AssertionError as error:
        if "doesn't exist" in str(error):
            return 0
        raise
    return int(said)


@pytest.mark.usefixtures("bucket")
def test_a_job_killed_while_it_writes_leaves_no_row(stack: Stack) -> None:
    name = f"{stack.project}-killed"
    line = job("--input", address(stack, "lotes/muitos.csv"), "--output-table", "muitas")
    line[1:1] = ["--name", name]
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(stack.try_compose, *line)
        try:
            wait_until(lambda: uncommitted(stack, "muitas") > 0, "the job to write")
            command_lines = docker("top", name, "-eo", "pid,args")
            docker("kill", "--signal", "KILL", name)
        finally:
            docker("rm", "--force", name, check=False)
            done = under_way.result()
    assert done.returncode == 137, done.stderr
    assert "batch.py" in command_lines
    assert not any(secret in command_lines for secret in secrets(stack))
    assert stack.sql("SELECT COUNT(*) FROM muitas") == "0"
    wait_until(lambda: uncommitted(stack, "muitas") == 0, "MySQL to undo what was written")

    stack.compose(*job("--input", address(stack, "lotes/muitos.csv"), "--output-table", "muitas"))
    assert stack.sql("SELECT COUNT(*), COUNT(DISTINCT id), COUNT(DISTINCT run_id) FROM muitas") == (
        "400000\t400000\t1"
    )


def test_what_is_wrong_is_one_line(stack: Stack) -> None:
    line = refused(stack, "halo", "--output-table", "outra", MYSQL_PASSWORD="segredo-errado")
    assert "Access denied for user" in line
    assert "segredo" not in line
    line = refused(
        stack,
        *("halo", "--output-table", "outra"),
        BATCH_DATABASE_URL="mysql+pymysql://mlflow:segredo@db:3307/mlflow",
    )
    assert "mysql+pymysql://mlflow:***@db:3307/mlflow#outra: the database could not do it" in line
    line = refused(stack, "--input", "s3://nenhum/a.csv", "--output-table", "outra")
    assert "s3://nenhum/a.csv" in line
    line = refused(
        stack,
        *("--input", address(stack, "lotes/um.csv"), "--output-table", "outra"),
        AWS_SECRET_ACCESS_KEY="segredo-errado",
    )
    assert "cannot be read" in line
    assert "segredo" not in line


def test_what_a_run_keeps_of_a_job_has_no_secret_in_it(stack: Stack) -> None:
    kept = [
        str(run["data"]) for run in stack.runs() if "output" in str(run["data"].get("params", []))
    ]
    assert kept
    assert not any(secret in one for secret in secrets(stack) for one in kept)
