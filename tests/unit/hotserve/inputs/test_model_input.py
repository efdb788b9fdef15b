"""Whether a model takes texts, by its files."""

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import skops.io
import yaml
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from hotserve.inputs import model_input
from hotserve.inputs.model_input import TABLE, TEXTS, TextInput, expected, read_mlmodel

EXPECTED = {"unknown_terms": 0.02, "top_probability": 0.9, "products": {"livro": 1.0}}


def read(model: Path) -> TextInput:
    return model_input.read(model, read_mlmodel(model))


def signature(*inputs: object) -> str:
    return f"signature:\n  inputs: '{json.dumps(inputs)}'\n"


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("flavors: {}\n", TABLE),
        ("signature:\n  inputs: null\n  params: '[]'\n", TABLE),
        (signature({"type": "string", "required": True}), TEXTS),
        (signature({"type": "string", "name": "review"}), TextInput("columns", ("review",))),
        (
            signature({"type": "string", "name": "nome"}, {"type": "string", "name": "descricao"}),
            TextInput("columns", ("nome", "descricao")),
        ),
        (
            signature({"type": "string", "name": "city"}, {"type": "string", "name": "street"}),
            TABLE,
        ),
        (
            signature({"type": "string", "name": "Nome"}, {"type": "string", "name": "Descrição"}),
            TextInput("columns", ("Nome", "Descrição")),
        ),
        (signature({"type": "double", "name": "sepal"}), TABLE),
        (signature({"type": "tensor", "tensor-spec": {"dtype": "str", "shape": [-1]}}), TEXTS),
        (
            signature({"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 4]}}),
            TABLE,
        ),
        ("][", TABLE),
        ("flavors:\n  python_function: {loader_module: mlflow.sklearn}\n", TABLE),
    ],
)
def test_the_signature_tells_whether_csv_is_texts(
    declared: str, expected: TextInput, tmp_path: Path
) -> None:
    (tmp_path / "MLmodel").write_text(declared)
    assert read(tmp_path) == expected


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        ({"inputs": ["halo", "boneca"]}, TEXTS),
        ({"inputs": [[5.1, 3.5]]}, TABLE),
        ({"dataframe_split": {"columns": ["sepal"], "data": [[1]]}}, TABLE),
        (
            {"dataframe_split": {"columns": ["nome", "descricao"], "data": [["a", "b"]]}},
            TextInput("columns", ("nome", "descricao")),
        ),
    ],
)
def test_without_a_signature_the_input_example_tells(
    example: object, expected: TextInput, tmp_path: Path
) -> None:
    (tmp_path / "MLmodel").write_text("saved_input_example_info:\n  serving_input_path: s.json\n")
    (tmp_path / "s.json").write_text(json.dumps(example))
    assert read(tmp_path) == expected


def saved(folder: Path, model: Any, form: str, **declared: Any) -> None:
    if form == "skops":
        skops.io.dump(model, folder / "model")
    else:
        (folder / "model").write_bytes(pickle.dumps(model, protocol=int(form)))
    flavors = {
        "python_function": {"loader_module": "mlflow.sklearn"},
        "sklearn": {"pickled_model": "model", "serialization_format": form},
    }
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": flavors, **declared}))


@pytest.mark.parametrize("form", ["2", "4", "5", "skops"])
@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (make_pipeline(CountVectorizer(), MultinomialNB()), TEXTS),
        (Pipeline([("a", make_pipeline(TfidfVectorizer())), ("b", MultinomialNB())]), TEXTS),
        (make_pipeline(FeatureUnion([("a", TfidfVectorizer())]), MultinomialNB()), TEXTS),
        (make_pipeline(OneHotEncoder(), MultinomialNB()), TABLE),
        (
            make_pipeline(ColumnTransformer([("a", CountVectorizer(), "texto")]), MultinomialNB()),
            TABLE,
        ),
        (HistGradientBoostingClassifier(), TABLE),
    ],
    ids=lambda value: type(value[0]).__name__ if isinstance(value, Pipeline) else str(value)[:20],
)
def test_a_pipeline_that_begins_with_a_text_vectorizer_takes_texts(
    model: Any, expected: TextInput, form: str, tmp_path: Path
) -> None:
    model.fitted_vocabulary_ = {f"word {number}": number for number in range(2_000)}
    saved(tmp_path, model, form)
    assert read(tmp_path) == expected


