"""`hotserve.lane.compile`: what it takes, what it says, and what it refuses."""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import mlflow.sklearn
import numpy as np
import pytest
import yaml
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import BernoulliNB, MultinomialNB
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

import hotserve.lane.compile as compiler
from hotserve.lane import Lane
from hotserve.lane.errors import NotLinearText
from hotserve.lane.probes import read_probes
from tests.support.commands import completed
from tests.unit.hotserve.lane.lane_corpus import LABELS, TEXTS


def save(pipeline: Any, folder: Path, **options: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.sklearn.save_model(
            pipeline, str(folder), pip_requirements=["scikit-learn"], **options
        )
    return folder


def run(*arguments: object, script: bool = False, **environment: str) -> tuple[int, dict[str, Any]]:
    """Exit code and the one line of a real process."""
    file = Path(compiler.__file__)
    command = [str(file)] if script else ["-m", "hotserve.lane.compile"]
    done = completed(
        [sys.executable, *command, *map(str, arguments)],
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": "/nonexistent",
            **({} if script else {"PYTHONPATH": str(file.parents[2])}),
            **environment,
        },
    )
    assert "Traceback" not in done.stderr
    (line,) = done.stdout.splitlines()
    return done.returncode, json.loads(line)


def main(*arguments: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """The same in this process."""
    code = compiler.main([*map(str, arguments)])
    (line,) = capsys.readouterr().out.splitlines()
    return code, json.loads(line)


@pytest.fixture(scope="module")
def pipeline() -> Any:
    return make_pipeline(CountVectorizer(token_pattern=r"\w+"), MultinomialNB()).fit(TEXTS, LABELS)


def test_a_model_folder_becomes_a_lane(pipeline: Any, tmp_path: Path) -> None:
    model = save(pipeline, tmp_path / "model", input_example=["o meu exemplo", "boneca"])
    out = tmp_path / "model.lane"
    # As a script, in an environment that knows nothing of hotserve.
    code, said = run(model, out, script=True, MLFLOW_ALLOW_PICKLE_DESERIALIZATION="false")
    assert (code, said["file"], said["classes"]) == (0, str(out), 4)
    assert said["pipeline"] == "CountVectorizer → MultinomialNB"
    lane = Lane(out)
    assert lane.predict(TEXTS) == pipeline.predict(TEXTS).tolist()
    assert lane.info["terms"] == said["terms"] == len(pipeline[0].vocabulary_)
    probes = read_probes(out)
    assert len(probes) >= 500
    assert probes[:2] == ["o meu exemplo", "boneca"]


@pytest.mark.parametrize("form", ["skops", "pickle", "cloudpickle"])
def test_every_way_that_mlflow_writes(
    form: str, pipeline: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save(pipeline, tmp_path / "model", serialization_format=form)
    assert main(model, tmp_path / "out", capsys=capsys)[0] == 0


def test_the_trainers_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from mlflow.models import Model

    from produtos.model import flavor as model_flavor
    from produtos.model import pipeline as trainer_model

    for classifier in ("naive_bayes", "logistic_regression"):
        trained = trainer_model.build(classifier, strip_accents=True).fit(TEXTS, LABELS)
        folder = tmp_path / classifier
        model_flavor.save_model(path=str(folder), pipeline=trained, mlflow_model=Model())
        code, said = main(folder, tmp_path / "out", capsys=capsys)
        assert code == 0, said
        assert read_probes(tmp_path / "out")[: len(model_flavor.EXAMPLE)] == model_flavor.EXAMPLE


def test_a_wrong_command_line(tmp_path: Path) -> None:
    code, said = run(tmp_path)
    assert (code, said) == (2, {"error": "give two arguments: MODEL_DIR OUT_FILE"})
    code, said = run(tmp_path, tmp_path / "none" / "out")
    assert code == 2
    assert "is not a folder" in said["error"]


def test_folders_that_hold_no_such_model(
    tmp_path: Path, pipeline: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert "MLmodel can't be read" in main(tmp_path, out, capsys=capsys)[1]["reason"]
    for content in ("", "[]", "flavors: 3", "{", "\x00"):
        (tmp_path / "MLmodel").write_text(content)
        code, said = main(tmp_path, out, capsys=capsys)
        assert (code, said["reason"]) == (3, "MLmodel is not the description of an MLflow model")
    (tmp_path / "MLmodel").write_text(yaml.dump({"flavors": {"python_function": {}}}))
    assert "no scikit-learn flavor" in main(tmp_path, out, capsys=capsys)[1]["reason"]
    model = save(pipeline, tmp_path / "model")
    (model / "model.skops").write_bytes(b"PK not a zip")
    code, said = main(model, out, capsys=capsys)
    assert code == 3
    assert said["reason"].startswith("the model can't be loaded: ")
    assert not out.exists()


class OwnVectorizer(CountVectorizer):  # type: ignore[misc]
    """A subclass may count anything."""


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([CountVectorizer(), DecisionTreeClassifier()], "it ends in DecisionTreeClassifier"),
        ([CountVectorizer(), BernoulliNB()], "it ends in BernoulliNB"),
        ([CountVectorizer(), CalibratedClassifierCV(LinearSVC(), cv=2)], "CalibratedClassifierCV"),
        ([HashingVectorizer(), LinearSVC()], "it has the step HashingVectorizer"),
        ([FunctionTransformer(), CountVectorizer(), LinearSVC()], "step FunctionTransformer"),
        ([OwnVectorizer(), LinearSVC()], "it has the step OwnVectorizer"),
        ([TfidfVectorizer(), MaxAbsScaler(), LinearSVC()], "it has the step MaxAbsScaler"),
        ([TfidfVectorizer(), TruncatedSVD(2), LinearSVC()], "it has the step TruncatedSVD"),
        ([TfidfVectorizer(), TfidfTransformer(), LinearSVC()], "by tf-idf before"),
        ([CountVectorizer(tokenizer=str.split), LinearSVC()], "a tokenizer of its own"),
        ([CountVectorizer(preprocessor=str.upper), LinearSVC()], "a preprocessor of its own"),
        ([CountVectorizer(analyzer=str.split), LinearSVC()], "an analyzer or strip_accents"),
        ([CountVectorizer(strip_accents=str.upper), LinearSVC()], "an analyzer or strip_accents"),
        ([CountVectorizer(dtype=np.uint8), LinearSVC()], "counts in uint8"),
        ([make_union(HashingVectorizer(), CountVectorizer()), LinearSVC()], "HashingVectorizer"),
        ([CountVectorizer(), LogisticRegression(l1_ratio=1, solver="liblinear")], "made sparse"),
        ([CountVectorizer(), MultinomialNB(alpha=0, force_alpha=True)], "not finite"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_the_lane_does_not_do_is_named(steps: list[Any], says: str, tmp_path: Path) -> None:
    labels = ["livro" if label == "livro" else "não" for label in LABELS]
    trained = make_pipeline(*steps).fit(TEXTS, labels)
    if says == "made sparse":
        trained[-1].sparsify()
    with pytest.raises(NotLinearText, match=says):
        compiler.compile_pipeline(trained, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("pattern", "says"), [("(", "no regular expression"), ("(a)(b)", "more than one group")]
)
def test_a_pattern_of_words_that_cuts_no_words(pattern: str, says: str, tmp_path: Path) -> None:
    trained = make_pipeline(CountVectorizer(), LinearSVC()).fit(TEXTS, LABELS)
    trained[0].token_pattern = pattern
    with pytest.raises(NotLinearText, match=f"its token_pattern .*{says}"):
        compiler.compile_pipeline(trained, tmp_path / "out")


def test_weights_of_words_that_are_not_finite(tmp_path: Path) -> None:
    trained = make_pipeline(TfidfVectorizer(), LinearSVC()).fit(TEXTS, LABELS)
    trained[0]._tfidf.idf_[1] = np.inf
    with pytest.raises(NotLinearText, match="it has idf_ that are not finite"):
        compiler.compile_pipeline(trained, tmp_path / "out")


@pytest.mark.parametrize("labels", [[0.5, 1.5], ["a", 1], [b"a", b"b"]])
def test_labels_that_json_or_the_lane_can_not_say(labels: list[Any], tmp_path: Path) -> None:
    classifier = SGDClassifier(random_state=0)
    trained = make_pipeline(CountVectorizer(), classifier).fit(TEXTS, [n % 2 for n in range(18)])
    classifier.classes_ = np.array(labels, dtype=object)
    with pytest.raises(NotLinearText, match="classes are not all"):
        compiler.compile_pipeline(trained, tmp_path / "out")


def test_more_classes_than_the_lane_answers_quickly(tmp_path: Path) -> None:
    def compiled(classes: int) -> None:
        texts = [f"word{n}" for n in range(classes)]
        fitted = make_pipeline(CountVectorizer(), MultinomialNB()).fit(texts, range(classes))
        compiler.compile_pipeline(fitted, tmp_path / "out")

    compiled(500)
    with pytest.raises(NotLinearText, match="it has 501 classes; the lane does up to 500"):
        compiled(501)


def test_a_classifier_alone_and_an_unfitted_pipeline(tmp_path: Path) -> None:
    with pytest.raises(NotLinearText, match="MultinomialNB is not a pipeline"):
        compiler.compile_pipeline(MultinomialNB(), tmp_path / "out")
    with pytest.raises(Exception, match="Vocabulary not fitted"):
        compiler.compile_pipeline(make_pipeline(CountVectorizer(), LinearSVC()), tmp_path / "out")


def test_nested_steps_that_do_nothing_are_no_obstacle(tmp_path: Path) -> None:
    vectorizing = Pipeline([("nothing", "passthrough"), ("count", CountVectorizer())])
    weighing = make_pipeline(vectorizing, "passthrough", TfidfTransformer(sublinear_tf=True))
    trained = Pipeline([("all", make_pipeline(weighing, LinearSVC()))]).fit(TEXTS, LABELS)
    lane = compiler.compile_pipeline(trained, tmp_path / "out")
    assert lane.predict(TEXTS) == trained.predict(TEXTS).tolist()


def test_a_vocabulary_that_was_given_and_never_learnt(tmp_path: Path) -> None:
    for vocabulary in (
        ["halo", "boneca", "senhor dos", "dos  anéis", "", " "],
        {"livro": 1, "a": 0},
    ):
        vectorizer = CountVectorizer(vocabulary=vocabulary, ngram_range=(1, 2))
        trained = make_pipeline(vectorizer, MultinomialNB()).fit(TEXTS, LABELS)
        lane = compiler.compile_pipeline(trained, tmp_path / "out")
        texts = [*TEXTS, "senhor dos anéis", "dos  anéis", "", "livro"]
        assert lane.predict(texts) == trained.predict(texts).tolist()


def test_a_pipeline_whose_answers_are_not_what_its_parts_say(tmp_path: Path) -> None:
    trained = make_pipeline(CountVectorizer(), LinearSVC()).fit(TEXTS, LABELS)
    trained.predict = lambda texts: np.array(["surpresa"] * len(texts))
    with pytest.raises(NotLinearText, match="the compiled model differs from scikit-learn: on "):
        compiler.compile_pipeline(trained, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
