"""What a registered version answers, asked in this process."""

import tempfile
from collections.abc import Sequence

import mlflow
from mlflow.entities.model_registry import ModelVersion

from produtos.errors import BadInput, in_one_line


def answers_of(version: ModelVersion, texts: Sequence[str]) -> list[str]:
    """Load a version's model and let it classify some texts.

    Returns:
        One category for each text, in their order.

    Raises:
        BadInput: its model cannot be loaded, or does not classify texts.
    """
    # Without a place of ours MLflow leaves a copy of the model in the temporary folder for ever.
    with tempfile.TemporaryDirectory(prefix="modelo-") as folder:
        try:
            model = mlflow.pyfunc.load_model(
                f"models:/{version.name}/{version.version}", suppress_warnings=True, dst_path=folder
            )
            answers = [str(answer) for answer in model.predict(list(texts))]
        except Exception as error:
            raise BadInput(
                f"version {version.version}: its model cannot be used ({in_one_line(error)})"
            ) from None
    if len(answers) != len(texts):
        raise BadInput(
            f"version {version.version}: its model gave {len(answers)} answers for {len(texts)} "
            "texts, so it cannot be compared"
        )
    return answers
