"""A saved model that is asked for the categories of texts."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import mlflow.pyfunc
import numpy as np
import pytest

from produtos.errors import BadInput
from produtos.model import flavor, pipeline
from produtos.model.loaded import LoadedModel


def model(monkeypatch: pytest.MonkeyPatch, predict: Callable[[list[str]], object]) -> LoadedModel:
    """A model of somebody else."""
    foreign = SimpleNamespace(predict=predict, _model_impl=object())
    monkeypatch.setattr("mlflow.pyfunc.load_model", lambda *_, **__: foreign)
    return LoadedModel("models:/m/1", "version 1")


def test_one_category_for_each_text_and_all_that_there_are(tmp_path: Path) -> None:
    trained = pipeline.build("naive_bayes", strip_accents=True)
    trained.fit(["boneca de pano", "halo", "anéis"], ["brinquedo", "game", "livro"])
    flavor.save_model(str(tmp_path / "modelo"), trained, mlflow.models.Model())
    loaded = LoadedModel(str(tmp_path / "modelo"), "version 1")
    assert loaded.answers(["aneis", "pano", "halo"]) == ["livro", "brinquedo", "game"]
    assert loaded.categories() == frozenset({"brinquedo", "game", "livro"})


@pytest.mark.parametrize("answers", [np.array(["a", "b"]), [1, 2.5], np.array([0.1, 2], "float32")])
def test_answers_are_text_as_one_would_write_them(
    monkeypatch: pytest.MonkeyPatch, answers: list[object]
) -> None:
    assert model(monkeypatch, lambda _: answers).answers(["x", "y"]) == [str(a) for a in answers]


def test_a_model_that_does_not_say_its_categories(monkeypatch: pytest.MonkeyPatch) -> None:
    assert model(monkeypatch, lambda texts: texts).categories() is None


def test_what_does_not_classify_texts_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: list[str]) -> None:
        raise TypeError("numbers\nonly")

    with pytest.raises(BadInput, match=r"^version 1: does not classify .* \(numbers only\)$"):
        model(monkeypatch, fail).answers(["x"])
    with pytest.raises(BadInput, match=r"^version 1: gave 1 answers for 2 texts; one for each"):
        model(monkeypatch, lambda _: ["livro"]).answers(["x", "y"])


def test_the_reason_at_the_end_of_a_long_error_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(f"GET http://mlflow:5000/{'m' * 500}:\nconnection refused")

    monkeypatch.setattr("mlflow.pyfunc.load_model", fail)
    with pytest.raises(BadInput) as raised:
        LoadedModel("models:/m/3", "version 3")
    message = str(raised.value)
    assert message.startswith("version 3: cannot be loaded (GET http://mlflow:5000/")
    assert message.endswith("connection refused)")
    assert "\n" not in message
    assert len(message) < 500
