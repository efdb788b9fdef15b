import base64
import contextlib
import gzip
import http.server
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from produtos.data import source
from produtos.data.source import location, proxy_of, read_bytes
from produtos.errors import BadInput, without_secrets
from tests.support.threads import Quiet, serving


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("/home/maria/a?b=c.csv", "/home/maria/a?b=c.csv"),
        ("http://host:8000/@maria/x.csv", "http://host:8000/@maria/x.csv"),
        ("https://user:SECRET@host/x.csv", "https://host/x.csv"),
        ("https://SECRET@host:8000/x.csv", "https://host:8000/x.csv"),
        ("https://user:SEC@RET@host/x.csv", "https://host/x.csv"),
        ("https://user:SEC/RET@host/x.csv", "https://host/x.csv"),
        ("https://user:SEC?RET#X@host/x.csv", "https://host/x.csv"),
        ("mysql+pymysql://user:SECRET@host/db", "mysql+pymysql://host/db"),
        (
            "https://host/x.csv?X-Amz-Signature=SECRET&token=SECRET",
            "https://host/x.csv?X-Amz-Signature=…&token=…",
        ),
        ("https://host/x?SECRET", "https://host/x?…"),
        ("https://host/x#access_token=SECRET", "https://host/x#access_token=…"),
        ("https://SECRET@host/project.git#trainer", "https://host/project.git#trainer"),
        ("https://host/x?a=SECRET&SECRET", "https://host/x?a=…"),
        ("https://user:SECRET@host:80?a=SECRET@b", "https://host:80?a=…"),
    ],
)
def test_an_address_is_shown_without_what_may_be_a_secret(address: str, shown: str) -> None:
    assert without_secrets(address) == shown


Answer = Callable[[http.server.BaseHTTPRequestHandler], None]

TABLE = b"nome;descricao;categoria\n" + b"".join(b"produto %d;;livro\n" % n for n in range(100))


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], str]]:
    """Serve one answer to every request; the address of a file on that server."""
    stack = contextlib.ExitStack()

    def serve(answer: Answer) -> str:
        class Handler(Quiet):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.close_connection = True
                answer(self)

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        return f"http://127.0.0.1:{stack.enter_context(serving(server))}/produtos.csv"

    with stack:
        yield serve


def send(handler: http.server.BaseHTTPRequestHandler, body: bytes, **headers: str | int) -> None:
    handler.send_response(int(headers.pop("status", 200)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (socket.gaierror(-2, "?"), "^the name of its server is not found, or there is no network;"),
        (
            ConnectionRefusedError(111, "?"),
            r"^no server answers there \(connection refused\); check",
        ),
        (TimeoutError("?"), "^no server answers there in time; check the address$"),
    ],
)
def test_a_server_that_is_not_reached(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(socket, "create_connection", fails)
    with pytest.raises(BadInput, match=message):
        read_bytes("http://shop.example/produtos.csv")


LENGTH = str(len(TABLE))
GZIPPED = gzip.compress(TABLE)
CHUNK = b"%x\r\n%s\r\n" % (len(TABLE), TABLE)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (TABLE, {"Content_Length": LENGTH}),
        (TABLE, {"Connection": "close"}),
        (CHUNK + b"0\r\n\r\n", {"Transfer_Encoding": "chunked"}),
        (GZIPPED, {"Content_Encoding": "gzip", "Content_Length": str(len(GZIPPED))}),
    ],
    ids=["with its length", "until the connection ends", "in chunks", "gzipped"],
)
def test_a_whole_answer_is_read(
    serve: Callable[[Answer], str], body: bytes, headers: dict[str, str]
) -> None:
    assert read_bytes(serve(lambda handler: send(handler, body, **headers))) == TABLE


