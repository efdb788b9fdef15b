"""hotserve on models that no registry knows: of a run, in an S3 bucket, in a folder."""

from pathlib import Path

import boto3

from hotserve.manager.cache import content_of
from tests.e2e.conftest import MlflowServer
from tests.e2e.hotserve_models import Registry, save, text_model
from tests.e2e.hotserve_process import Hotserve, eventually, running_hotserve
from tests.e2e.small_s3 import running_s3

OPTIONS = ["--workers", "1"]


def assert_it_serves(hotserve: Hotserve, version: str) -> None:
    hotserve.wait_until_serving(lane="open")
    answer = hotserve.predict("boneca de pano\nhalo")
    assert answer.json() == {"predictions": ["brinquedo", "game"]}
    assert hotserve.model()["version"] == answer.headers["X-Model-Version"] == version
    assert f'version="{version}"' in hotserve.get("/metrics").text
    assert f"version {version}" in hotserve.log.read_text()


def test_a_model_of_a_run(mlflow_server: MlflowServer, tmp_path: Path) -> None:
    name = "hotserve-uris"
    registry = Registry(mlflow_server.url)
    version = registry.register_folder(name, save(text_model(), tmp_path / "model"))
    run = str(registry.client.get_model_version(name, version).run_id)
    environment = mlflow_server.environment()
    with running_hotserve(f"runs:/{run}/modelo", tmp_path, environment, options=OPTIONS) as served:
        assert_it_serves(served, run)


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
            assert_it_serves(served, content_of(saved))
            assert served.model()["uri"] is None, "a bucket is nobody's business"

    with running_hotserve(uri, tmp_path, environment, options=OPTIONS) as served:
        assert_it_serves(served, content_of(saved))
        assert "the copy in the cache is used" in served.log.read_text()


def test_two_folders_of_one_name_have_a_lane_each(tmp_path: Path) -> None:
    folders = [tmp_path / shop / "model" for shop in ("shop", "other")]
    for folder in folders:
        save(text_model(f"-{folder.parent.name}"), folder)

    def assert_it_answers_for(shop: str, hotserve: Hotserve) -> None:
        hotserve.wait_for("no lane", lambda model: "open" in str(model["lane"]))
        answer = hotserve.predict("halo")
        assert answer.json() == {"predictions": [f"game-{shop}"]}
        assert answer.headers["X-Hotserve-Lane"] == "fast"

    with (
        running_hotserve(folders[0], tmp_path, options=OPTIONS) as first,
        running_hotserve(folders[1], tmp_path, options=OPTIONS) as second,
    ):
        assert_it_answers_for("shop", first)
        assert_it_answers_for("other", second)
        [worker] = first.workers()
        worker.kill()
        eventually(lambda: {each.pid for each in first.workers()} - {worker.pid}, "no new worker")
        assert_it_answers_for("shop", first)
        assert first.model()["version"] == content_of(folders[0]) != content_of(folders[1])
