"""The model as it is saved: every form of input, one answer per product, no pickle."""

import sys
import zipfile
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.pyfunc import PyFuncModel
from sklearn.pipeline import Pipeline

from produtos.model import flavor as model_flavor
from produtos.model import pipeline as model
from produtos.model.stop_words import tokenizer
from produtos.parameters import CLASSIFIERS
from tests.support.commands import completed

TRAINING = [
    ("boneca de pano com vestido", "brinquedo"),
    ("boneca que anda e fala", "brinquedo"),
    ("carrinho de controle remoto", "brinquedo"),
    ("halo para xbox", "game"),
    ("jogo de corrida para xbox", "game"),
    ("jogo de tiro", "game"),
    ("o senhor dos anéis a sociedade do anel", "livro"),
    ("livro de contos", "livro"),
    ("livro o hobbit", "livro"),
]
TEXTS = ["boneca de pano", "halo", "senhor dos anéis"]
ANSWERS = ["brinquedo", "game", "livro"]


def trained(classifier: str = "naive_bayes", *, strip_accents: bool = True) -> Pipeline:
    texts, categories = zip(*TRAINING, strict=True)
    return model.build(classifier, strip_accents=strip_accents).fit(texts, categories)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model."""
    folder = tmp_path_factory.mktemp("model") / "modelo"
    model_flavor.save_model(str(folder), trained(), Model())
    return folder


@pytest.fixture(scope="module")
def loaded(folder: Path) -> PyFuncModel:
    """The same, loaded by MLflow with pickle forbidden."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        model: PyFuncModel = mlflow.pyfunc.load_model(str(folder))
        return model


PARTS = {"nome": ["boneca", "halo", None], "descricao": ["de pano", "", "senhor dos anéis"]}