@pytest.mark.parametrize(
    ("body", "headers", "message"),
    [
        (TABLE[:-900], {"Content_Length": LENGTH}, r"sent 915 of 1,815 bytes"),
        (b"", {"Content_Length": LENGTH}, r"sent 0 of 1,815 bytes"),
        (CHUNK, {"Transfer_Encoding": "chunked"}, "stopped in the middle of the file"),
        (CHUNK[:-900], {"Transfer_Encoding": "chunked"}, "stopped in the middle of the file"),
        (
            GZIPPED[:-9],
            {"Content_Encoding": "gzip", "Content_Length": str(len(GZIPPED) - 9)},
            "do not end as gzip does",
        ),
        (b"\x1f\x8b", {"Content_Encoding": "gzip", "Content_Length": "2"}, "do not end as gzip"),
        (TABLE, {"Content_Encoding": "gzip", "Content_Length": LENGTH}, "do not end as gzip"),
        (TABLE, {"Content_Encoding": "br", "Content_Length": LENGTH}, r"compressed \(br\)"),
    ],
    ids=[
        "half of it",
        "nothing of it",
        "without the last chunk",
        "half a chunk",
        "gzip without its end",
        "gzip without anything",
        "gzip that is none",
        "another compression",
    ],
)
def test_an_answer_that_was_cut_off_is_no_data_set(
    serve: Callable[[Answer], str], body: bytes, headers: dict[str, str], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        read_bytes(serve(lambda handler: send(handler, body, **headers)))


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (206, "answered 206 Partial Content, not with the whole file; check"),
        (203, "answered 203"),
        (401, "answered 401 Unauthorized; check the address$"),
        (404, "answered 404 Not Found; check the address$"),
        (503, "answered 503 Service Unavailable; check the address$"),
    ],
)
def test_an_answer_of_another_kind_is_no_data_set(
    serve: Callable[[Answer], str], status: int, message: str
) -> None:
    address = serve(lambda handler: send(handler, TABLE, status=status, Content_Length=LENGTH))
    with pytest.raises(BadInput, match=message):
        read_bytes(address)


def test_a_server_that_leads_to_a_page_to_log_in_is_told(serve: Callable[[Answer], str]) -> None:
    page = b"<!DOCTYPE html><form>Entrar</form>"

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        if handler.path.startswith("/login"):
            send(handler, page, Content_Length=str(len(page)))
        else:
            send(handler, b"", status=302, Location="/login?next=SECRET", Content_Length="0")

    with pytest.raises(BadInput, match=r"led to http://127.*/login\?next=…, which is a web page"):
        read_bytes(serve(answer))


def test_a_server_may_lead_to_the_file(serve: Callable[[Answer], str]) -> None:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        if handler.path == "/moved":
            send(handler, TABLE, Content_Length=LENGTH)
        else:
            send(handler, b"", status=302, Location="/moved", Content_Length="0")

    assert read_bytes(serve(answer)) == TABLE


def test_user_and_password_of_an_address_are_for_its_own_server(
    serve: Callable[[Answer], str],
) -> None:
    seen = []

    def other(handler: http.server.BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Authorization"])
        send(handler, TABLE, Content_Length=LENGTH)

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Authorization"])
        send(handler, b"", status=302, Location=elsewhere, Content_Length="0")

    elsewhere = serve(other)
    address = serve(answer).replace("//", "//maria:p%40ss@")
    assert read_bytes(address) == TABLE
    assert seen == ["Basic " + base64.b64encode(b"maria:p@ss").decode(), None]


def test_a_secret_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "SECRET")
    assert location("https://host/x?token=${TOKEN}&$NADA") == "https://host/x?token=SECRET&$NADA"
    assert location("/data/$TOKEN.csv") == "/data/$TOKEN.csv"


def test_a_download_that_takes_too_long_is_given_up(
    serve: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "LONGEST_DOWNLOAD", -1.0)
    with pytest.raises(BadInput, match="stopped sending; try again"):
        read_bytes(serve(lambda handler: send(handler, TABLE, Content_Length=LENGTH)))


def test_a_server_that_sends_no_byte_is_given_up(
    serve: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "HTTP_TIMEOUT", 0.05)
    done = threading.Event()

    def answer(_: http.server.BaseHTTPRequestHandler) -> None:
        done.wait(60)

    address = serve(answer)
    try:
        with pytest.raises(BadInput, match="stopped sending"):
            read_bytes(address)
    finally:
        done.set()


def test_a_refusal_on_the_way_of_a_proxy_names_the_proxy(
    serve: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = serve(lambda handler: send(handler, b"", status=403, Content_Length="0"))
    proxy = refusing.removesuffix("/produtos.csv")
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, proxy.replace("//", "//maria:SECRET@"))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(BadInput, match=rf"answered 403 .* and the proxy, {proxy}$"):
        read_bytes("http://dados.example/produtos.csv")
    with pytest.raises(BadInput, match=rf"Tunnel connection failed.* and the proxy, {proxy}$"):
        read_bytes("https://dados.example/produtos.csv")
    monkeypatch.setenv("no_proxy", "dados.example")
    assert proxy_of("http://dados.example/produtos.csv") is None
