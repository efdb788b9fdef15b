"""The manager's own process: its port, and how it ends."""

import asyncio
import socket
from types import SimpleNamespace
from typing import Any

import pytest

from hotserve.config import model_uri
from hotserve.config.errors import UsageError
from hotserve.log import logger
from hotserve.manager import main
from hotserve.processes.guarded_process import Exit


def test_it_listens_on_every_address_of_the_host() -> None:
    [listener] = main.listen("127.0.0.1", 0)
    with listener:
        assert not listener.getblocking()
        port = listener.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        with pytest.raises(UsageError, match=f"127.0.0.1 port {port}: it is in use"):
            main.listen("127.0.0.1", port)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (socket.gaierror(-2, "x"), "the host 'h' of -h is not known"),
        (PermissionError(13, "Permission denied"), "can't listen on h port 80: permission denied"),
    ],
)
def test_a_port_that_cannot_be_had(
    monkeypatch: pytest.MonkeyPatch, error: OSError, why: str
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(UsageError) as raised:
        main.listen("h", 80)
    assert str(raised.value) == why


def test_no_socket_stays_open_where_one_of_them_cannot_be_had() -> None:
    opened: list[socket.socket] = []
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        def addresses(*_: Any, **__: Any) -> Any:
            family = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
            return [(*family, ("127.0.0.2", port)), (*family, ("127.0.0.1", port))]

        class Socket(socket.socket):
            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments)
                opened.append(self)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket, "getaddrinfo", addresses)
            patch.setattr(socket, "socket", Socket)
            with pytest.raises(UsageError):
                main.listen("both", port)
    assert [each.fileno() for each in opened] == [-1, -1]


def test_the_wrapped_command_sees_none_of_hotserves_variables() -> None:
    seen = main._child_environment({"HOTSERVE_TOKEN": "t", "PATH": "/bin"})
    added = {"UVICORN_ACCESS_LOG": "false", "OMP_WAIT_POLICY": "passive"}
    assert seen == {"PATH": "/bin", **added}
    for name in added:
        assert main._child_environment({name: "of the user"})[name] == "of the user"


@pytest.mark.parametrize(
    ("uri", "label"),
    [("runs:/1a/model", "1a"), ("models:/m-2b", "m-2b"), ("s3://bucket/modelo", "")],
)
def test_a_model_that_no_registry_numbers_is_called_by_its_run_or_its_id(
    uri: str, label: str
) -> None:
    fixed = main._fixed(model_uri.parse(uri))
    assert (fixed.label, fixed.version, fixed.source) == (label, "", uri)


@pytest.mark.parametrize(
    ("unknown", "code", "stops"),
    [((), 2, False), (("--x",), 2, True), (("--x",), 0, False), (("--x",), 1, False)],
)
def test_an_option_that_mlflow_does_not_know_ends_hotserve(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    unknown: tuple[str, ...],
    code: int,
    stops: bool,
) -> None:
    async def run_to_end(*_: Any, **__: Any) -> Exit:
        return Exit(code, ("Usage: mlflow", "Error: No such option '--x'"))

    monkeypatch.setattr(main, "run_to_end", run_to_end)
    monkeypatch.setattr(logger, "propagate", True)
    command = SimpleNamespace(unknown=unknown, check=lambda: ["mlflow"])
    settings: Any = SimpleNamespace(command=command)
    checking = main._check_options(settings, {})
    if not stops:
        asyncio.run(checking)
        return
    with pytest.raises(main._Stopped) as stopped:
        asyncio.run(checking)
    assert stopped.value.exit_code == 2
    assert caplog.messages == ["mlflow models serve: No such option '--x'"]


@pytest.mark.parametrize(("host", "shown"), [("0.0.0.0", "0.0.0.0"), ("::1", "[::1]")])
def test_it_says_where_it_listens_once_a_worker_answers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, host: str, shown: str
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(logger, "propagate", True)

    async def scenario() -> None:
        pool: Any = SimpleNamespace(ready=asyncio.Event())
        settings: Any = SimpleNamespace(command=SimpleNamespace(host=host, port=8080))
        task = asyncio.create_task(main._log_when_ready(pool, settings))
        await asyncio.sleep(0)
        assert caplog.messages == []
        pool.ready.set()
        await task

    asyncio.run(scenario())
    assert caplog.messages == [f"listening on http://{shown}:8080"]
