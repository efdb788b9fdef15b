"""Small real models for hotserve's tests, registered in a real MLflow server."""

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from textwrap import indent
from typing import Any

import mlflow
import yaml
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import Pipeline, make_pipeline

TEXTS = {
    "brinquedo": ["boneca de pano", "bola azul", "carrinho", "quebra-cabeça, 500 peças"],
    "livro": ["o senhor dos anéis", "dom casmurro", "capitães da areia", "vidas secas"],
    "game": ["halo", "fifa para console", "zelda", "mario kart"],
}


def text_model(mark: str = "") -> Pipeline:
    """Tells `boneca de pano` (brinquedo) from `halo` (game) and `dom casmurro` (livro).

    Its categories end in `mark`, so that an answer shows which version gave it.
    """
    texts = [text for group in TEXTS.values() for text in group]
    labels = [label + mark for label, group in TEXTS.items() for _ in group]
    return make_pipeline(CountVectorizer(strip_accents="unicode"), MultinomialNB()).fit(
        texts, labels
    )


def constant_model(label: str) -> Pipeline:
    """Answers `label` for every text, so that an answer shows which version gave it."""
    model = make_pipeline(CountVectorizer(), DummyClassifier(strategy="constant", constant=label))
    return model.fit(["um", "dois"], [label, label])


def save(model: Pipeline, folder: Path) -> Path:
    """Write an MLflow model folder; returns it."""
    mlflow.sklearn.save_model(
        model,
        folder,
        pip_requirements=["mlflow", "scikit-learn"],
        serialization_format="skops",
    )
    return folder


PROGRAM = """\
import mlflow
import pandas as pd


class Model(mlflow.pyfunc.PythonModel):
    asked = 0

    def predict(self, context, model_input, params=None):
{body}

mlflow.models.set_model(Model())
"""


def save_program(folder: Path, body: str, **more: Any) -> Path:
    """Write a model that is a program, by the body of its `predict`; returns its folder."""
    script = folder.with_suffix(".py")
    script.write_text(PROGRAM.format(body=indent(body, " " * 8)), "utf-8")
    with warnings.catch_warnings(action="ignore"):  # MLflow asks for type hints.
        mlflow.pyfunc.save_model(
            folder, python_model=str(script), **{"pip_requirements": ["mlflow"], **more}
        )
    return folder


HANGS = "import time; time.sleep(3600)"
DIES = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


def save_faulty(folder: Path, code: str) -> Path:
    """Write a model that runs `code` when it is loaded; returns its folder."""
    save(constant_model("nunca"), folder)
    declared = yaml.safe_load((folder / "MLmodel").read_text())
    declared["flavors"]["python_function"].update(loader_module="faulty", code="code")
    (folder / "MLmodel").write_text(yaml.safe_dump(declared))
    (folder / "code").mkdir()
    (folder / "code" / "faulty.py").write_text(code)
    return folder


class Registry:
    """Registers models in the server at `url` and moves them about."""

    def __init__(self, url: str) -> None:
        self.url = url
        mlflow.set_tracking_uri(url)
        self.client = MlflowClient(tracking_uri=url, registry_uri=url)

    def register(
        self,
        name: str,
        model: Any,
        *,
        stage: str | None = None,
        signature: ModelSignature | None = None,
        input_example: Any = None,
    ) -> str:
        """Log `model` as a new version of `name`; returns its number."""
        mlflow.set_tracking_uri(self.url)
        mlflow.set_experiment(name)
        with mlflow.start_run():
            info = mlflow.sklearn.log_model(
                model,
                name="modelo",
                registered_model_name=name,
                pip_requirements=["mlflow", "scikit-learn"],
                serialization_format="skops",
                signature=signature,
                input_example=input_example,
            )
        version = str(info.registered_model_version)
        if stage is not None:
            self.move(name, version, stage)
        return version

    def move(self, name: str, version: str, stage: str) -> None:
        """Move a version to a stage, as the web page does: what was in it is archived."""
        # MLflow refuses to archive what is archived already.
        archive = stage in ("Staging", "Production")
        with warnings.catch_warnings(action="ignore"):  # Stages are deprecated.
            self.client.transition_model_version_stage(name, version, stage, archive)

    def register_folder(self, name: str, folder: Path) -> str:
        """Upload an MLflow model folder as a new version; returns its number."""
        mlflow.set_tracking_uri(self.url)
        mlflow.set_experiment(name)
        with mlflow.start_run() as run:
            mlflow.log_artifacts(str(folder), "modelo")
        if not self.client.search_registered_models(f"name = '{name}'"):
            self.client.create_registered_model(name)
        source = f"{run.info.artifact_uri}/modelo"
        return str(self.client.create_model_version(name, source, run.info.run_id).version)

    def register_broken(self, name: str) -> str:
        """A version whose model file is damaged, as after a failed upload; returns its number."""
        return self._register_damaged(name, lambda file: file.write_bytes(b"not a zip file"))

    def register_faulty(self, name: str, code: str) -> str:
        """A version that runs `code` when it is loaded; returns its number."""
        with tempfile.TemporaryDirectory() as folder:
            return self.register_folder(name, save_faulty(Path(folder, "model"), code))

    def register_incomplete(self, name: str) -> str:
        """A version whose model file is missing; returns its number."""
        return self._register_damaged(name, Path.unlink)

    def _register_damaged(self, name: str, damage: Callable[[Path], object]) -> str:
        with tempfile.TemporaryDirectory() as folder:
            saved = save(constant_model("nunca"), Path(folder, "model"))
            damage(saved / "model.skops")
            return self.register_folder(name, saved)
