"""How MLflow's clients get and put the files of the runs, which lie in S3.

MLflow tells every client to fetch files from S3 itself as soon as its repository can sign
addresses. But S3's own address may be a name that only this server knows. So by default all
files go through MLflow, which works from everywhere; with ``S3_PUBLIC_URL``, where clients reach
S3, addresses are signed for that one.

The entry point ``mlflow.artifact_repository`` of the image names ``s3_repository``.
"""

import base64
import hashlib
import os
from typing import Any

from mlflow.entities import FileInfo
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository, _get_s3_client


def _with_md5(params: dict[str, Any], **_: Any) -> None:
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()


class S3(S3ArtifactRepository):
    """Deletes with Content-MD5, which some kinds of S3 ask for; boto3 sends another checksum."""

    def _get_s3_client(self) -> Any:
        client: Any = super()._get_s3_client()  # type: ignore[no-untyped-call]
        # Kept by MLflow and asked for again: once is enough.
        client.meta.events.register(
            "before-call.s3.DeleteObjects", _with_md5, unique_id="content-md5"
        )
        return client


class PublicS3(S3):
    """Signs addresses for ``S3_PUBLIC_URL``, and calls S3 where it is for the server."""

    def _get_s3_client(self) -> Any:
        client = super()._get_s3_client()
        public: Any = _get_s3_client(s3_endpoint_url=os.environ["S3_PUBLIC_URL"])  # type: ignore[no-untyped-call]
        client.generate_presigned_url = public.generate_presigned_url
        return client


class ProxiedS3(ArtifactRepository):
    """S3 without MLflow's ``Multipart…`` and ``Presigned…`` classes: no address is given away."""

    def __init__(self, artifact_uri: str, **uris: str | None) -> None:
        super().__init__(artifact_uri, **uris)
        self._s3: Any = S3(artifact_uri, **uris)

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        self._s3.log_artifact(local_file, artifact_path)

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        self._s3.log_artifacts(local_dir, artifact_path)

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        return list(self._s3.list_artifacts(path))

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        self._s3._download_file(remote_file_path, local_path)

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        self._s3.delete_artifacts(artifact_path)


def s3_repository(artifact_uri: str, **uris: str | None) -> ArtifactRepository:
    """The repository of an ``s3://`` address, as MLflow's registry of repositories calls it."""
    kind = PublicS3 if os.environ.get("S3_PUBLIC_URL") else ProxiedS3
    return kind(artifact_uri, **uris)
