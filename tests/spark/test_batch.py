"""Batch jobs on Spark give what they give on one machine, byte for byte."""

import csv
import gzip
import random
import sqlite3
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from produtos.io import csv as csv_tables
from produtos.io import parquet
from tests.e2e.batch_jobs import EXPERIMENT, BatchJobs, command
from tests.e2e.conftest import MlflowServer, free_port
from tests.spark.conftest import Cluster
from tests.support.commands import completed

SAID = ("seconds", "rows_per_second")
"""Metrics that no two jobs have in common."""

WORDS = ("boneca", "de", "pano", "halo;", "console", "batom", "cor", "anéis,", "volume")


def same(
    batch: BatchJobs, master: str, *arguments: object, ending: str = "csv"
) -> tuple[Path, str]:
    """Do a job on this machine and on Spark, and see that nothing is different.

    Returns:
        The output, and what Spark's said on the console.
    """
    said, runs = [], []
    for name, options in (
        ("local", ()),
        ("spark", ("--engine", "spark", "--spark-master", master)),
    ):
        output = ("--output", f"saida-{name}.{ending}", "--bad-rows", f"ruins-{name}.csv")
        _, told = batch.done(*arguments, *output, *options)
        said.append(told.split(" in ")[0].replace(f"-{name}.", "."))
        runs.append(batch.last_run())
    cwd = batch.folder
    one, other = cwd / f"saida-local.{ending}", cwd / f"saida-spark.{ending}"
    if ending == "parquet":
        assert pq.read_table(one).equals(pq.read_table(other))
    else:
        assert one.read_bytes() == other.read_bytes()
    bad = [cwd / f"ruins-{name}.csv" for name in ("local", "spark")]
    assert [each.exists() for each in bad] in ([True, True], [False, False])
    if bad[0].exists():
        assert bad[0].read_bytes() == bad[1].read_bytes()
    assert said[0] == said[1]
    local, spark = runs
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED"]
    assert [run.data.params["engine"] for run in runs] == ["local", "spark"]
    figures = [{k: v for k, v in r.data.metrics.items() if k not in SAID} for r in runs]
    assert figures[0] == figures[1]
    assert local.data.metrics.keys() == spark.data.metrics.keys()
    versions = [{k: v for k, v in r.data.tags.items() if k.startswith("versao")} for r in runs]
    assert versions[0] == versions[1]
    return other, said[1]


