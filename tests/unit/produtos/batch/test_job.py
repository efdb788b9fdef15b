"""A whole job in this process, on a model of the test's own."""

import csv
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from produtos.batch import inputs, job, pool
from produtos.batch.engines import engine_of
from produtos.batch.pool import ModelFolder
from produtos.batch.record import Result
from produtos.batch.request import Request
from produtos.errors import BadInput
from produtos.io.sinks import BadRows
from produtos.registry.reference import ModelReference

BOMB = "boneca que explode"


class Model:
    def __init__(self, folder: ModelFolder) -> None:
        self.version, _ = folder

    def answers(self, texts: Sequence[str]) -> list[str]:
        if BOMB in texts:
            raise BadInput("model models:/m/1: does not classify a list of texts")
        return [f"{self.version} {text}" for text in texts]


class Record:
    """What a run is given, in order."""

    run_id = "run-7"

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def start(self, request: Request, versions: dict[str, ModelReference]) -> None:
        assert request.input == "produtos.csv"
        self.kept.append(versions)

    def result(self, result: Result) -> None:
        self.kept.append(result)

    def bad_rows(self, bad: BadRows) -> None:
        self.kept.append(Path(bad.address).read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job, "_download", lambda model, _: (model.version, model.uri))
    monkeypatch.setattr(pool, "load", lambda folders: [Model(each) for each in folders])


def run(record: Record | None = None, models: Sequence[str] = ("1",), **given: Any) -> list[str]:
    """Do a job; what it said on the console."""
    request = Request(models=tuple(models), **{"input": "produtos.csv"} | given)
    versions = [ModelReference("m", each, "None") for each in models]
    said: list[str] = []
    opened = inputs.open_inputs(request)
    with engine_of(request, opened) as engine, pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "_tell", said.append)
        job.run(request, opened, versions, engine, record=record)  # type: ignore[arg-type]
    return said


def produtos(content: str | bytes) -> None:
    Path("produtos.csv").write_bytes(content if isinstance(content, bytes) else content.encode())


def answers(path: str = "saida.csv", encoding: str = "utf-8") -> list[list[str]]:
    with open(path, encoding=encoding, newline="") as file:
        return list(csv.reader(file, delimiter=";"))


def test_every_row_has_its_own_answer_in_its_own_place() -> None:
    count = 45_001
    produtos("id;nome\n" + "".join(f"{n};boneca {n}\n" for n in range(count)))
    (said,) = run(output="saida.csv")
    assert answers() == [
        ["id", "nome", "categoria_prevista"],
        *([str(n), f"boneca {n}", f"1 boneca {n}"] for n in range(count)),
    ]
    assert "45,001 products classified by m version 1 in " in said
    assert said.endswith(" s, written to saida.csv")


