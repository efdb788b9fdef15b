"""The comparison of a lane with a process: here one that answers what a test says."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

from hotserve.inputs import json_forms
from hotserve.inputs.columns import text_of
from hotserve.lane import Lane
from hotserve.lane.compile import compile_pipeline
from hotserve.lane.probes import probes_file
from hotserve.manager.lane_check import check
from tests.support.threads import Quiet, serving

Answer = tuple[int, Any]
TEXTS = ["bola azul", "livro de bolso", "jogo novo", "bola de jogo"]
LABELS = ["brinquedo", "leitura", "game", "brinquedo"]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lane") / "model.lane"
    compile_pipeline(make_pipeline(CountVectorizer(), MultinomialNB()).fit(TEXTS, LABELS), path)
    # Fewer than it makes, so that a comparison takes no time.
    probes_file(path).write_text(json.dumps([*TEXTS, "", "nada", "é 😀"]))
    return path


def texts_of(body: dict[str, Any]) -> list[str]:
    """The texts of a request in any of the forms."""
    for form in (json_forms.INPUTS, json_forms.INSTANCES):
        if form in body:
            return [str(text) for text in body[form]]
    if json_forms.SPLIT in body:
        table = body[json_forms.SPLIT]
        rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    else:
        rows = body[json_forms.RECORDS]
    return [text_of([str(part) for part in row.values()]) for row in rows]


class Model:
    """Answers as the compiled model does; `change` makes something else of it."""

    def __init__(self, compiled: Path) -> None:
        self.lane = Lane(compiled)
        self.change: Callable[[dict[str, Any], list[str]], Answer] = self.labels
        self.asked = 0

    def labels(self, _: dict[str, Any], texts: list[str]) -> Answer:
        return 200, {"predictions": self.lane.predict(texts)}

    def probabilities(self, body: dict[str, Any], texts: list[str]) -> Answer:
        if "params" not in body:
            return self.labels(body, texts)
        names = [str(label) for label in self.lane.classes]
        rows = zip(self.lane.predict(texts), self.lane.predict_proba(texts), strict=True)
        answers = [
            {"categoria": label, "probabilidades": dict(zip(names, chances, strict=True))}
            for label, chances in rows
        ]
        return 200, {"predictions": answers}

    @contextmanager
    def serving(self) -> Iterator[int]:
        model = self

        class Handler(Quiet):
            protocol_version = "HTTP/1.1"
            # Head and body in one packet.
            wbufsize = -1

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                assert (self.path, self.headers["content-type"]) == (
                    *("/invocations", "application/json"),
                )
                model.asked += 1
                status, answer = model.change(body, texts_of(body))
                content = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
            yield port


@pytest.fixture
def model(compiled: Path) -> Model:
    return Model(compiled)


def checked(compiled: Path, model: Model) -> dict[str, Any]:
    with model.serving() as port:
        return check(str(compiled), port)


def test_equal_answers_open_every_form(compiled: Path, model: Model) -> None:
    result = checked(compiled, model)
    assert result == {"forms": list(json_forms.ALL), "checksum": model.lane.checksum}
    # Each form is asked for all of the probes at once, then for each of them alone.
    assert model.asked == 8 * len(json_forms.ALL) + 1


def test_equal_probabilities_open_the_forms_with_them(compiled: Path, model: Model) -> None:
    model.change = model.probabilities
    with_them = [json_forms.with_probabilities(form) for form in json_forms.ALL]
    assert checked(compiled, model)["forms"] == [*json_forms.ALL, *with_them]


def altered(model: Model, alter: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Have the model's answers with probabilities altered, one by one."""

    def change(body: dict[str, Any], texts: list[str]) -> Answer:
        status, answer = model.probabilities(body, texts)
        if "params" in body:
            answer["predictions"] = [alter(each) for each in answer["predictions"]]
        return status, answer

    model.change = change


def shifted(chances: dict[str, float]) -> dict[str, float]:
    return {name: chance + 1e-6 for name, chance in chances.items()}


@pytest.mark.parametrize(
    "alter",
    [
        lambda each: {**each, "more": 1},
        lambda each: {**each, "probabilidades": {"x": 1.0}},
        lambda each: {**each, "categoria": "leitura"},
        lambda each: {**each, "probabilidades": shifted(each["probabilidades"])},
        lambda each: {**each, "probabilidades": [1.0]},
        str,
    ],
)
def test_other_probabilities_leave_those_forms_to_the_process(
    compiled: Path, model: Model, alter: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    altered(model, alter)
    assert checked(compiled, model)["forms"] == list(json_forms.ALL)


def test_a_form_that_the_model_does_not_take_stays_shut(compiled: Path, model: Model) -> None:
    def change(body: dict[str, Any], texts: list[str]) -> Answer:
        if json_forms.RECORDS in body:
            return 400, {"message": "no records"}
        return model.labels(body, texts)

    model.change = change
    forms = checked(compiled, model)["forms"]
    assert forms == [f for f in json_forms.ALL if not f.startswith(json_forms.RECORDS)]


@pytest.mark.parametrize("alone", [True, False])
def test_one_difference_shuts_the_lane_and_is_named(
    compiled: Path, model: Model, alone: bool
) -> None:
    def change(body: dict[str, Any], texts: list[str]) -> Answer:
        _, answer = model.labels(body, texts)
        if "nada" in texts and (len(texts) == 1) is alone:
            answer["predictions"][texts.index("nada")] = "outra"
        return 200, answer

    model.change = change
    result = checked(compiled, model)
    [label] = model.lane.predict(["nada"])
    assert result == {"difference": {"text": "nada", "lane": f'"{label}"', "model": "'\"outra\"'"}}


def test_a_difference_in_a_table_leaves_the_other_forms_open(compiled: Path, model: Model) -> None:
    def change(body: dict[str, Any], texts: list[str]) -> Answer:
        if json_forms.SPLIT in body:
            return 200, {"predictions": ["outra"] * len(texts)}
        return model.labels(body, texts)

    model.change = change
    forms = checked(compiled, model)["forms"]
    assert forms == [f for f in json_forms.ALL if not f.startswith(json_forms.SPLIT)]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((400, {"message": "no texts\nat all"}), "answered 400 to the probes: no texts"),
        ((500, "<h1>oh</h1>"), "answered 500 to the probes: <h1>oh</h1>"),
        ((200, "no JSON"), "the model's process can't be asked: JSONDecodeError"),
    ],
)
def test_a_model_that_takes_no_texts_is_an_error(
    compiled: Path, model: Model, answer: Answer, reason: str
) -> None:
    model.change = lambda *_: answer
    result = checked(compiled, model)
    assert reason in result["error"]
    assert "at all" not in result["error"]


def test_no_list_of_predictions_is_a_difference(compiled: Path, model: Model) -> None:
    model.change = lambda *_: (200, ["a"])
    assert checked(compiled, model)["difference"]["model"] == "with no list of answers in all"


def test_a_process_that_is_gone_or_a_file_that_is_damaged_is_an_error(
    compiled: Path, tmp_path: Path
) -> None:
    assert "can't be asked" in check(str(compiled), 1)["error"]
    assert "not-there" in check(str(tmp_path / "not-there"), 1)["error"]
