"""hotserve resolves a model URI to the version that MLflow itself would take."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
from mlflow import MlflowClient
from mlflow.store.artifact.utils.models import get_model_name_and_version

from hotserve.config import model_uri
from hotserve.config import registry_credentials as connection
from hotserve.manager.mlflow_api import RegistryUnavailable
from hotserve.manager.registry import Resolution, connected
from tests.e2e.conftest import MlflowServer, free_port

NAME = "hotserve registry"

# MLflow has deprecated stages; they are what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:.*transition_model_version_stage")


def resolve(url: str, uri: str) -> Resolution:
    async def ask() -> Resolution:
        reached = connection.read({"MLFLOW_TRACKING_URI": url})
        async with connected(reached) as registry:
            return await registry.resolve(model_uri.parse(uri))

    return asyncio.run(ask())


@pytest.fixture(scope="module")
def client(mlflow_server: MlflowServer) -> Iterator[MlflowClient]:
    """Versions 1 to 4: two in Production, one in Staging with an alias, one in no stage."""
    client = MlflowClient(mlflow_server.url, mlflow_server.url)
    client.create_registered_model(NAME)
    for stage in ("Production", "Production", "Staging", "None"):
        version = client.create_model_version(NAME, "s3://nowhere/model").version
        if stage != "None":
            client.transition_model_version_stage(NAME, version, stage)
    client.set_registered_model_alias(NAME, "Campeã", "3")
    yield client
    client.delete_registered_model(NAME)


@pytest.mark.parametrize(
    "suffix",
    ["/Production", "/production", "/STAGING", "/None", "/latest", "/Latest", "/1", "@Campeã"],
)
def test_it_takes_the_version_that_mlflow_takes(
    mlflow_server: MlflowServer, client: MlflowClient, suffix: str
) -> None:
    uri = f"models:/{NAME}{suffix}"
    _, expected = get_model_name_and_version(client, uri)  # type: ignore[no-untyped-call]
    found = resolve(mlflow_server.url, uri).version
    assert found is not None
    assert found.version == str(expected)


def test_it_knows_stage_aliases_and_run(mlflow_server: MlflowServer, client: MlflowClient) -> None:
    assert client.get_model_version(NAME, "3").current_stage == "Staging"
    for suffix in ("/Staging", "@Campeã", "/3"):
        found = resolve(mlflow_server.url, f"models:/{NAME}{suffix}").version
        assert found is not None
        assert (found.stage, found.aliases) == ("Staging", ("Campeã",)), suffix


def test_it_knows_what_else_is_in_a_stage(
    mlflow_server: MlflowServer, client: MlflowClient
) -> None:
    assert client.get_model_version(NAME, "1").current_stage == "Production"
    assert resolve(mlflow_server.url, f"models:/{NAME}/Production").others == ("1",)
    assert resolve(mlflow_server.url, f"models:/{NAME}/Staging").others == ()


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        (f"models:/{NAME}/Archived", "is in Archived yet"),
        (f"models:/{NAME}@nobody", "has the alias 'nobody' yet"),
        (f"models:/{NAME}/99", "no version 99"),
        ("models:/no such model/latest", "no registered model 'no such model'"),
        ("models:/no such model@alias", "no registered model 'no such model'"),
    ],
)
@pytest.mark.usefixtures("client")
def test_what_is_missing_is_told(mlflow_server: MlflowServer, uri: str, told: str) -> None:
    answer = resolve(mlflow_server.url, uri)
    assert answer.version is None
    assert told in answer.reason


@pytest.mark.parametrize(
    "address",
    [lambda _: f"http://127.0.0.1:{free_port()}", lambda url: f"{url}/not-here"],
    ids=["nobody listens", "another path"],
)
def test_a_registry_that_does_not_answer_is_told_from_an_empty_one(
    mlflow_server: MlflowServer, address: Callable[[str], str]
) -> None:
    with pytest.raises(RegistryUnavailable, match=r"http://127\.0\.0\.1"):
        resolve(address(mlflow_server.url), f"models:/{NAME}/1")