def test_the_files_of_a_folder_follow_each_other(tmp_path: Path) -> None:
    for name, text in (("b", "halo"), ("a", "bola")):
        folder = tmp_path / "tabelas"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.csv").write_text(f"nome\n{text}\n", encoding="utf-8")
    run(input="tabelas", output="saida.csv")
    assert answers()[1:] == [["bola", "1 bola"], ["halo", "1 halo"]]
    opened = inputs.open_inputs(Request(models=("1",), input="tabelas"))
    chunks = inputs.chunks(Request(models=("1",), input="tabelas"), opened)
    assert [chunk.size for chunk in chunks] == [10, 10] == [opened.size // 2] * 2


def test_two_models_answer_beside_each_other() -> None:
    produtos("nome\nhalo\nbola\n")
    said = run(models=("1", "2"), output="saida.csv")
    assert answers() == [
        ["nome", "categoria_1", "categoria_2"],
        ["halo", "1 halo", "2 halo"],
        ["bola", "1 bola", "2 bola"],
    ]
    assert said[0].startswith("1 and 2 differ on 2 of 2 products (100.00%)")
    assert "2 products classified by m version 1 and m version 2" in said[1]


def test_parquet_says_which_version_and_run_made_it() -> None:
    produtos("nome\nhalo\n")
    run(Record(), output="saida.parquet")
    metadata = pq.read_schema("saida.parquet").metadata
    assert metadata == {b"versao": b"1", b"modelo": b"m", b"run_id": b"run-7"}


def test_answers_on_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    run(input="", texts=("halo",))
    assert capsys.readouterr().out == "texto;categoria_prevista\nhalo;1 halo\n"


def test_a_file_without_a_header_is_told_first() -> None:
    produtos("boneca; azul\n")
    assert run()[0].startswith("input produtos.csv: no known column in its first line")


def spoilt(good: int, bad: int) -> bytes:
    return b"nome\n" + b"halo\n" * good + "café\n".encode("latin-1") * bad


@pytest.mark.parametrize(
    ("good", "bad", "least"), [(5, 5, 0.5), (4, 6, 0.4), (1, 9, 0.0), (10, 0, 1.0)]
)
def test_enough_answers_are_a_success(good: int, bad: int, least: float) -> None:
    produtos(spoilt(good, bad))
    run(output="saida.csv", min_answered=least)
    assert len(answers()) == 1 + good


@pytest.mark.parametrize(
    ("good", "bad", "least"), [(4, 5, 0.5), (9, 1, 0.91), (0, 3, 0.5), (0, 3, 0.0), (99, 1, 1.0)]
)
def test_too_few_answers_leave_the_output_of_yesterday(good: int, bad: int, least: float) -> None:
    produtos(spoilt(good, bad))
    Path("saida.csv").write_text("de ontem", encoding="utf-8")
    record = Record()
    with pytest.raises(BadInput) as error:
        run(record, output="saida.csv", min_answered=least)
    message = str(error.value)
    assert f"output saida.csv: not written, since {good} of {good + bad} rows could" in message
    assert "listed in saida.rejeitadas.csv; if it is not utf-8, --encoding names" in message
    assert Path("saida.csv").read_text(encoding="utf-8") == "de ontem"
    assert len(answers("saida.rejeitadas.csv")) == 1 + bad + (bad > 1)
    assert sorted(path.name for path in Path().iterdir()) == [
        "produtos.csv",
        "saida.csv",
        "saida.rejeitadas.csv",
    ]
    versions, result, listed = record.kept
    assert (result.rows, result.bad_rows) == (good, bad)
    assert listed == Path("saida.rejeitadas.csv").read_text(encoding="utf-8")
    assert list(versions) == ["versao"]


def test_no_rows_at_all_are_no_success_and_say_what_may_have_happened() -> None:
    produtos("nome;descricao")
    with pytest.raises(BadInput, match=r"produtos.csv: no rows below the header.*line ends"):
        run(output="saida.csv")
    assert not Path("saida.csv").exists()


def test_an_error_on_the_way_leaves_nothing(tmp_path: Path) -> None:
    produtos("nome;id\n" + "halo;1\n" * 9_000 + f"a;b;c\n{BOMB}\n")
    with pytest.raises(BadInput, match="does not classify"):
        run(Record(), output="saida.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["produtos.csv"]


def test_an_output_that_cannot_be_put_in_its_place_is_an_error(tmp_path: Path) -> None:
    produtos("nome\nhalo\n")

    class Full(Record):
        def result(self, result: Result) -> None:
            assert result.rows == 1
            (tmp_path / "saida.csv").mkdir()

    with pytest.raises(BadInput, match=r"output saida.csv: cannot be written \(Is a directory\)"):
        run(Full(), output="saida.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["produtos.csv", "saida.csv"]


def test_what_excel_opens_begins_with_one_mark() -> None:
    produtos("nome;id\n" + "maçã;1\n" * 6_000 + "a;b;c\nd;e;f\n")
    run(output="saida.csv", output_encoding="utf-8-sig")
    for path in ("saida.csv", "saida.rejeitadas.csv"):
        content = Path(path).read_text(encoding="utf-8")
        assert content.startswith("\ufeff")
        assert content.count("\ufeff") == 1
    assert len(answers(encoding="utf-8-sig")) == 6_001


def test_the_files_of_a_model_are_fetched_into_a_new_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()
    (tmp_path / "MLmodel").write_text("flavors: {}\n", "utf-8")
    model: Any = SimpleNamespace(uri=str(tmp_path / "MLmodel"))
    folder, _ = job._download(model, tmp_path / "modelo-1")
    assert Path(folder).read_text("utf-8") == "flavors: {}\n"
    assert Path(folder).parent == tmp_path / "modelo-1"


def test_a_model_whose_files_are_gone_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()

    def fail(**_: Any) -> str:
        raise OSError("no\nsuch object")

    monkeypatch.setattr("mlflow.artifacts.download_artifacts", fail)
    model: Any = SimpleNamespace(uri="models:/m/1")
    with pytest.raises(BadInput, match=r"model models:/m/1: .* cannot be fetched \(no such object"):
        job._download(model, tmp_path / "modelo-1")
