"""A small image registry on the loopback, which has one image of the engine's."""

import hashlib
import json
import shutil
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.compose.stack import docker

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


@contextmanager
def registry_with(image: str, name: str, folder: Path) -> Iterator[str]:
    """The image's name with its digest, by which the engine can pull it as long as this lasts.

    Args:
        image: an image that the engine has.
        name: what it is called in the registry, `name:tag`.
        folder: for its files; is made.
    """
    folder.mkdir()
    saved = folder / "saved.tar"
    docker("save", "--output", str(saved), image, timeout=600)
    with tarfile.open(saved) as archive:
        archive.extractall(folder, filter="data")
    saved.unlink()
    (parts,) = json.loads((folder / "manifest.json").read_text())
    blobs: dict[str, Path] = {}

    def described(media_type: str, path: Path) -> dict[str, Any]:
        with path.open("rb") as file:
            digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        blobs[digest] = path
        return {"mediaType": media_type, "size": path.stat().st_size, "digest": digest}

    manifest = folder / "served.json"
    told = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": described(CONFIG, folder / parts["Config"]),
        "layers": [described(LAYER, folder / layer) for layer in parts["Layers"]],
    }
    manifest.write_text(json.dumps(told))
    digest = described(MANIFEST, manifest)["digest"]

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            asked = self.path.rpartition("/")[2]
            path = blobs.get(digest if "/manifests/" in self.path else asked)
            if path is None and self.path != "/v2/":
                self.send_error(404)
                return
            is_manifest = path is manifest
            self.send_response(200)
            self.send_header(
                "Content-Type", MANIFEST if is_manifest else "application/octet-stream"
            )
            self.send_header("Content-Length", str(path.stat().st_size if path else 0))
            if is_manifest:
                self.send_header("Docker-Content-Digest", digest)
            self.end_headers()
            if path and with_body:
                with path.open("rb") as file:
                    shutil.copyfileobj(file, self.wfile)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep the test's output free of a line for each request."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}/{name}@{digest}"
        finally:
            server.shutdown()
            thread.join()