def test_such_a_pipeline_with_a_named_column_is_misdeclared(tmp_path: Path) -> None:
    inputs = json.dumps([{"type": "string", "name": "review"}])
    pipeline = make_pipeline(CountVectorizer(), MultinomialNB())
    saved(tmp_path, pipeline, "5", signature={"inputs": inputs})
    assert read(tmp_path) == TextInput("misdeclared", ("review",))


@pytest.mark.parametrize("damage", ["gone", "empty"])
def test_a_model_whose_files_can_not_be_read_takes_tables(damage: str, tmp_path: Path) -> None:
    saved(tmp_path, make_pipeline(CountVectorizer()), "5")
    model = tmp_path / "model"
    if damage == "gone":
        model.unlink()
    else:
        model.write_bytes(b"")
    assert read(tmp_path) == TABLE


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_an_archive_that_can_not_be_opened_is_for_mlflow_to_refuse(
    is_encrypted: bool, tmp_path: Path
) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("schema.json", "".join(f'"sklearn.x{n}",' for n in range(9000)))
    content = bytearray(archive.getvalue())
    if is_encrypted:
        # The flags of its entry, here and in the directory at the end.
        content[6] |= 1
        content[content.rindex(b"PK\1\2") + 8] |= 1
    else:
        content[60:3000] = bytes(byte ^ 0xFF for byte in content[60:3000])
    (tmp_path / "model.skops").write_bytes(content)
    flavors = {
        "python_function": {"loader_module": "mlflow.sklearn"},
        "sklearn": {"pickled_model": "model.skops"},
    }
    (tmp_path / "MLmodel").write_text(yaml.safe_dump({"flavors": flavors}))
    assert read(tmp_path) == TABLE


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({"expected": EXPECTED}, EXPECTED),
        ({"expected": {**EXPECTED, "top_probability": "high"}}, None),
        ({"expected": {**EXPECTED, "top_probability": float("nan")}}, None),
        ({"expected": {"products": {}}}, None),
        ({"expected": 1}, None),
        (None, None),
    ],
)
def test_what_its_trainer_expects_stands_in_the_metadata(
    metadata: Any, found: Any, tmp_path: Path
) -> None:
    assert expected(read_mlmodel(tmp_path)) is None
    (tmp_path / "MLmodel").write_text(yaml.safe_dump({"metadata": metadata}))
    assert expected(read_mlmodel(tmp_path)) == found


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ({"inputs": '[{"type": "string"}]', "outputs": None}, {"inputs": [{"type": "string"}]}),
        ({"inputs": "{}", "params": "[]"}, {"params": []}),
        ({"inputs": "["}, {}),
        ({"inputs": 3}, {}),
        ("x", {}),
        (None, {}),
    ],
)
def test_a_signature_is_mlflow_s_lists(declared: Any, found: Any, tmp_path: Path) -> None:
    assert model_input.signature(read_mlmodel(tmp_path)) == {}
    (tmp_path / "MLmodel").write_text(yaml.safe_dump({"signature": declared}))
    assert model_input.signature(read_mlmodel(tmp_path)) == found


def test_another_library_s_model_is_not_looked_into(tmp_path: Path) -> None:
    """It may hold a pipeline, and be anything around it."""
    saved(tmp_path, make_pipeline(CountVectorizer()), "5")
    declared = yaml.safe_load((tmp_path / "MLmodel").read_text())
    declared["flavors"]["python_function"]["loader_module"] = "mlflow.pyfunc.model"
    (tmp_path / "MLmodel").write_text(yaml.safe_dump(declared))
    assert read(tmp_path) == TABLE
