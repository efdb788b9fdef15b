"""The block that ends the start-up: what is served, where, and when it is time to say so."""

import http.server
import os
import threading
from pathlib import Path

import pytest

from local import summary
from local.settings import Settings, short


def test_paths_in_the_current_folder_are_short(chosen: Settings) -> None:
    assert short(chosen.logs) == "dados/logs"
    assert short(Path(os.sep, "elsewhere")) == "/elsewhere"


def test_block_names_the_logs_as_the_readme_shows_them(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = {"name": "classificador-produtos", "version": "1", "stage": "Production"}
    monkeypatch.setattr(summary, "_get", lambda *_, **__: served)
    assert "  logs     dados/logs\n" in (summary.summary(chosen, 1.0) or "")


def test_block_says_where_the_runs_are_compared(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = [{"key": "mlflow.sharedViewState.comparar", "value": "{}"}]
    answers = {
        "/model": {"name": "m", "version": "1", "run_id": "r"},
        "/ping": {},
        "run_id=r": {"run": {"info": {"experiment_id": "4"}}},
        "experiment_id=4": {"experiment": {"tags": tags}},
    }

    def get(url: str, **_: object) -> object:
        return next(answer for end, answer in answers.items() if url.endswith(end))

    monkeypatch.setattr(summary, "_get", get)
    said = summary.summary(chosen, 1.0) or ""
    assert (
        "/#/experiments/4/runs?workflowType=machine_learning&viewStateShareKey=comparar\n" in said
    )
    tags.clear()
    assert "compare" not in (summary.summary(chosen, 1.0) or "compare")


@pytest.mark.parametrize(
    ("where", "shown"),
    [
        ({"stage": "Production", "aliases": ["production"]}, " (Production)"),
        ({"stage": None, "aliases": ["champion", "b"]}, " (@champion, @b)"),
        ({"stage": None, "aliases": []}, ""),
    ],
)
def test_block_says_by_what_name_the_version_is_served(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch, where: dict[str, object], shown: str
) -> None:
    served = {"name": "classificador-produtos", "version": "3", **where}
    monkeypatch.setattr(summary, "_get", lambda *_, **__: served)
    assert f"   classificador-produtos version 3{shown}\n" in (summary.summary(chosen, 1) or "")


@pytest.mark.parametrize(
    ("variables", "direct"),
    [
        ({}, False),
        ({"http_proxy": "http://proxy:3128"}, True),
        ({"ALL_PROXY": "http://proxy:3128"}, True),
        ({"http_proxy": "http://proxy:3128", "no_proxy": "localhost"}, False),
        ({"https_proxy": "http://proxy:3128"}, False),
    ],
)
def test_the_line_to_try_goes_round_a_proxy(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], direct: bool
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(summary, "_get", lambda *_, **__: SERVED)
    block = summary.summary(chosen, 1) or ""
    assert ("'boneca de pano' --noproxy localhost localhost:8080" in block) is direct


SERVED = {"name": "classificador-produtos", "version": "2", "stage": "Production"}
NOTE = "no version of 'classificador-produtos' is in Production; version 2 is served until there is"


def test_block_waits_for_the_version_that_was_trained(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: dict[str, object] = {**SERVED, "note": NOTE}
    monkeypatch.setattr(summary, "_get", lambda *_, **__: model)
    assert summary.summary(chosen, 1.0, settled=False) is None
    model["wanted"] = {"version": "1", "state": "starting"}
    assert summary.summary(chosen, 1.0) is None
    # The lane of a version answers before its process: that is ready.
    model["wanted"] = {"version": "2", "state": "starting"}
    assert "version 2" in (summary.summary(chosen, 1.0) or "")
    model["wanted"] = {"version": "1", "state": "failed"}
    assert f"           {NOTE}\n" in (summary.summary(chosen, 1.0) or "")


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        (b"\r\n\n", {}),
        (b'\r\n{"a": 1}', {"a": 1}),
        (b"\r\n<html>", None),
        (b"\r\n[1]", None),
        (b'Content-Length: 99\r\n\r\n{"a": 1}', None),
        (b"x" * 100_000, None),
    ],
)
def test_a_blank_answer_is_a_good_one_and_what_is_cut_off_or_no_json_is_none(
    answer: bytes, read: dict[str, int] | None
) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(b"HTTP/1.0 200 OK\r\n" + answer)

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request).start()
        assert summary._get(f"http://127.0.0.1:{server.server_port}/ping") == read