FORMS: dict[str, Any] = {
    "list": TEXTS,
    "tuple": tuple(TEXTS),
    "Series": pd.Series(TEXTS),
    "Series with an index": pd.Series(TEXTS, index=[7, 7, 1], name="x"),
    "categorical Series": pd.Series(TEXTS, dtype="category"),
    "array": np.array(TEXTS),
    "array of objects": np.array(TEXTS, dtype=object),
    "array of one column": np.array(TEXTS).reshape(-1, 1),
    "list of lists": [[text] for text in TEXTS],
    "texto": pd.DataFrame({"texto": TEXTS}),
    "texto among others": pd.DataFrame({"id": [1, 2, 3], "texto": TEXTS, "categoria": "livro"}),
    "informacao": pd.DataFrame({"informacao": TEXTS}),
    "nome and descricao": pd.DataFrame(PARTS),
    "descricao and nome": pd.DataFrame(PARTS)[["descricao", "nome"]],
    "nome": pd.DataFrame({"nome": TEXTS}),
    "descricao": pd.DataFrame({"descricao": TEXTS}),
    "upper case": pd.DataFrame({" Texto": TEXTS}),
    "accents": pd.DataFrame({"Nome": PARTS["nome"], "Descrição": PARTS["descricao"]}),
    "invisible characters": [{"\ufeffte\u200bxto\u00a0": text} for text in TEXTS],
    "one column of any name": pd.DataFrame({"o que for": TEXTS}),
    "one column without a name": pd.DataFrame(TEXTS),
    "dict of lists": {"texto": TEXTS},
    "dict of arrays": {name: np.array(values, dtype=object) for name, values in PARTS.items()},
    "list of records": [{"texto": text} for text in TEXTS],
    "records with parts missing": [
        {"nome": "boneca", "descricao": "de pano"},
        {"nome": "halo"},
        {"descricao": "senhor dos anéis"},
    ],
    # How MLflow's server hands over JSON with records in it.
    "records of arrays": [{"texto": np.array(text)} for text in TEXTS],
    # How a Spark UDF hands over one column, and two.
    "Spark, one column": pd.DataFrame({"0": TEXTS}),
    "Spark, two columns": pd.DataFrame({"0": PARTS["nome"], "1": PARTS["descricao"]}),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_one_answer_per_product_in_every_form(loaded: PyFuncModel, form: Any) -> None:
    assert list(loaded.predict(form)) == ANSWERS


def test_one_text_is_one_product(loaded: PyFuncModel) -> None:
    assert list(loaded.predict("halo")) == ["game"]
    assert list(loaded.predict(np.array("halo"))) == ["game"]
    assert list(loaded.predict({"nome": "halo", "descricao": "para xbox"})) == ["game"]


@pytest.mark.parametrize(
    "missing", [None, float("nan"), pd.NA, pd.NaT, np.float64("nan"), "", "  "], ids=repr
)
def test_a_missing_value_is_a_product_too(loaded: PyFuncModel, missing: Any) -> None:
    assert len(loaded.predict(["halo", missing, "halo"])) == 3
    assert len(loaded.predict(pd.DataFrame({"texto": ["halo", missing]}))) == 2
    frame = pd.DataFrame({"nome": [missing, "halo"], "descricao": ["halo", missing]})
    assert list(loaded.predict(frame)) == ["game", "game"]


def test_numbers_are_texts(loaded: PyFuncModel) -> None:
    assert len(loaded.predict([2048, 3.5, "halo"])) == 3
    assert len(loaded.predict(pd.DataFrame({"texto": [1984, 2048]}))) == 2


@pytest.mark.parametrize(
    "nothing",
    [
        *([], (), pd.Series([], dtype=object), np.array([]), {"texto": []}),
        *(pd.DataFrame(), pd.DataFrame({"texto": []}), pd.DataFrame({"a": [], "b": []})),
    ],
    ids=lambda nothing: type(nothing).__name__,
)
def test_no_products_no_answers(loaded: PyFuncModel, nothing: Any) -> None:
    assert list(loaded.predict(nothing)) == []
    assert loaded.predict(nothing, params={"probabilities": True}) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (None, "NoneType"),
        (5, "int"),
        (b"halo", "bytes"),
        (["halo", b"halo"], "item 1 is of type bytes"),
        (["halo", {"texto": "halo"}], "item 1 is of type dict"),
        ([["a", "b"]], "item 0 is of type list"),
        (np.array([["a", "b"], ["c", "d"]]), "2 columns without names"),
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), "columns a, b"),
        ({"nome": ["a", "b"], "descricao": ["c"]}, "differ in length (nome 2, descricao 1)"),
        (pd.DataFrame({"texto": [object()]}), "column texto, row 0"),
        (pd.DataFrame([["x", "y"]], columns=["nome", "Nome "]), "the column nome twice"),
        (pd.DataFrame({"categoria": ["livro"]}), "one column, categoria"),
        (pd.DataFrame({"id;nome;categoria": ["1;x;livro"]}), "separate fields by commas"),
    ],
    ids=lambda given: given if isinstance(given, str) else type(given).__name__,
)
def test_anything_else_is_refused_in_one_line(loaded: PyFuncModel, wrong: Any, said: str) -> None:
    with pytest.raises(MlflowException) as refusal:
        loaded.predict(wrong)
    assert said in refusal.value.message
    assert "texto" in refusal.value.message
    assert "\n" not in refusal.value.message
    assert refusal.value.error_code == "BAD_REQUEST"


def test_probabilities_of_every_category(loaded: PyFuncModel) -> None:
    answers: Any = loaded.predict(TEXTS, params={"probabilities": True})
    assert [answer["categoria"] for answer in answers] == ANSWERS
    for answer in answers:
        probabilities = answer["probabilidades"]
        assert set(probabilities) == {"brinquedo", "game", "livro"}
        assert sum(probabilities.values()) == pytest.approx(1)
        assert max(probabilities, key=probabilities.get) == answer["categoria"]


