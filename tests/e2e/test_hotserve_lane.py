"""The fast lane beside the real `mlflow models serve`: equal answers, or it stays shut."""

import csv
import io
import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from mlflow.models import Model

from hotserve.worker.fast_lane import LARGE_CSV
from produtos.model import flavor as model_flavor
from produtos.model import pipeline as trainer_model
from tests.e2e.conftest import MlflowServer
from tests.e2e.hotserve_models import Registry
from tests.e2e.hotserve_process import CSV, PATIENCE, Hotserve, eventually, running_hotserve
from tests.e2e.stock_server import stock_server
from tests.support.commands import ROOT
from tests.support.threads import working

NAME = "hotserve-lane"
URI = f"models:/{NAME}/Production"
PRODUCTS = ROOT / "trainer" / "produtos.csv"

with PRODUCTS.open(encoding="utf-8", newline="") as _file:
    ROWS = list(csv.DictReader(_file, delimiter=";"))
TEXTS = [f"{row['nome']} {row['descricao']}".strip() for row in ROWS]
SOME = TEXTS[::4]

CUTTING = """

def texts_of(model_input, _whole=texts_of):
    return [text[:10] for text in _whole(model_input)]
"""


def trained(folder: Path, mark: str = "", classifier: str = "naive_bayes") -> Path:
    """A model as the trainer writes it, its categories ending in `mark`."""
    labels = [row["categoria"] + mark for row in ROWS]
    pipeline = trainer_model.build(classifier, strip_accents=True).fit(TEXTS, labels)
    model_flavor.save_model(path=str(folder), pipeline=pipeline, mlflow_model=Model())
    return folder


@dataclass(frozen=True)
class Beside:
    """hotserve with an open lane, and a plain server of the same version beside it.

    Attributes:
        home: of hotserve, with its cache.
        stock: address of the plain server of version 1.
        cutting: a version that does not answer as its pipeline does.
    """

    hotserve: Hotserve
    home: Path
    stock: str
    registry: Registry
    cutting: str

    def promote(self, version: str, lane: str = "open") -> None:
        self.registry.move(NAME, version, "Production")
        self.hotserve.wait_for_version(version)
        self.hotserve.wait_for("no verdict", lambda model: model["lane"]["state"] == lane)

    def plain(self, body: Any) -> requests.Response:
        """The plain server's answer to JSON."""
        return requests.post(f"{self.stock}/invocations", json=body, timeout=PATIENCE)

    def both(self, body: Any) -> tuple[requests.Response, requests.Response]:
        """The answers of hotserve and of the plain server to JSON."""
        return self.hotserve.invoke(body), self.plain(body)


@pytest.fixture(scope="module")
def beside(
    mlflow_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Beside]:
    home = tmp_path_factory.mktemp("hotserve-lane")
    registry = Registry(mlflow_server.url)
    first = registry.register_folder(NAME, trained(home / "first"))
    registry.move(NAME, first, "Production")
    environment = mlflow_server.environment()
    with (
        running_hotserve(URI, home, environment, options=["--workers", "2"]) as hotserve,
        stock_server(str(home / "first"), environment) as stock,
    ):
        registry.register_folder(NAME, trained(home / "second", " 2", "logistic_regression"))
        cutting = trained(home / "cutting")
        [code] = cutting.glob("code/product_model/classifier.py")
        code.write_text(code.read_text("utf-8") + CUTTING, "utf-8")
        version = registry.register_folder(NAME, cutting)
        beside = Beside(hotserve, home, stock, registry, version)
        beside.promote(first)
        yield beside


def is_fast(answer: requests.Response) -> bool:
    """Whether the lane gave it; an error is not expected."""
    assert answer.status_code == 200, answer.text
    return answer.headers["X-Hotserve-Lane"] == "fast"


def test_workers_have_the_lane_in_memory_once(beside: Beside) -> None:
    assert is_fast(beside.hotserve.predict("boneca de pano"))
    for worker in beside.hotserve.workers():
        maps = [each for each in worker.memory_maps(grouped=False) if "model.lane" in each.path]
        assert maps, "it does not map the file"
        assert not [each for each in maps if "w" in each.perms]


def columns(*names: str) -> dict[str, Any]:
    rows = [[row[name] for name in names] for row in ROWS[::40]]
    return {"columns": list(names), "data": rows}


def records(*names: str) -> list[dict[str, str]]:
    return [{name: row[name] for name in names} for row in ROWS[::40]]


