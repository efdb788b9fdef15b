"""Which version is meant, and what there is when it is none."""

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR
from mlflow.tracking import MlflowClient

from produtos.errors import BadInput
from produtos.registry import reference, registry
from produtos.registry.registry import MODEL_NAME
from tests.unit.produtos.registry.models import version


@pytest.fixture
def registered(client: MlflowClient) -> MlflowClient:
    """Eleven versions: 1 archived, 9 in Production, 10 in Staging, aliases on 2 and 3."""
    for number in range(1, 12):
        made = version(client)
        if stage := {1: "Archived", 9: "Production", 10: "Staging"}.get(number):
            (registry.move if number > 1 else registry.retire)(client, made, stage)
    client.set_registered_model_alias(MODEL_NAME, "campeão", "2")
    client.set_registered_model_alias(MODEL_NAME, "desafiante", "3")
    return client


def test_a_registry_that_can_not_answer_is_not_taken_for_an_empty_one(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MlflowException("the database is away", error_code=INTERNAL_ERROR)

    with pytest.raises(BadInput, match="no version is registered under this name"):
        reference.find(client, "1")
    monkeypatch.setattr(registry, "versions", fail)
    with pytest.raises(MlflowException, match="the database is away"):
        reference.find(client, "1")


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ("10", "10"),
        (" 010 ", "10"),
        ("production", "9"),
        ("@production", "9"),
        ("STAGING", "10"),
        ("None", "11"),
        ("campeão", "2"),
        ("@desafiante", "3"),
        ("models:/classificador-produtos/9", "9"),
        ("models:/classificador-produtos/staging", "10"),
        ("models:/classificador-produtos@campeão", "2"),
        ("models:/classificador-produtos/latest", "11"),
    ],
)
def test_the_version_that_is_meant(registered: MlflowClient, asked: str, number: str) -> None:
    found = reference.resolve(registered, asked)
    assert found.version == number
    assert found.uri == f"models:/classificador-produtos/{number}"


def test_its_name_on_the_console(registered: MlflowClient) -> None:
    assert str(reference.resolve(registered, "9")) == (
        "classificador-produtos version 9 (Production)"
    )
    assert str(reference.resolve(registered, "2")) == "classificador-produtos version 2"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("12", "model 12: classificador-produtos has no version 12; there are: …, 4 (None), 5 (N"),
        ("rainha", "classificador-produtos has no stage or alias rainha; there are"),
        ("@Campeão", "has no stage or alias Campeão, but campeão (version 2); there are"),
        ("models:/outro/1", "model outro: no version is registered under this name; train"),
        ("models:/a/b/c", "not the address of a registered version; write it as models:/name/"),
        ("runs:/1/modelo", "give a version's number, a stage, an alias, or a models:/ address"),
        ("", r"model (empty): give a version's number"),
    ],
)
def test_what_there_is_not_is_one_line(registered: MlflowClient, asked: str, message: str) -> None:
    with pytest.raises(BadInput) as raised:
        reference.resolve(registered, asked)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_empty_stage(client: MlflowClient) -> None:
    version(client)
    with pytest.raises(BadInput, match=r"no version of \S+ is in Staging; there is: 1 \(None\)$"):
        reference.resolve(client, "staging")


def test_aliases_that_look_alike_are_not_two_things_without_a_word(
    registered: MlflowClient,
) -> None:
    registered.set_registered_model_alias(MODEL_NAME, "CAMPEÃO", "2")
    assert reference.resolve(registered, "campeão").version == "2"
    registered.set_registered_model_alias(MODEL_NAME, "CAMPEÃO", "3")
    with pytest.raises(BadInput, match=r"case only: CAMPEÃO \(version 3\), campeão \(version 2\)"):
        reference.resolve(registered, "campeão")