class TestBehindMlflowsServer:
    """Its text/csv has no way to say that there is no header line."""

    @pytest.fixture(autouse=True)
    def _serving(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")

    @pytest.mark.parametrize(
        ("body", "answers"),
        [
            ("boneca de pano", ["brinquedo"]),
            ("halo", ["game"]),
            ("boneca de pano, com vestido", ["brinquedo"]),
            ("boneca de pano\nhalo\nsenhor dos anéis\n", ANSWERS),
            ("texto\nboneca de pano\nhalo\nsenhor dos anéis\n", ANSWERS),
            ("produto\nboneca de pano\nhalo\nsenhor dos anéis\n", ANSWERS),
            ("nome,descricao\nboneca,de pano\nhalo,\n,senhor dos anéis\n", ANSWERS),
        ],
    )
    def test_one_answer_per_line(self, loaded: PyFuncModel, body: str, answers: list[str]) -> None:
        from mlflow.pyfunc.scoring_server import invocations

        answer = invocations(body, "text/csv", loaded, None)  # type: ignore[no-untyped-call]
        assert answer.status == 200
        assert yaml.safe_load(answer.response)["predictions"] == answers

    def test_a_table_of_unknown_columns_is_refused(self, loaded: PyFuncModel) -> None:
        with pytest.raises(MlflowException, match="give a text"):
            loaded.predict(pd.DataFrame({"a": ["x"], "b": ["y"]}))


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_accents_matter_only_when_they_are_not_stripped(classifier: str) -> None:
    pair = ["senhor dos anéis", "senhor dos aneis"]
    without = trained(classifier, strip_accents=True)[0].transform(pair).toarray()
    assert (without[0] == without[1]).all()
    with_accents = trained(classifier, strip_accents=False)[0].transform(pair).toarray()
    assert (with_accents[0] != with_accents[1]).any()


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_a_token_is_what_nltk_says_it_is(classifier: str) -> None:
    analyze = model.build(classifier, strip_accents=False)[0].build_analyzer()
    text = "Guarda-chuva 3D d'água, edição 7ª X box_360"
    assert analyze(text) == tokenizer.tokenize(text.lower())


def test_stop_words_are_not_looked_at() -> None:
    analyze = model.build("naive_bayes", strip_accents=True)[0].build_analyzer()
    assert analyze("A boneca que NÃO é de pano") == ["boneca", "pano"]


@pytest.mark.parametrize("classifier", CLASSIFIERS)
@pytest.mark.parametrize("strip_accents", [True, False])
def test_what_is_loaded_answers_as_what_was_trained(
    tmp_path: Path, classifier: str, strip_accents: bool
) -> None:
    pipeline = trained(classifier, strip_accents=strip_accents)
    model_flavor.save_model(str(tmp_path / "modelo"), pipeline, Model())
    served = mlflow.pyfunc.load_model(str(tmp_path / "modelo"))
    plain = mlflow.sklearn.load_model(str(tmp_path / "modelo"))
    texts = [text for text, _ in TRAINING] + ["aneis", "", "palavra nova"]
    assert (
        list(served.predict(texts)) == list(pipeline.predict(texts)) == list(plain.predict(texts))
    )
    assert (plain.predict_proba(texts) == pipeline.predict_proba(texts)).all()


def test_the_file_has_no_pickle_in_it(folder: Path) -> None:
    with zipfile.ZipFile(folder / "data" / "model.skops") as skops_file:
        assert not [name for name in skops_file.namelist() if name.endswith((".pkl", ".pickle"))]
    flavors = Model.load(str(folder)).flavors
    assert flavors["sklearn"]["serialization_format"] == "skops"
    assert flavors["sklearn"]["pickled_model"] == flavors["python_function"]["data"]


def test_requirements_are_pinned_and_need_no_guessing(folder: Path) -> None:
    pins = (folder / "requirements.txt").read_text().split()
    assert {pin.partition("==")[0] for pin in pins} == set(model_flavor.PACKAGES)
    assert all("==" in pin for pin in pins)


def test_serving_needs_nothing_of_the_project(folder: Path, tmp_path: Path) -> None:
    program = (
        "import sys, mlflow\n"
        f"model = mlflow.pyfunc.load_model({str(folder)!r})\n"
        "print(*model.predict(model.input_example))\n"
        "print(*sorted({'produtos', 'nltk', 'matplotlib'} & sys.modules.keys()))\n"
    )
    done = completed([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert done.stdout.split() == ["brinquedo", "livro", "game"]
