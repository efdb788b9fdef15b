#!/usr/bin/env python3
"""``server DIR [--address :9000] [--console-address :9001]``, as the MinIO image takes it.

The gateway keeps the objects under DIR and their names in an SQLite file there. Its browser
is on the port of the API: a relay makes it answer on the console's port as well.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

VOLUME = "minio"


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host or "0.0.0.0", int(port)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while block := await reader.read(65536):
            writer.write(block)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def _relay(listen: tuple[str, int], target: tuple[str, int]) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection(*target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, up_writer), _pump(up_reader, writer))

    server = await asyncio.start_server(serve, *listen)
    async with server:
        await server.serve_forever()


def _start_relay(listen: tuple[str, int], target: tuple[str, int]) -> None:
    if os.fork() == 0:
        # The gateway takes our place: when it ends, so does the relay.
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        asyncio.run(_relay(listen, target))
        os._exit(1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="s3")
    parser.add_argument("command", choices=["server"])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--address", type=_address, default=("0.0.0.0", 9000))
    parser.add_argument("--console-address", type=_address)
    arguments = parser.parse_args()
    for name in ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"):
        if file := os.environ.get(f"{name}_FILE"):
            os.environ[name] = Path(file).read_text(encoding="utf-8").strip()
        if not os.environ.get(name):
            sys.exit(f"s3: {name} must be set")
    if len(os.environ["MINIO_ROOT_USER"]) < 3 or len(os.environ["MINIO_ROOT_PASSWORD"]) < 8:
        sys.exit("s3: the user needs 3 characters at least, the password 8")

    directory: Path = arguments.directory
    meta = f"sqlite3://{directory}/meta.db"
    bucket = f"{directory}/objects/"
    store = ["--storage", "file", "--bucket", bucket, "--trash-days", "0"]
    made = subprocess.run(
        ["juicefs", "format", "--no-update", *store, meta, VOLUME],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        sys.exit(f"s3: {directory} cannot be used: {made.stderr.strip().splitlines()[-1]}")

    host, port = arguments.address
    if arguments.console_address:
        _start_relay(arguments.console_address, ("127.0.0.1", port))
    os.execvp(
        "juicefs",
        ["juicefs", "gateway", "--multi-buckets", "--keep-etag", "--no-usage-report",
         "--backup-meta", "0", "--cache-size", "0", "--buffer-size", "64M", "--log", "/dev/null",
         meta, f"{host}:{port}"],
    )  # fmt: skip


if __name__ == "__main__":
    main()