FORMS: dict[str, Any] = {
    "inputs": {"inputs": SOME},
    "one": {"inputs": ["boneca de pano"]},
    "instances": {"instances": SOME},
    "split": {"dataframe_split": columns("nome", "descricao")},
    "split, the other way round": {"dataframe_split": columns("descricao", "nome")},
    "split of names": {"dataframe_split": columns("nome")},
    "records": {"dataframe_records": records("nome", "descricao")},
    "records, the other way round": {"dataframe_records": records("descricao", "nome")},
    "odd texts": {"inputs": ["", " ", "\u0000", "a\nb", "ANÉIS", "ane\u0301is", "😀", "\ud83d"]},
}


@pytest.mark.parametrize("form", FORMS)
def test_json_is_answered_by_the_lane_with_the_same_bytes(beside: Beside, form: str) -> None:
    ours, stock = beside.both(FORMS[form])
    assert is_fast(ours)
    assert ours.content == stock.content
    assert ours.headers["X-Model-Version"] == "1"


def test_csv_is_answered_by_the_lane(beside: Beside) -> None:
    stock = beside.plain({"inputs": SOME}).json()
    for body in ("\n".join(SOME), "texto\n" + "\n".join(SOME)):
        answer = beside.hotserve.predict(body)
        assert is_fast(answer)
        assert answer.json() == stock
    for text, category in zip(SOME[:50], stock["predictions"], strict=False):
        answer = beside.hotserve.predict(text)
        assert is_fast(answer)
        assert answer.json() == {"predictions": [category]}
    assert {"text/csv", "inputs"} <= set(beside.hotserve.model()["lane"]["forms"])


@pytest.mark.parametrize("form", FORMS)
def test_probabilities_are_those_of_the_model(beside: Beside, form: str) -> None:
    ours, stock = beside.both({**FORMS[form], "params": {"probabilities": True}})
    if form == "odd texts" and not is_fast(ours):
        # Two classes that are level may be in another order in the model's own sums.
        assert ours.json() == stock.json()
        return
    assert is_fast(ours)
    for one, other in zip(ours.json()["predictions"], stock.json()["predictions"], strict=True):
        assert list(one) == list(other)
        assert one["categoria"] == other["categoria"]
        assert list(one["probabilidades"]) == list(other["probabilidades"])
        assert one["probabilidades"] == pytest.approx(other["probabilidades"], abs=1e-9)


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": ["boneca", 7]},
        {"inputs": ["boneca", None]},
        {"inputs": "boneca"},
        {"inputs": [["boneca"]]},
        {"instances": [{"nome": "boneca"}]},
        {"inputs": ["boneca"], "params": {"probabilities": False}},
        {"dataframe_split": {"columns": ["nome"], "data": [["boneca"]], "index": [5]}},
        {"dataframe_records": [{"nome": "boneca"}, {"descricao": "de pano"}]},
        {"inputs": ["boneca " * 4000]},
    ],
    ids=lambda body: json.dumps(body)[:40],
)
def test_everything_else_goes_to_the_process(beside: Beside, body: Any) -> None:
    ours, stock = beside.both(body)
    assert not is_fast(ours)
    assert ours.content == stock.content


def test_of_a_key_that_is_there_twice_the_last_one_counts(beside: Beside) -> None:
    body = b'{"inputs": ["boneca de pano"], "inputs": ["dom casmurro"]}'
    kind = "application/json"
    ours = beside.hotserve.post(body, kind)
    url, headers = f"{beside.stock}/invocations", {"Content-Type": kind}
    stock = requests.post(url, body, headers=headers, timeout=PATIENCE)
    assert is_fast(ours)
    assert ours.content == stock.content


def test_no_request_fails_while_versions_change_under_load(beside: Beside) -> None:
    beside.promote("1")
    seen: Counter[tuple[str, str, bool]] = Counter()
    wrong: list[str] = []
    over, url = threading.Event(), f"{beside.hotserve.url}/invocations"
    batch = "\n".join(TEXTS[:1000])

    def ask(body: str) -> None:
        with requests.Session() as session:
            while not over.is_set():
                answer = session.post(url, body.encode(), headers=CSV, timeout=PATIENCE)
                if answer.status_code != 200:
                    wrong.append(answer.text)
                    continue
                version = answer.headers["X-Model-Version"]
                told = {label.endswith(" 2") for label in answer.json()["predictions"]}
                if told != {version == "2"}:
                    wrong.append(f"version {version} answered {answer.text[:200]}")
                seen[version, answer.headers["X-Hotserve-Lane"], body == batch] += 1

    with working(over, [partial(ask, body) for body in (TEXTS[0], TEXTS[1], batch)]):
        beside.promote("2")
        eventually(lambda: seen["2", "fast", True], "version 2 answered no batch")
        beside.promote("1")
    assert wrong == []
    assert {lane for _, lane, _ in seen} == {"fast"}, "a version took over before its lane"
    assert {version for version, _, _ in seen} == {"1", "2"}
    eventually(lambda: len(beside.hotserve.server_processes()) == 1, "an old process is left")


