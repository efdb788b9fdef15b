"""The lane against the real `mlflow models serve` of the same model."""

import json
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import mlflow.sklearn
import requests
from mlflow.models import Model
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline, make_union

from hotserve.lane import Lane
from hotserve.lane.compile import main
from hotserve.lane.probes import compare, read_probes
from produtos.model import flavor as model_flavor
from produtos.model import pipeline as trainer_model
from tests.e2e.hotserve_process import PATIENCE
from tests.e2e.stock_server import stock_server
from tests.unit.hotserve.lane.lane_corpus import LABELS, TEXTS


def ask(url: str, **body: Any) -> bytes:
    """The body of an answer."""
    return requests.post(f"{url}/invocations", json=body, timeout=PATIENCE).content


def test_the_trainers_model(tmp_path: Path) -> None:
    pipeline = trainer_model.build("naive_bayes", strip_accents=True).fit(TEXTS, LABELS)
    model_flavor.save_model(path=str(tmp_path / "model"), pipeline=pipeline, mlflow_model=Model())
    assert main([str(tmp_path / "model"), str(tmp_path / "lane")]) == 0
    lane = Lane(tmp_path / "lane")
    probes = read_probes(tmp_path / "lane")
    with stock_server(str(tmp_path / "model")) as url:
        body = ask(url, inputs=probes)
        assert lane.predict_json(probes) == body
        assert lane.predict_json(["boneca"]) == ask(url, inputs=["boneca"])
        detailed = json.loads(ask(url, inputs=probes, params={"probabilities": True}))
    probabilities = [
        [answer["probabilidades"][label] for label in lane.classes]
        for answer in detailed["predictions"]
    ]
    assert compare(lane, probes, json.loads(body)["predictions"], probabilities) is None


CUTTING = """
import mlflow.pyfunc
import skops.io


class Cutting(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.pipeline = skops.io.load(context.artifacts["pipeline"])

    def predict(self, context, model_input):
        return self.pipeline.predict([text[:10] for text in model_input]).tolist()


mlflow.models.set_model(Cutting())
"""


def test_a_stock_model_and_one_that_cuts_texts(tmp_path: Path) -> None:
    union = make_union(
        TfidfVectorizer(ngram_range=(1, 2), strip_accents="ascii"),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3)),
    )
    pipeline = make_pipeline(union, SGDClassifier(random_state=1)).fit(TEXTS, LABELS)
    stock, cutting = tmp_path / "stock", tmp_path / "cutting"
    mlflow.sklearn.save_model(pipeline, stock, pip_requirements=["scikit-learn"])
    assert main([str(stock), str(tmp_path / "lane")]) == 0
    lane = Lane(tmp_path / "lane")
    probes = read_probes(tmp_path / "lane")
    with stock_server(str(stock)) as url:
        assert lane.predict_json(probes) == ask(url, inputs=probes)
    code = tmp_path / "code.py"
    code.write_text(CUTTING)
    mlflow.pyfunc.save_model(
        cutting,
        python_model=str(code),
        artifacts={"pipeline": str(stock / "model.skops")},
        pip_requirements=["scikit-learn"],
    )
    with stock_server(str(cutting)) as url:
        answers = json.loads(ask(url, inputs=probes))["predictions"]
    difference = compare(lane, probes, answers)
    assert difference is not None
    assert len(difference.text) > 10
