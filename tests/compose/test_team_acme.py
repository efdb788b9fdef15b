"""A public name's certificate, by ACME, from an authority that stands in for Let's Encrypt."""

import dataclasses
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.stack import docker, wait_until
from tests.compose.team import Team
from tests.e2e.conftest import free_port

NAME = "equipe.test"
AUTHORITY = "autoridade.test"
OF_AUTHORITY = f"""
{{
	skip_install_trust
}}
https://{AUTHORITY}:9443 {{
	tls internal
	acme_server
}}
"""


@pytest.fixture
def root(team: Team, tmp_path: Path) -> Iterator[Path]:
    """The certificate of an authority that runs in the stack's network."""
    file, root = tmp_path / "authority", tmp_path / "root.crt"
    file.write_text(OF_AUTHORITY, encoding="utf-8")
    container = docker(
        *("run", "--detach", "--name", AUTHORITY, "--network", f"{team.stack.project}_public"),
        *("--volume", f"{file}:/etc/caddy/Caddyfile:ro", team.setting("CADDY_IMAGE")),
    ).strip()
    there = f"{container}:/data/caddy/pki/authorities/local/root.crt"
    try:

        def is_there() -> bool:
            docker("cp", there, str(root), check=False)
            return root.is_file()

        wait_until(is_there, "its certificate")
        root.chmod(0o644)
        yield root
    finally:
        docker("rm", "--force", container)


def test_a_public_name_gets_its_certificate(team: Team, root: Path, tmp_path: Path) -> None:
    # What is the world's is changed, and nothing else.
    shipped = (team.folder / "deploy" / "team" / "Caddyfile").read_text("utf-8")
    first, rest = shipped.split("\n{\n", 1)
    directory = f"https://{AUTHORITY}:9443/acme/local/directory"
    options = f"\tacme_ca {directory}\n\tacme_ca_root /root.crt\n"
    caddyfile, overlay = tmp_path / "Caddyfile", tmp_path / "acme.yml"
    caddyfile.write_text(f"{first}\n{{\n{options}{rest}", encoding="utf-8")
    mounts = f'["{caddyfile}:/etc/caddy/Caddyfile:ro", "{root}:/root.crt:ro"]'
    # Writable by the user that Caddy is here.
    memory = '["/config:uid=10001", "/data:uid=10001", /tmp]'
    overlay.write_text(
        f"services: {{caddy: {{tmpfs: {memory}, volumes: !override {mounts}}}}}", encoding="utf-8"
    )
    stack = dataclasses.replace(team.stack, files=(*team.stack.files, overlay))
    port = free_port()
    container = stack.compose(
        *("run", "--detach", "--no-deps", "--rm", "--name", NAME),
        *(f"--env=PUBLIC_HOST={NAME}", "--env=TLS=ana@equipe.test"),
        *(f"--publish=127.0.0.1:{port}:5000", "caddy"),
    ).strip()
    try:
        context = ssl.create_default_context(cafile=str(root))

        def answer() -> str:
            request = f"GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n"
            try:
                with (
                    socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
                    context.wrap_socket(plain, server_hostname=NAME) as encrypted,
                ):
                    encrypted.sendall(request.encode())
                    return encrypted.recv(4096).decode()
            except OSError:
                return ""

        said = wait_until(answer, "a certificate that the authority has signed")
        assert "strict-transport-security: max-age=31536000" in said.lower()
    finally:
        docker("rm", "--force", container)