def test_the_lane_goes_on_while_the_process_is_dead(beside: Beside) -> None:
    beside.promote("1")
    hotserve = beside.hotserve
    restarts = hotserve.model()["restarts"]
    [server] = hotserve.server_processes()
    os.kill(server.pid, signal.SIGKILL)
    hotserve.wait_for("its death is not noticed", lambda model: model["restarts"] > restarts)
    for text in SOME[:20]:
        assert is_fast(hotserve.predict(text))
    assert hotserve.model()["state"] == "restarting", "it was back before the lane was asked"
    assert hotserve.get("/ping").status_code == 200
    hotserve.wait_until_serving()
    assert not is_fast(hotserve.invoke({"inputs": ["boneca", 7]}))


def test_the_lane_stays_shut_for_a_model_that_answers_otherwise(beside: Beside) -> None:
    beside.promote(beside.cutting, "shut")
    answer = beside.hotserve.predict(SOME[0])
    assert not is_fast(answer)
    assert answer.headers["X-Model-Version"] == beside.cutting
    lane = beside.hotserve.model()["lane"]
    assert len(lane["difference"]["text"]) > 10
    assert lane["difference"]["lane"] != lane["difference"]["model"]
    assert lane["difference"]["model"] in lane["why"]
    log = beside.hotserve.log.read_text()
    assert f"version {beside.cutting} (Production) stays shut: on '" in log
    beside.promote("1")


def test_a_restart_answers_from_the_lane_before_the_process_is_up(
    beside: Beside, mlflow_server: MlflowServer
) -> None:
    beside.promote("1")
    with running_hotserve(URI, beside.home, mlflow_server.environment()) as again:
        again.wait_for("no answer", lambda model: model["version"] == "1")
        answer = again.predict(TEXTS[0])
        assert is_fast(answer)
        assert answer.json() == beside.hotserve.predict(TEXTS[0]).json()
        assert again.model()["state"] == "starting", "the process was up before the lane was asked"
        assert again.get("/ping").status_code == 200
        assert again.get("/version").text == beside.hotserve.get("/version").text
        again.wait_for_version("1")
        assert not is_fast(again.invoke({"inputs": ["boneca", 7]}))
        assert [(s["from"], s["to"]) for s in again.model()["switches"]] == [(None, "1")]


def test_text_csv_is_answered_for_a_model_of_named_columns(beside: Beside) -> None:
    """Such a model refuses texts by themselves."""
    folder = trained(beside.home / "columns")
    declared = yaml.safe_load((folder / "MLmodel").read_text("utf-8"))
    columns = [{"type": "string", "name": name} for name in ("descricao", "nome")]
    declared["signature"] = {"inputs": json.dumps(columns), "outputs": None, "params": None}
    (folder / "MLmodel").write_text(yaml.safe_dump(declared), "utf-8")
    version = beside.registry.register_folder(NAME, folder)
    beside.promote(version)
    rows = [(row["nome"], row["descricao"]) for row in ROWS[::40]]
    table = io.StringIO()
    csv.writer(table).writerows([("nome", "descricao"), *rows])
    texts = [" ".join(filter(None, row)) for row in rows]
    expected = beside.plain({"inputs": texts}).json()
    for body in (table.getvalue(), "\n".join(texts)):
        answer = beside.hotserve.predict(body)
        assert is_fast(answer)
        assert answer.json() == expected
    assert is_fast(beside.hotserve.predict(texts[0]))
    times = 1 + LARGE_CSV // len(table.getvalue())
    head, _, lines = table.getvalue().partition("\r\n")
    large = beside.hotserve.predict(f"{head}\r\n{lines * times}")
    assert is_fast(large)
    assert large.json()["predictions"] == expected["predictions"] * times
    assert beside.hotserve.invoke({"inputs": texts}).status_code == 400
    other = beside.hotserve.predict("nome|preço|Descrição|categoria\nboneca|7|de pano|livro")
    assert is_fast(other)
    assert other.json() == beside.hotserve.predict("boneca de pano").json()
    beside.promote("1")
