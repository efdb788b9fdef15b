"""A real SSH server of one test's own, which lets in whoever runs the test, by a key."""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.conftest import free_port

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
STARTED_WITHIN = 60.0


@dataclass(frozen=True)
class SshServer:
    """A running server.

    Attributes:
        address: `user@host:port`.
        keys: what a client has in `~/.ssh`: the key and `known_hosts`.
        pid: of the server, whose children serve a client each.
    """

    address: str
    keys: Path
    pid: int

    def target(self, folder: Path) -> str:
        """The folder there, as restic calls it."""
        return f"sftp://{self.address}/{folder}"


@contextmanager
def running_sshd(home: Path, host: str = "127.0.0.1") -> Iterator[SshServer]:
    """Serve SFTP at an address of this machine, with keys made in the folder `home`."""
    if SSHD is None:
        pytest.skip("sshd is not installed (tests/install-tools.sh)")
    keys, port = home / "keys", free_port()
    keys.mkdir(parents=True)
    for key in (home / "host_key", keys / "id_ed25519"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    settings = {
        "ListenAddress": host,
        "Port": port,
        "HostKey": home / "host_key",
        "AuthorizedKeysFile": keys / "id_ed25519.pub",
        "StrictModes": "no",  # the folders above are the test's
        "PasswordAuthentication": "no",
        "PidFile": "none",
        "Subsystem": "sftp internal-sftp",
    }
    file = home / "sshd_config"
    file.write_text("".join(f"{name} {value}\n" for name, value in settings.items()), "utf-8")
    if os.geteuid() == 0:
        # It locks in there who is not let in yet.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([SSHD, "-D", "-e", "-f", file], stderr=log)
    try:
        (keys / "known_hosts").write_bytes(_host_keys(host, port, process))
        user = pwd.getpwuid(os.geteuid()).pw_name
        yield SshServer(f"{user}@{host}:{port}", keys, process.pid)
    finally:
        process.terminate()
        process.wait()


def _host_keys(host: str, port: int, process: subprocess.Popen[bytes]) -> bytes:
    deadline = time.monotonic() + STARTED_WITHIN
    scan = ["ssh-keyscan", "-p", str(port), host]
    while not (found := subprocess.run(scan, capture_output=True, check=False).stdout):
        assert process.poll() is None, "sshd ended"
        assert time.monotonic() < deadline
    return found
