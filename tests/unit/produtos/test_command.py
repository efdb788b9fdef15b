"""What every entry point of the trainer does around its own work."""

import errno
import http.server
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable
from contextlib import closing

import pytest
import requests

from produtos import command
from produtos.errors import BadInput, Stopped, in_one_line
from produtos.runs import tracking
from tests.support.commands import ROOT
from tests.support.threads import Quiet, serving

FULL = "a disk is full; make room, or set TMPDIR to a folder on another one (now TEMPORARY)"
Run = Callable[[Callable[[], None]], tuple[object, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process, which stays as it was; its exit code and standard error."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(sys, "argv", ["/somewhere/train.py"])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    os.environ.pop("TRAINER_DEBUG", None)

    def run(main: Callable[[], None]) -> tuple[object, str]:
        with pytest.raises(SystemExit) as end:
            command.run(main)
        return end.value.code, capsys.readouterr().err

    return run


def raising(error: BaseException) -> Callable[[], None]:
    def main() -> None:
        raise error

    return main


@pytest.mark.parametrize("error", [BadInput("test_size 7: must be below 1"), SystemExit(2)])
def test_a_run_that_mlflow_made_is_tidied_where_its_parameters_are_wrong(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    reached: list[str] = []
    monkeypatch.setattr(tracking, "reach", lambda: reached.append(os.environ["MLFLOW_RUN_ID"]))
    assert run(raising(error))[0] == 2
    assert reached == []
    os.environ["MLFLOW_RUN_ID"] = "1a"
    assert run(raising(error))[0] == 2
    assert reached == ["1a"]


def test_what_went_well_says_nothing(run: Run) -> None:
    assert run(lambda: None) == (0, "")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (BadInput("dataset x.csv: empty"), 2, "train.py: dataset x.csv: empty\n"),
        (Stopped(15), 143, ""),
        (
            requests.ConnectionError("no route"),
            2,
            "train.py: the tracking server could not do it: no route\n",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            2,
            f"train.py: {FULL}\n",
        ),
        (
            KeyError("x"),
            1,
            "train.py: KeyError: 'x' (an error of this program; TRAINER_DEBUG=1 shows where)\n",
        ),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    run: Run, error: BaseException, code: int, line: str
) -> None:
    assert run(raising(error)) == (code, line.replace("TEMPORARY", tempfile.gettempdir()))


def test_sqlite_has_its_temporary_files_where_python_has_them(run: Run) -> None:
    os.environ.pop("TMPDIR", None)
    folders: list[str | None] = []
    run(lambda: folders.append(os.environ.get("TMPDIR")))
    assert folders == [tempfile.gettempdir()]


def test_a_disk_that_is_full_of_what_sqlite_writes_is_the_same_line(run: Run) -> None:
    def fill() -> None:
        with closing(sqlite3.connect("")) as database:
            database.execute("PRAGMA max_page_count = 2")
            database.execute("CREATE TABLE texts (text TEXT)")
            database.execute("INSERT INTO texts VALUES (?)", ("halo " * 4_000,))

    assert run(fill) == (2, f"train.py: {FULL}\n".replace("TEMPORARY", tempfile.gettempdir()))


def test_no_place_for_temporary_files_is_a_full_disk_and_no_error_of_this_program(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    code, said = run(lambda: None)
    assert code == 2
    assert "most likely because a disk is full; make room, or set TMPDIR" in said
    assert "program" not in said


def test_a_terminal_without_a_character_shows_a_question_mark() -> None:
    program = "from produtos import command; command.run(lambda: print('São Tomé …'))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONIOENCODING": "iso8859-1", "PYTHONPATH": str(ROOT / "trainer")},
        capture_output=True,
    )
    assert (done.returncode, done.stdout.decode("iso8859-1")) == (0, "São Tomé ?\n"), done.stderr


def test_a_package_that_is_not_there_is_named(run: Run) -> None:
    code, said = run(raising(ModuleNotFoundError(name="pandas")))
    assert code == 2
    assert said.startswith("train.py: pandas is not installed for ")


def test_a_traceback_is_shown_to_who_asks_for_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    del run
    monkeypatch.setitem(os.environ, "TRAINER_DEBUG", "1")
    with pytest.raises(KeyError):
        command.run(raising(KeyError("x")))
    with pytest.raises(SystemExit):
        command.run(raising(BadInput("x")))


def test_what_the_user_has_set_stays(run: Run) -> None:
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "5"
    os.environ.pop("OMP_NUM_THREADS", None)
    run(lambda: None)
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "5"
    assert os.environ["OMP_NUM_THREADS"] == "1"


def test_no_proxy_is_asked_for_this_machine(run: Run) -> None:
    class Handler(Quiet):
        def do_GET(self) -> None:
            self.send_response(204)
            self.end_headers()

    for name in ("http_proxy", "HTTP_PROXY"):
        os.environ[name] = "http://127.0.0.1:1"
    os.environ.pop("no_proxy", None)
    os.environ["NO_PROXY"] = "intranet.example"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def main() -> None:
        for host in ("127.0.0.1", "localhost"):
            url = f"http://{host}:{server.server_port}/"
            assert requests.get(url, timeout=10).status_code == 204
            assert urllib.request.build_opener().open(url, timeout=10).status == 204
        for host in ("intranet.example", "[::1]:5000"):
            assert requests.utils.should_bypass_proxies(f"http://{host}/", None)
            assert urllib.request.proxy_bypass(host)
        assert not urllib.request.proxy_bypass("dados.example")

    with serving(server):
        assert run(main) == (0, "")


def test_who_wants_no_proxy_at_all_has_none(run: Run) -> None:
    os.environ.pop("NO_PROXY", None)
    os.environ["no_proxy"] = "*"
    run(lambda: None)
    assert os.environ["no_proxy"] == "*"


def test_a_long_error_keeps_its_reason_which_comes_last(run: Run) -> None:
    """MLflow's begins with an address of some two hundred characters."""
    text = f"PUT http://mlflow:5000/{'m' * 500}: too many 500 error responses"
    code, said = run(raising(requests.ConnectionError(text)))
    assert code == 2
    assert "the tracking server could not do it: PUT http://mlflow:5000/" in said
    assert said.endswith("too many 500 error responses\n")
    assert len(said) < 500


def test_an_error_of_a_library_repeats_no_secret() -> None:
    said = in_one_line(
        ValueError("cannot get 'http://maria:SECRET@mlflow/x?X-Amz-Signature=SECRET'\n(refused)")
    )
    assert said == "cannot get 'http://mlflow/x?X-Amz-Signature=…' (refused)"
    assert in_one_line(KeyError()) == "KeyError"


@pytest.mark.parametrize(
    ("number", "ignored", "code"),
    [(signal.SIGTERM, False, 143), (signal.SIGHUP, False, 129), (signal.SIGHUP, True, 0)],
)
def test_a_signal_ends_a_command_but_not_what_nohup_started(
    number: signal.Signals, ignored: bool, code: int
) -> None:
    program = (
        "import os, signal\n"
        f"if {ignored}: signal.signal({int(number)}, signal.SIG_IGN)\n"
        "from produtos import command\n"
        f"command.run(lambda: os.kill(os.getpid(), {int(number)}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT / "trainer", check=False)
    assert done.returncode == code


def test_who_has_read_enough_ends_a_command_without_a_word() -> None:
    program = "from produtos import command; command.run(lambda: print('x' * 1_000_000))"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT / "trainer",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.read(1) == "x"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 128 + signal.SIGPIPE
