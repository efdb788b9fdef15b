"""The engine for Spark, its work done in this process: the same rows as every other job has."""

from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from produtos.batch import inputs, pool
from produtos.batch.answered import Form
from produtos.batch.request import Request
from produtos.batch.spark import engine, worker
from produtos.batch.spark.engine import Submit
from produtos.batch.spark.worker import Work
from produtos.errors import BadInput
from produtos.io import csv, parquet
from produtos.io.rows import BadRow
from tests.support.tables import BAD_ROWS, READ, Table

Row = dict[str, object]


class Model:
    def answers(self, texts: Sequence[str]) -> list[str]:
        if "bomb" in texts:
            raise BadInput("model 1: does not classify a list of texts")
        return [f"answer to {text}" for text in texts]


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_models", [Model()])


def form_of(request: Request) -> Form:
    schema = inputs.open_inputs(request).schema.append(pa.field(inputs.CATEGORY, pa.string()))
    return Form(schema, as_text=False)


def submitting(form: Form) -> Submit:
    def submit(work: Work) -> Future[bytes]:
        future: Future[bytes] = Future()
        future.set_result(worker.answer(work, [], form, {}))
        return future

    return submit


def on_spark(request: Request, size: int) -> tuple[list[Row], list[BadRow], int]:
    opened, form = inputs.open_inputs(request), form_of(request)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv, "PART", size)
        patch.setattr(parquet, "PART", size)
        works = engine.works(request, opened)
        found = list(engine.classify(submitting(form), works, lambda: 3))
    batches = [some.rows for some in found if not isinstance(some.rows, str)]
    assert [some.count for some in found] == [batch.num_rows for batch in batches]
    rows = [row for batch in batches for row in batch.to_pylist()]
    return rows, [bad for some in found for bad in some.bad], sum(some.size for some in found)


def on_this_machine(request: Request) -> tuple[list[Row], list[BadRow]]:
    chunks = list(inputs.chunks(request, inputs.open_inputs(request)))
    rows = [
        row | {inputs.CATEGORY: f"answer to {text}"}
        for chunk in chunks
        for row, text in zip(chunk.rows.to_pylist(), chunk.texts, strict=True)
    ]
    return rows, [bad for chunk in chunks for bad in chunk.bad]


@pytest.mark.parametrize("size", [1, 7, 50, 1 << 20])
@pytest.mark.parametrize("table", [*READ, *BAD_ROWS], ids=str)
def test_every_table_is_read_as_on_one_machine(table: Table, size: int, tmp_path: Path) -> None:
    (tmp_path / "produtos.csv").write_bytes(table.body)
    request = Request(models=("1",), input=str(tmp_path / "produtos.csv"))
    rows, bad, _ = on_spark(request, size)
    assert (rows, bad) == on_this_machine(request)


def test_rows_that_go_over_several_parts(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        'nome;descricao;id\n;;1\nboneca;"de\n\npano\n\n\n\n"\nhalo;3;4;x\nbola;azul\nbatom;"aberta\n;;2\n;;\n',
        encoding="utf-8",
    )
    request = Request(models=("1",), input=str(tmp_path / "a.csv"))
    for size in range(1, 60):
        rows, bad, _ = on_spark(request, size)
        assert (rows, bad) == on_this_machine(request)
    assert [row.line for row in bad] == [2, 10, 12, 13]


def test_a_folder_of_all_kinds_of_files(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        body = "".join(f"{name} {n}\n" for n in range(30)) + ";\n"
        (tmp_path / name).write_text("texto\n" + body, encoding="utf-8")
    pq.write_table(pa.table({"texto": ["halo", "", "bola"]}), tmp_path / "c.parquet")
    request = Request(models=("1",), input=str(tmp_path))
    rows, bad, size = on_spark(request, 40)
    assert (rows, bad) == on_this_machine(request)
    assert size == sum(file.stat().st_size for file in tmp_path.iterdir())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_a_file_that_cannot_be_cut_and_texts(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_text("nome\ncafé\n\nmaçã\n", encoding=encoding)
    request = Request(models=("1",), input=str(tmp_path / "a.csv"), encoding=encoding)
    assert on_spark(request, 3)[:2] == on_this_machine(request)
    texts = Request(models=("1",), texts=("boneca", "halo"))
    assert on_spark(texts, 3)[:2] == on_this_machine(texts)


def test_no_more_is_under_way_than_the_cluster_can_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("nome\n" + "halo\n" * 50, encoding="utf-8")
    request = Request(models=("1",), input=str(tmp_path / "a.csv"))
    submitted: list[Work] = []

    def counted(work: Work) -> Future[bytes]:
        submitted.append(work)
        return submitting(form)(work)

    form = form_of(request)
    monkeypatch.setattr(csv, "PART", 10)
    works = engine.works(request, inputs.open_inputs(request))
    answered = engine.classify(counted, works, lambda: 4)
    next(answered)
    assert len(submitted) == 4


@pytest.mark.parametrize(
    ("content", "message"), [("nome\nbomb\n", "does not classify"), (None, "No such file")]
)
def test_what_is_of_no_use_is_said_as_on_one_machine(
    content: str | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content or "nome\nhalo\n", encoding="utf-8")
    request = Request(models=("1",), input=str(path))
    form = form_of(request)
    works = list(engine.works(request, inputs.open_inputs(request)))
    if content is None:
        path.unlink()
    with pytest.raises(BadInput, match=message):
        list(engine.classify(submitting(form), iter(works), lambda: 3))


def test_the_pool_answers_for_each_model() -> None:
    assert pool.answers([Model(), Model()], ["a"]) == [["answer to a"]] * 2  # type: ignore[list-item]
