"""hotserve on models that no registry knows: of a run, and in an S3 bucket."""

from pathlib import Path

import boto3

from tests.e2e.conftest import MlflowServer
from tests.e2e.hotserve_models import Registry, save, text_model
from tests.e2e.hotserve_process import Hotserve, running_hotserve
from tests.e2e.small_s3 import running_s3

OPTIONS = ["--workers", "1"]


def assert_it_serves(hotserve: Hotserve) -> None:
    hotserve.wait_for("it does not answer", lambda model: model["state"] == "serving")
    hotserve.wait_for("no lane", lambda model: model["lane"]["state"] == "open")
    answer = hotserve.predict("boneca de pano\nhalo")
    assert answer.json() == {"predictions": ["brinquedo", "game"]}
    assert hotserve.model()["version"] is None


def test_a_model_of_a_run(mlflow_server: MlflowServer, tmp_path: Path) -> None:
    name = "hotserve-uris"
    registry = Registry(mlflow_server.url)
    version = registry.register_folder(name, save(text_model(), tmp_path / "model"))
    run = registry.client.get_model_version(name, version).run_id
    environment = mlflow_server.environment()
    with running_hotserve(f"runs:/{run}/modelo", tmp_path, environment, options=OPTIONS) as served:
        assert_it_serves(served)


def test_a_model_in_a_bucket_is_served_from_the_cache_while_s3_is_away(
    mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    saved = save(text_model(), tmp_path / "model")
    uri = "s3://modelos/produtos/modelo"
    with running_s3(tmp_path / "s3") as found:
        client = boto3.client(
            "s3",
            endpoint_url=found["MLFLOW_S3_ENDPOINT_URL"],
            aws_access_key_id=found["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=found["AWS_SECRET_ACCESS_KEY"],
            region_name=found["AWS_DEFAULT_REGION"],
        )
        client.create_bucket(Bucket="modelos")
        for file in saved.rglob("*"):
            if file.is_file():
                place = f"produtos/modelo/{file.relative_to(saved)}"
                client.upload_file(str(file), "modelos", place)
        # Tries again and again by default, while a test waits.
        environment = mlflow_server.environment(**found, AWS_MAX_ATTEMPTS="1")
        with running_hotserve(uri, tmp_path, environment, options=OPTIONS) as served:
            assert_it_serves(served)
            assert served.model()["uri"] is None, "a bucket is nobody's business"

    with running_hotserve(uri, tmp_path, environment, options=OPTIONS) as served:
        assert_it_serves(served)
        assert "the copy in the cache is used" in served.log.read_text()
