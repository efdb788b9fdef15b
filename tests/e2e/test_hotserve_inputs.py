"""Models that take something else than products, or say it in another way: what each is sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import requests
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from sklearn.ensemble import HistGradientBoostingClassifier

from tests.e2e.hotserve_models import save, save_program, text_model
from tests.e2e.hotserve_process import CSV, PATIENCE, Hotserve, running_hotserve
from tests.e2e.stock_server import stock_server

ENVIRONMENT = {"PATH": "/usr/bin:/bin"}
REVIEW = ModelSignature(Schema([ColSpec("string", "review")]))


def echo(home: Path, signature: ModelSignature | None = None) -> Path:
    body = "return model_input.astype(str).values.tolist()"
    return save_program(home / "model", body, signature=signature)


@contextmanager
def serving(folder: str | Path, home: Path) -> Iterator[Hotserve]:
    with running_hotserve(folder, home) as hotserve:
        hotserve.wait_until_serving()
        yield hotserve


def test_a_model_of_numbers_without_a_signature(tmp_path: Path) -> None:
    """An empty cell must not make texts of its table."""
    table = np.array([[5.0, np.nan], [60.0, 2.0]] * 30)
    model = HistGradientBoostingClassifier().fit(table, [0, 1] * 30)
    folder = str(tmp_path / "model")
    mlflow.sklearn.save_model(model, folder, serialization_format="cloudpickle")
    with serving(folder, tmp_path) as hotserve, stock_server(folder, ENVIRONMENT) as stock:
        for body in ("age,fare\n5,\n60,2\n", "age,fare\nNA,2\n", "nome,fare\n5,1\n"):
            answer = hotserve.predict(body)
            plain = requests.post(f"{stock}/invocations", body, headers=CSV, timeout=PATIENCE)
            assert (answer.status_code, answer.content) == (200, plain.content)


def test_a_table_that_is_echoed(tmp_path: Path) -> None:
    with serving(echo(tmp_path), tmp_path) as hotserve:
        answer = hotserve.predict("name,age\nBob,5\nAnn,6\n")
    assert answer.json() == {"predictions": [["Bob", "5"], ["Ann", "6"]]}


def test_one_named_column_of_texts(tmp_path: Path) -> None:
    with serving(echo(tmp_path, REVIEW), tmp_path) as hotserve:
        expected = {"predictions": [["good, cheap"], ["bad"]]}
        for body in (
            "Review\ngood, cheap\nbad\n",
            "review \ngood, cheap\nbad\n",
            "id;review\n1;good, cheap\n2;bad\n",
            "good, cheap\nbad\n",
        ):
            assert hotserve.predict(body).json() == expected
        rows = [{"id": 1, "REVIEW": "good, cheap"}, {"id": 2, "REVIEW": "bad"}]
        assert hotserve.invoke({"dataframe_records": rows}).json() == expected


def test_a_pipeline_of_texts_without_a_signature(tmp_path: Path) -> None:
    with serving(save(text_model(), tmp_path / "model"), tmp_path) as hotserve:
        expected = {"predictions": ["brinquedo", "game"]}
        assert hotserve.predict("boneca de pano\nhalo\n").json() == expected
        # A vectorizer that is given a table reads the names of its columns.
        table = {"columns": ["nome", "descricao"], "data": [["boneca", "de pano"], ["halo", None]]}
        assert hotserve.invoke({"dataframe_split": table}).json() == expected


def test_a_pipeline_of_texts_whose_signature_names_a_column(tmp_path: Path) -> None:
    folder = str(tmp_path / "model")
    mlflow.sklearn.save_model(text_model(), folder, signature=REVIEW)
    with serving(folder, tmp_path) as hotserve:
        for answer in (
            hotserve.predict("review\nboneca de pano\nhalo\n"),
            hotserve.invoke({"dataframe_records": [{"review": "halo"}]}),
        ):
            assert answer.status_code == 500
            assert "its signature names a column" in answer.json()["message"]