def untidy(path: Path, rows: int) -> Path:
    """A table with everything that rows can have, much larger than what is read at a time."""
    chosen = random.Random(7)
    broken = ('7;"aberta;sem fim', "8;;", "a;b;c;d;e", "id;nome;descricao;preco")
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("sep=;\r\nid;Nome;Descrição;preco\r\n")
        for number in range(rows):
            text = " ".join(chosen.choices(WORDS, k=60))
            if number % 101 == 0:
                text = '"' + "\n".join([text] * 3).replace(";", '""') + '"'
            line = f"{number};produto {number};{text.replace(';', ',')};9,90"
            if number % 503 == 0:
                line = broken[number // 503 % len(broken)]
            file.write(line + "\r\n")
    return path


def test_a_large_table_of_any_kind_of_rows(
    batch: BatchJobs, cluster: Cluster, tmp_path: Path
) -> None:
    source = untidy(tmp_path / "produtos.csv", 12_000)
    assert source.stat().st_size > 2 * csv_tables.PART
    output, _ = same(batch, cluster.master, "--input", source)
    with output.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    assert len(rows) > 11_900
    assert {row["categoria_prevista"] for row in rows} > {"brinquedo", "game"}


def test_a_folder_of_every_dialect(batch: BatchJobs, cluster: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / "tabelas"
    folder.mkdir()
    for name, delimiter, line_end in (("a", ";", "\n"), ("b", ",", "\r\n"), ("c", "\t", "\r")):
        rows = [["id", "nome", "descricao"], ["1", "boneca", "de pano"], ["2", "", ""]]
        rows += [["3", "halo", "linha\noutra"], ["4", f"batom{delimiter}", "cor"]]
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter=delimiter, lineterminator=line_end).writerows(rows)
    content = (folder / "a.csv").read_bytes()
    (folder / "d.csv.gz").write_bytes(gzip.compress(content * 2))
    (folder / "e.csv").write_bytes(content + b'5;caf\xe9;\n6;aberta;"sem fim\n7;bola;azul\n')
    output, _ = same(batch, cluster.master, "--input", folder)
    assert output.read_text(encoding="utf-8").count("boneca;de pano") == 6


@pytest.mark.slow
def test_parquet_to_parquet_with_two_models(
    batch: BatchJobs, cluster: Cluster, tmp_path: Path
) -> None:
    count = parquet.PART + 1_000
    texts = [f"senhor dos aneis {n}" if n % 3 else "" for n in range(count)]
    pq.write_table(pa.table({"id": range(count), "texto": texts}), tmp_path / "a.parquet")
    compared = ("--compare", "staging", "production")
    source = ("--input", tmp_path / "a.parquet")
    output, _ = same(batch, cluster.master, *compared, *source, ending="parquet")
    table = pq.read_table(output)
    assert table.num_rows == sum(map(bool, texts))
    assert table.schema.field("id").type == pa.int64()
    assert set(table.column("categoria_staging").to_pylist()) == {"livro"}


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_on_the_cores_of_this_machine(batch: BatchJobs, encoding: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("nome\nrímel\n\npião\n", encoding=encoding)
    same(batch, "local[1]", "--input", "a.csv", "--encoding", encoding)


@pytest.mark.slow
def test_where_every_path_has_a_space(
    server: MlflowServer, cluster: Cluster, tmp_path: Path
) -> None:
    place = tmp_path / "um lugar"
    place.mkdir()
    (place / "ambiente").symlink_to(sys.prefix)
    (place / "a.csv").write_text("nome\nboneca\nhalo\n", encoding="utf-8")
    for number, master in enumerate(("local[1]", cluster.master)):
        line = command("--input", place / "a.csv", "--output", f"{number}.csv")
        done = completed(
            [
                *(str(place / "ambiente" / "bin" / "python"), *line[1:]),
                *("--engine", "spark", "--spark-master", master),
            ],
            env=server.environment(TMPDIR=str(place)),
            cwd=place,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        assert (place / f"{number}.csv").read_text(encoding="utf-8").count("\n") == 3


@pytest.mark.slow
def test_into_a_table(batch: BatchJobs, cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("nome\nboneca\n\nhalo\n", encoding="utf-8")
    url = f"sqlite:///{tmp_path}/saidas.db"
    for number, engine_name in enumerate(("local", "spark")):
        batch.done(
            *("--input", "a.csv", "--output-table", f"t{number}", "--engine", engine_name),
            BATCH_DATABASE_URL=url,
            SPARK_MASTER=cluster.master,
        )
    connection = sqlite3.connect(tmp_path / "saidas.db")
    columns = "nome, categoria_prevista, versao, modelo"
    one, other = (connection.execute(f"select {columns} from t{n}").fetchall() for n in (0, 1))
    connection.close()
    assert one == other
    assert len(one) == 2


@pytest.mark.slow
def test_as_an_entry_point_of_the_project(server: MlflowServer, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("nome\nboneca\nhalo\n", encoding="utf-8")
    files = {"input": f"{tmp_path}/a.csv", "output": f"{tmp_path}/saida.csv"}
    engine_of = {"engine": "spark", "spark_master": "local[1]"}
    done = server.mlflow_run("batch", EXPERIMENT, **files, **engine_of)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "saida.csv").read_text(encoding="utf-8").count("\n") == 3


def test_no_master_is_one_line(batch: BatchJobs, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("nome\nhalo\n", encoding="utf-8")
    master = f"spark://127.0.0.1:{free_port()}"
    output, engine_of = ("--output", "b.csv"), ("--engine", "spark", "--spark-master", master)
    line = batch.refused("--input", "a.csv", *output, *engine_of)
    assert f"{master}: nothing answers there" in line
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_without_java_is_one_line(batch: BatchJobs, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("nome\nhalo\n", encoding="utf-8")
    line = batch.refused("--input", "a.csv", "--engine", "spark", JAVA_HOME="/nowhere")
    assert "install Java 17 or newer" in line
