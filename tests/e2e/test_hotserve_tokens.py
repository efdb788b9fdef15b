"""Tokens of one or of several, in a file that changes, or none."""

import os
import subprocess
import sys
from pathlib import Path

import requests

from tests.e2e.conftest import without_mlflow
from tests.e2e.hotserve_models import save, text_model
from tests.e2e.hotserve_process import PATIENCE, eventually, running_hotserve
from tests.e2e.token_requests import CSV, SHOWN, TOKEN, asked, logged
from tests.support.commands import completed


def test_why_nothing_is_served_is_told_to_who_has_the_token(tmp_path: Path) -> None:
    environment = os.environ | {
        "HOTSERVE_TOKEN": TOKEN,
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:1",
    }
    with running_hotserve(
        "models:/secreto/Production", tmp_path, environment, options=("--workers", "1")
    ) as running:

        def ping(headers: dict[str, str]) -> str:
            answer = asked(running, "GET", "/ping", headers)
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) >= 1
            return str(answer.json()["message"])

        running.get("/docs")
        eventually(lambda: "127.0.0.1:1 can't be reached" in ping(SHOWN), "it does not say why")
        for headers in ({}, {"Authorization": "Bearer another"}):
            told = ping(headers)
            assert "/model says why" in told
            assert "127.0.0.1" not in told
            assert "secreto" not in told


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return completed(
        [sys.executable, "-m", "hotserve", *arguments],
        env={**os.environ, **variables},
        timeout=PATIENCE,
    )


def test_a_token_file_that_changes_counts_from_then_on(tmp_path: Path) -> None:
    model = save(text_model(), tmp_path / "model")
    file = tmp_path / "tokens"
    file.write_text("first\n")
    kept_open = requests.Session()

    def status(token: str) -> int:
        shown = {"Authorization": f"Bearer {token}"}
        return kept_open.get(running.url + "/version", headers=shown, timeout=PATIENCE).status_code

    def replace_workers() -> None:
        for worker in running.workers():
            worker.kill()
        eventually(lambda: len(running.workers()) == 2, "they are not replaced")
        running.get("/ping")

    options = ("--workers", "2", "--token-file", str(file))
    with running_hotserve(model, tmp_path, options=options) as running:
        running.get("/ping")
        eventually(lambda: status("first") == 200, "the first token does not count")
        assert status("second") == 401
        file.write_text("first\nana second\n")
        eventually(lambda: status("second") == 200, "the second token does not count")
        # As somebody does who wants no reader to see half of it.
        (tmp_path / "new").write_text("ana second\n")
        (tmp_path / "new").rename(file)
        eventually(lambda: status("first") == 401, "the first token still counts")
        file.unlink()
        eventually(lambda: "can't be read" in running.log.read_text(), "it is not told")
        assert [status("second"), status("")] == [200, 401]
        # A worker that comes later knows them, too.
        replace_workers()
        assert [status("second"), status("first")] == [200, 401]
        file.write_text("# nothing\n")
        eventually(lambda: "holds no token" in running.log.read_text(), "it is not told")
        eventually(lambda: status("second") == 401, "the last token still counts")
        assert [status("first"), status(""), status("# nothing"), status("nothing")] == [401] * 4
        replace_workers()
        assert [status("second"), status("")] == [401, 401]
        assert "second" not in running.log.read_text()


def test_who_asked_is_in_the_log_and_the_metrics(tmp_path: Path) -> None:
    model = save(text_model(), tmp_path / "model")
    (tmp_path / "tokens").write_text(f"# who may ask\nana {TOKEN}\nwithout-a-name\n")
    options = (
        *("--workers", "1", "--token-file", str(tmp_path / "tokens")),
        *("--access-log", "--forwarded-allow-ips", "127.0.0.1"),
    )
    log = tmp_path / "requests.log"
    with running_hotserve(model, tmp_path, options=options, stdout=log) as running:
        eventually(lambda: running.get("/ping").status_code == 200, "it is not served")
        shown = [SHOWN, {"Authorization": "Bearer without-a-name"}, {"Authorization": "Bearer ana"}]
        proxied = {"X-Forwarded-For": "192.0.2.1"}
        statuses = [
            asked(running, "POST", "/invocations", who | CSV | proxied, body).status_code
            for who in shown
            for body in (b"halo", b"halo " + b"nada " * 5_000)
        ]
        assert statuses == [200, 200, 200, 200, 401, 401]
        metrics = asked(running, "GET", "/metrics", SHOWN).text
        assert 'hotserve_client_requests_total{client="ana"} 2.0' in metrics
        assert metrics.count("hotserve_client_requests_total{") == 1
        names = ["ana", "ana", None, None, None, None, "ana"]
        eventually(
            lambda: [line["client_name"] for line in logged(running)][-7:] == names,
            "a line is missing, or names another client",
        )
        clients = [line["client"] for line in logged(running)]
        assert clients[-7:] == [*["192.0.2.1"] * 6, "127.0.0.1"]
        assert TOKEN not in log.read_text() + running.log.read_text()


def test_an_empty_token_is_none_and_that_is_told(tmp_path: Path) -> None:
    model = save(text_model(), tmp_path / "model")
    environment = without_mlflow() | {"HOTSERVE_TOKEN": "", "HOTSERVE_TOKEN_FILE": ""}
    told = "HOTSERVE_TOKEN is empty: everybody is answered"
    with running_hotserve(model, tmp_path, environment, options=("--workers", "1")) as open_:
        assert open_.get("/model").status_code == 200
        assert told in open_.log.read_text("utf-8")
        assert told.replace("TOKEN", "TOKEN_FILE") in open_.log.read_text("utf-8")
    (tmp_path / "tokens").write_text(TOKEN)
    options = ("--workers", "1", "--token-file", str(tmp_path / "tokens"))
    with running_hotserve(model, tmp_path, environment, options=options) as shut:
        assert shut.get("/model").status_code == 401
        assert told not in shut.log.read_text("utf-8")


def test_a_token_that_can_not_be_used_is_one_line_and_code_2(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    command = ("mlflow", "models", "serve", "-m", "models:/a/1")
    for arguments, variables, told in (
        (("--token-file", str(empty)), {}, "holds no token"),
        (("--token-file", str(empty)), {"HOTSERVE_TOKEN": TOKEN}, "both given"),
        ((), {"HOTSERVE_TOKEN_FILE": str(tmp_path / "nowhere")}, "can't be read"),
    ):
        result = run(*arguments, *command, **variables)
        assert result.returncode == 2
        assert told in result.stderr
        assert len(result.stderr.splitlines()) == 1
        assert TOKEN not in result.stderr
