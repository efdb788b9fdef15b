"""How a model is written: skops for the pipeline, a small package to serve it, exact pins.

A module with `save_model`, as `mlflow.models.Model.log` asks of a flavor. MLflow's own
scikit-learn flavor is not used for serving: it refuses to load any file while
MLFLOW_ALLOW_PICKLE_DESERIALIZATION is false, even one without pickle in it. It is recorded beside
ours all the same, so that `mlflow.sklearn.load_model` gives the plain pipeline.
"""

import tempfile
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import skops.io
from mlflow.models import Model, ModelSignature
from mlflow.types import DataType, ParamSchema, ParamSpec
from sklearn.pipeline import Pipeline

from produtos import product_model

ARTIFACT_NAME = "modelo"
SKOPS_FILE = "model.skops"
EXAMPLE = ["boneca de pano", "senhor dos anéis", "halo"]

PACKAGES = ("mlflow", "numpy", "pandas", "scikit-learn", "scipy", "skops")
"""What loading needs; versions are those that the model was trained with."""

SIGNATURE = ModelSignature(
    # No schema of the input: any would refuse one of the forms that the model accepts.
    params=ParamSchema([ParamSpec("probabilities", DataType.boolean, False)])
)


def log(pipeline: Pipeline, run_id: str, **arguments: Any) -> str:
    """Log a trained pipeline with a run.

    Args:
        pipeline: what to save.
        run_id: the run it belongs to; its parameters and metrics are copied to the model.
        arguments: more of `mlflow.models.Model.log`'s, such as `tags`.

    Returns:
        The logged model's id.
    """
    import sys

    info = Model.log(
        artifact_path=None,
        name=ARTIFACT_NAME,
        flavor=sys.modules[__name__],
        flavor_name="sklearn",
        run_id=run_id,
        pipeline=pipeline,
        validate_serving_input=False,
        **arguments,
    )
    return str(info.model_id)


def save_model(
    path: str, pipeline: Pipeline, mlflow_model: Model, validate_serving_input: bool = False
) -> None:
    """Write an MLflow model folder.

    Args:
        path: where; nothing is there yet.
        pipeline: a trained pipeline that skops saves without types of its own to trust.
        mlflow_model: the metadata to fill.
        validate_serving_input: looked at by `Model.log`, not here: the tests do what it would.
    """
    del validate_serving_input
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, SKOPS_FILE)
        # Deflated: 24 MB of JSON for the vocabulary become 1 MB.
        skops.io.dump(pipeline, data, compression=zipfile.ZIP_DEFLATED, compresslevel=1)
        mlflow_model.add_flavor(
            "sklearn",
            pickled_model=f"data/{SKOPS_FILE}",
            sklearn_version=version("scikit-learn"),
            serialization_format="skops",
            skops_trusted_types=None,
            code=None,
        )
        mlflow.pyfunc.save_model(
            path,
            loader_module="product_model.classifier",
            data_path=str(data),
            code_paths=product_model.__path__,
            mlflow_model=mlflow_model,
            signature=SIGNATURE,
            input_example=EXAMPLE,
            pip_requirements=[f"{package}=={version(package)}" for package in PACKAGES],
        )
