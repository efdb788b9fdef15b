"""The lane against the real `mlflow models serve` of the same model."""

from pathlib import Path

import mlflow.sklearn
import requests
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline, make_union

from hotserve.lane import Lane
from hotserve.lane.compile import main
from hotserve.lane.probes import read_probes
from tests.e2e.hotserve_process import PATIENCE
from tests.e2e.stock_server import stock_server
from tests.unit.hotserve.lane.lane_corpus import LABELS, TEXTS


def test_a_stock_model_of_words_and_letters(tmp_path: Path) -> None:
    union = make_union(
        TfidfVectorizer(ngram_range=(1, 2), strip_accents="ascii"),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3)),
    )
    pipeline = make_pipeline(union, SGDClassifier(random_state=1)).fit(TEXTS, LABELS)
    stock = tmp_path / "stock"
    mlflow.sklearn.save_model(pipeline, stock, pip_requirements=["scikit-learn"])
    assert main([str(stock), str(tmp_path / "lane")]) == 0
    lane = Lane(tmp_path / "lane")
    probes = read_probes(tmp_path / "lane")
    with stock_server(str(stock)) as url:
        answer = requests.post(f"{url}/invocations", json={"inputs": probes}, timeout=PATIENCE)
    assert lane.predict_json(probes) == answer.content
