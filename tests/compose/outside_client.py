"""What a person runs on a machine of their own, with plain MLflow and none of this repository.

`python outside_client.py STEP …` prints the step's result and the servers that it asked, as JSON.
"""

import collections
import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mlflow
import requests
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

TEXTS = ["boneca de pano", "carrinho de madeira", "romance policial", "livro de contos"]
CATEGORIES = ["brinquedo", "brinquedo", "livro", "livro"]

asked: collections.Counter[str] = collections.Counter()
_send = requests.Session.send


def _counted(session: requests.Session, request: Any, **options: Any) -> Any:
    asked[urlsplit(str(request.url)).netloc] += 1
    return _send(session, request, **options)


def train(name: str) -> list[str]:
    """The run, and the version registered as `name` and put into Production."""
    mlflow.set_experiment(name)
    with mlflow.start_run() as run:
        model = make_pipeline(CountVectorizer(), MultinomialNB()).fit(TEXTS, CATEGORIES)
        mlflow.log_metric("acuracia", float(model.score(TEXTS, CATEGORIES)))
        mlflow.sklearn.log_model(
            model,
            "modelo",
            registered_model_name=name,
            pip_requirements=[],
            serialization_format="cloudpickle",
        )
    client = mlflow.MlflowClient()
    (version,) = client.search_model_versions(f"name='{name}'")
    client.transition_model_version_stage(name, version.version, "Production")
    return [run.info.run_id, str(version.version)]


def load(uri: str) -> list[str]:
    """The categories that the model gives."""
    return [str(one) for one in mlflow.pyfunc.load_model(uri).predict(TEXTS)]


def large(run_id: str, size: str) -> list[str]:
    """The checksums of a file of `size` bytes before it was uploaded, and downloaded again."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "grande.bin")
        block = bytes(range(256)) * 4096
        with file.open("wb") as out:
            for number in range(int(size) // len(block)):
                out.write(number.to_bytes(4, "big") + block[4:])
        before = _checksum(file)
        mlflow.MlflowClient().log_artifact(run_id, str(file), "arquivos")
        file.unlink()
        uri = f"runs:/{run_id}/arquivos/grande.bin"
        return [before, _checksum(Path(mlflow.artifacts.download_artifacts(uri, dst_path=folder)))]


def listing(run_id: str, path: str) -> list[str]:
    """The paths of the run's artifacts."""
    return [one.path for one in mlflow.MlflowClient().list_artifacts(run_id, path)]


def _checksum(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


if __name__ == "__main__":
    requests.Session.send = _counted  # type: ignore[method-assign, assignment]
    steps: dict[str, Any] = {"train": train, "load": load, "large": large, "listing": listing}
    result = steps[sys.argv[1]](*sys.argv[2:])
    print(json.dumps({"result": result, "asked": asked}))
