"""What is said of a registered version whose model cannot be asked."""

from types import SimpleNamespace

import pytest
from mlflow.entities.model_registry import ModelVersion

from produtos.errors import BadInput
from produtos.registry import version_answers


def test_the_reason_at_the_end_of_a_long_error_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(f"GET http://mlflow:5000/{'m' * 500}:\nconnection refused")

    library = SimpleNamespace(pyfunc=SimpleNamespace(load_model=fail))
    monkeypatch.setattr(version_answers, "mlflow", library)
    version = ModelVersion("classificador-produtos", "3", creation_timestamp=0)
    with pytest.raises(BadInput) as told:
        version_answers.answers_of(version, ["halo"])
    said = str(told.value)
    assert said.startswith("version 3: its model cannot be used (GET http://mlflow:5000/")
    assert said.endswith("connection refused)")
    assert "\n" not in said
    assert len(said) < 500
