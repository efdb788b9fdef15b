"""``server.artifacts``: who is told to fetch files from S3 itself, and under which name."""

import base64
import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.stub import Stubber
from mlflow.store.artifact import artifact_repo
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository
from urllib3 import HTTPResponse

from server.artifacts import s3_repository

OFFERS = (
    artifact_repo.MultipartUploadMixin,
    artifact_repo.MultipartDownloadMixin,
    artifact_repo.PresignedUploadMixin,
)


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "http://s3:9000")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "chave")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "um-segredo")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("S3_PUBLIC_URL", raising=False)


@pytest.mark.parametrize("offer", OFFERS)
def test_no_client_is_sent_to_s3_unless_it_has_a_public_address(
    offer: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not isinstance(s3_repository("s3://mlflow/1"), offer)
    monkeypatch.setenv("S3_PUBLIC_URL", "")
    assert not isinstance(s3_repository("s3://mlflow/1"), offer)
    monkeypatch.setenv("S3_PUBLIC_URL", "http://s3.example.org:9000")
    assert isinstance(s3_repository("s3://mlflow/1"), offer)


def test_addresses_are_signed_for_the_public_name_and_the_server_asks_under_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("S3_PUBLIC_URL", "http://s3.example.org:9000")
    repository: Any = s3_repository("s3://mlflow/1")
    client = repository._get_s3_client()
    assert client.meta.endpoint_url == "http://s3:9000"
    with Stubber(client) as s3:
        s3.add_response("head_object", {"ContentLength": 7}, {"Bucket": "mlflow", "Key": "1/a"})
        down = repository.get_download_presigned_url("a")
        s3.add_response("create_multipart_upload", {"UploadId": "u"})
        up = repository.create_multipart_upload("a", num_parts=2)
    addresses = [down.url, *(part.url for part in up.credentials)]
    assert len(addresses) == 3
    for url in addresses:
        assert url.startswith("http://s3.example.org:9000/mlflow/1/a?"), url


@pytest.mark.parametrize("public", ["", "http://s3.example.org:9000"])
def test_files_are_deleted_with_the_checksum_that_every_s3_takes(
    public: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_PUBLIC_URL", public)
    repository: Any = s3_repository("s3://mlflow/1")
    client = getattr(repository, "_s3", repository)._get_s3_client()
    asked: list[Any] = []

    def answer(request: Any, **_: Any) -> Any:
        asked.append(request)
        page = (
            "<ListBucketResult><Contents><Key>1/a</Key><Size>3</Size></Contents></ListBucketResult>"
        )
        body = page if request.method == "GET" else "<DeleteResult/>"
        raw = HTTPResponse(io.BytesIO(body.encode()), preload_content=False)
        return AWSResponse(request.url, 200, {}, raw)

    client.meta.events.register("before-send.s3", answer, unique_id="answer")
    repository.delete_artifacts()
    client.meta.events.unregister("before-send.s3", unique_id="answer")
    listed, deleted = asked
    assert "Content-MD5" not in listed.headers
    digest = base64.b64encode(hashlib.md5(deleted.body).digest())
    assert deleted.headers["Content-MD5"] == digest


def test_every_call_is_handed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[Any] = []

    def recorded(name: str) -> Any:
        def call(repository: S3ArtifactRepository, *given: str) -> list[str]:
            calls.append((name, repository.artifact_uri, *given))
            return []

        return call

    def download(repository: S3ArtifactRepository, remote: str, local: str) -> None:
        assert (repository.artifact_uri, remote) == ("s3://mlflow/1", "pasta/a")
        Path(local).write_text("conteúdo")

    for name in ("log_artifact", "log_artifacts", "list_artifacts", "delete_artifacts"):
        monkeypatch.setattr(S3ArtifactRepository, name, recorded(name))
    monkeypatch.setattr(S3ArtifactRepository, "_download_file", download)
    repository: Any = s3_repository("s3://mlflow/1")
    repository.log_artifact("arquivo", "pasta")
    repository.log_artifacts("pasta-local", "pasta")
    assert repository.list_artifacts("pasta") == []
    repository.delete_artifacts("pasta")
    assert calls == [
        ("log_artifact", "s3://mlflow/1", "arquivo", "pasta"),
        ("log_artifacts", "s3://mlflow/1", "pasta-local", "pasta"),
        ("list_artifacts", "s3://mlflow/1", "pasta"),
        ("delete_artifacts", "s3://mlflow/1", "pasta"),
    ]
    got = repository.download_artifacts("pasta/a", str(tmp_path))
    assert Path(got).read_text() == "conteúdo"
