"""Triton's own client in front of hotserve: the answers are those of `/invocations`."""

import re
from pathlib import Path

import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
import tritonclient.http as triton
from mlflow.models import infer_signature
from sklearn.ensemble import HistGradientBoostingClassifier
from tritonclient.utils import InferenceServerException

from tests.e2e.hotserve_models import save, text_model
from tests.e2e.hotserve_process import Hotserve, running_hotserve
from tests.e2e.test_hotserve_inputs import serving

TEXTS = ["boneca de pano", "halo", "dom casmurro", "não há nada"]


def client(hotserve: Hotserve) -> triton.InferenceServerClient:
    return triton.InferenceServerClient(hotserve.url.removeprefix("http://"))


def tensor(name: str, values: np.ndarray, datatype: str, *, binary: bool) -> triton.InferInput:
    made = triton.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values, binary_data=binary)
    return made


@pytest.mark.parametrize("lane", ["auto", "off"])
def test_texts(tmp_path: Path, lane: str) -> None:
    folder = str(save(text_model(), tmp_path / "model"))
    with running_hotserve(folder, tmp_path, options=("--lane", lane)) as hotserve:
        hotserve.wait_until_serving(lane="open" if lane == "auto" else "shut")
        expected = hotserve.invoke({"inputs": TEXTS}).json()["predictions"]
        asked = client(hotserve)
        assert asked.is_server_live()
        assert asked.is_server_ready()
        name = hotserve.model()["name"]
        assert asked.is_model_ready(name)
        (described,) = asked.get_model_metadata(name)["inputs"]
        assert (described["datatype"], described["shape"]) == ("BYTES", [-1])
        for binary in (True, False):
            for shape in ((4,), (4, 1)):
                texts = np.array([text.encode() for text in TEXTS], dtype=object).reshape(shape)
                given = tensor(described["name"], texts, "BYTES", binary=binary)
                answer = asked.infer(name, [given], request_id="a1")
                assert answer.as_numpy("output-0").tolist() == expected
                assert answer.get_response()["id"] == "a1"
        counted = re.findall(
            r'^hotserve_requests_total\{.*lane="(\w+)".*} \d', hotserve.get("/metrics").text, re.M
        )
        assert ("fast" in counted) == (lane == "auto"), counted


def test_a_table_of_numbers(tmp_path: Path) -> None:
    generator = np.random.default_rng(7)
    table = pd.DataFrame(generator.normal(size=(200, 3)), columns=["preco", "peso", "nota"])
    labels = (table["preco"] + table["peso"] > 0).map({True: "caro", False: "barato"})
    model = HistGradientBoostingClassifier().fit(table, labels)
    folder = str(tmp_path / "model")
    signature = infer_signature(table, labels)
    mlflow.sklearn.save_model(
        model, folder, signature=signature, serialization_format="cloudpickle"
    )
    rows = table.head(5)
    split = rows.to_dict(orient="split", index=False)
    with serving(folder, tmp_path) as hotserve:
        expected = hotserve.invoke({"dataframe_split": split}).json()["predictions"]
        asked, name = client(hotserve), hotserve.model()["name"]
        described = asked.get_model_metadata(name)
        assert [each["name"] for each in described["inputs"]] == list(table.columns)
        (output,) = described["outputs"]
        for binary in (True, False):
            columns = [
                tensor(column, rows[column].to_numpy(), "FP64", binary=binary)
                for column in reversed(table.columns)
            ]
            whole = tensor("x", rows.to_numpy(), "FP64", binary=binary)
            for given in (columns, [whole]):
                answer = asked.infer(name, given)
                assert answer.as_numpy(output["name"]).tolist() == expected
        with pytest.raises(InferenceServerException, match="preco, peso, nota: nota missing"):
            asked.infer(name, columns[1:])
        with pytest.raises(InferenceServerException, match="there is no model outro"):
            asked.infer("outro", columns)
