"""What `make run` says when its process runner or a service of it will not go on."""

import contextlib
import http.server
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from local import run, services, summary
from local.settings import ROOT, Settings, short


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """The stop of a stack has its process ignore further ones; this process goes on."""
    before = {
        number: signal.getsignal(number)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A data folder in the current folder, which has no logs yet."""
    monkeypatch.chdir(tmp_path)
    settings = Settings(5000, 8080, tmp_path / "dados", "produtos.csv")
    settings.logs.mkdir(parents=True)
    return settings


def runner_that_ended(chosen: Settings, said: str) -> services.Services:
    """A process runner that wrote a text and ended with code 2."""
    console = chosen.logs / run.CONSOLE
    console.write_text(said, encoding="utf-8")
    process = subprocess.Popen(["bash", "-c", "exit 2"])
    process.wait()
    return services.Services(chosen.home / "no-socket", process, console)


def test_process_runner_that_cannot_start_says_why_in_one_line(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    configuration = chosen.home / "errada.conf"
    configuration.write_text("[supervisord]\nnodaemon=talvez\n", encoding="utf-8")
    monkeypatch.setattr(run, "CONFIGURATION", configuration)
    with run._supervisord(chosen) as runner:
        runner._process.wait()
        with pytest.raises(services.ServicesError) as told:
            runner.states()
    assert "ended with code 2: Error: not a valid boolean value: 'talvez'" in str(told.value)
    assert f"dados/logs/{run.CONSOLE}" in str(told.value)
    # Nothing of its own on the terminal: that is the user's.
    assert capfd.readouterr() == ("", "")


def test_process_runner_starts_with_a_long_tmpdir(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket's path may have 107 characters at most."""
    long = chosen.home / ("temporario" * 10)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    configuration = chosen.home / "leer.conf"
    configuration.write_text(
        "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\n"
        "pidfile=%(ENV_STACK_RUNTIME)s/pid\n"
        "[unix_http_server]\nfile=%(ENV_STACK_RUNTIME)s/supervisor.sock\n"
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        "[program:trainer]\ncommand=sleep 600\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(run, "CONFIGURATION", configuration)
    with run._supervisord(chosen) as runner:
        while not runner.states():
            pass
    assert list(long.iterdir()) == []


def test_process_runner_that_says_nothing_is_told_by_its_code(chosen: Settings) -> None:
    with pytest.raises(services.ServicesError, match=r"ended with code 2 \(its log: dados/logs/"):
        runner_that_ended(chosen, "").states()


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


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "localhost,127.0.0.1,::1"),
        ({"NO_PROXY": "intranet"}, "intranet,localhost,127.0.0.1,::1"),
        ({"NO_PROXY": "a", "no_proxy": "b"}, "b,localhost,127.0.0.1,::1"),
        # Libraries know the star only when it stands alone.
        ({"no_proxy": "*"}, "*"),
    ],
)
def test_services_ask_no_proxy_for_this_machine(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    environment = run._environment(chosen, chosen.home / "runtime")
    assert (environment["no_proxy"], environment["NO_PROXY"]) == (expected, expected)


def test_environment_of_the_services(chosen: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "true")
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere:5000")
    environment = run._environment(chosen, chosen.home / "runtime")
    assert environment["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:5000"
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "true"
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert environment["STACK_HOME"] == str(chosen.home)
    assert environment["HOTSERVE_CACHE"] == str(chosen.home / "hotserve")
    assert (environment["MLFLOW_PORT"], environment["SERVE_PORT"]) == ("5000", "8080")


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


@pytest.mark.parametrize(("code", "points_there"), [(124, True), (2, False)])
def test_log_of_mlflow_is_named_when_mlflow_is_what_does_not_answer(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch, code: int, points_there: bool
) -> None:
    runner = runner_that_ended(chosen, "")
    ended = {"name": "trainer", "statename": "EXITED", "exitstatus": code}
    monkeypatch.setattr(runner, "states", lambda: {"trainer": ended})
    (chosen.logs / "trainer.log").write_text("wait-for-it.sh: time-out: no answer\n")
    with pytest.raises(services.ServicesError) as told:
        runner.trained(chosen, mlflow_answered=False)
    assert "wait-for-it.sh: time-out: no answer" in str(told.value)
    assert ("dados/logs/mlflow.log" in str(told.value)) is points_there


RUNNING = {"statename": "RUNNING", "exitstatus": 0, "stop": 0}
OUT_OF_DATE = (
    "Traceback (most recent call last):\n"
    "mlflow.exceptions.MlflowException: Detected out-of-date database schema (found version 1, but"
    " expected 2). Take a backup of your database, then run 'mlflow db upgrade <database_uri>'\n"
)


def states(**changed: Mapping[str, object]) -> dict[str, dict[str, object]]:
    names = ("mlflow", "trainer", "classificador-produtos")
    return {name: {**RUNNING, **changed.get(name, {})} for name in names}


def test_services_that_run_are_left_alone(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = runner_that_ended(chosen, "")
    for found, trained in (
        ({}, False),
        (states(), False),
        (states(trainer={"statename": "EXITED"}), True),
        # It is started again: that passes by itself.
        (states(mlflow={"stop": 1764000000}, trainer={"statename": "EXITED"}), True),
    ):
        monkeypatch.setattr(runner, "states", lambda found=found: found)
        assert runner.trained(chosen, mlflow_answered=True) is trained


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (OUT_OF_DATE, "the database dados/mlflow.db was made by another version of MLflow; "),
        ("ValueError: no\nmore\n", "mlflow could not go on: ValueError: no (its log: dados/logs/m"),
        ("Killed\n", "mlflow could not go on: Killed (its log: dados/logs/mlflow.log)"),
    ],
)
def test_mlflow_that_ends_before_it_answered_is_the_end(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch, log: str, reason: str
) -> None:
    runner = runner_that_ended(chosen, "")
    (chosen.logs / "mlflow.log").write_text(log)
    monkeypatch.setattr(runner, "states", lambda: states(mlflow={"stop": 1764000000}))
    with pytest.raises(services.ServicesError) as told:
        runner.trained(chosen, mlflow_answered=False)
    assert str(told.value).startswith(reason)
    assert ("mlflow db upgrade 'sqlite:///" in str(told.value)) is (log == OUT_OF_DATE)


@pytest.mark.parametrize("name", ["mlflow", "classificador-produtos"])
def test_a_service_that_was_given_up_is_the_end(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    runner = runner_that_ended(chosen, "")
    given_up = {"statename": "FATAL", "spawnerr": "can't find command 'hotserve'"}
    monkeypatch.setattr(runner, "states", lambda: states(**{name: given_up}))
    with pytest.raises(services.ServicesError, match=f"{name} could not go on: can't find comm"):
        runner.trained(chosen, mlflow_answered=True)


WAITING = {"version": None, "state": "waiting", "message": "no version is in Production yet"}
BROKEN = {
    "version": None,
    "state": "waiting",
    "message": "no version has started yet",
    "wanted": {"version": "1", "state": "failed"},
    "last_error": {"version": "1", "message": "its files are gone"},
}


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (WAITING, "no version is in Production yet"),
        (BROKEN, "version 1 does not start: its files are gone"),
        ({"version": None, "state": "starting", "message": "version 1 is starting"}, None),
        (None, None),
    ],
)
def test_what_the_api_waits_for_is_told_once(
    chosen: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model: dict[str, object] | None,
    said: str | None,
) -> None:
    monkeypatch.setattr(summary, "_get", lambda *_, **__: model)
    monkeypatch.setattr(run, "NOTICED_WITHIN", -1)
    monkeypatch.setattr(run, "POLL_SECONDS", 0)
    looks = iter(range(3))

    def trained(_chosen: Settings, *, mlflow_answered: bool) -> bool:
        assert not mlflow_answered
        if next(looks, None) is None:
            raise run.Stopped
        return True

    progress: list[str] = []
    monkeypatch.setattr(
        "local.progress.ProgressOutput.wait_for", lambda _, what: progress.append(what)
    )
    runner = runner_that_ended(chosen, "")
    monkeypatch.setattr(runner, "trained", trained)
    with pytest.raises(run.Stopped):
        run._watch(chosen, runner)
    assert bool(progress) == (said is None)
    waits = [line for line in capsys.readouterr().out.splitlines() if "the API waits" in line]
    assert waits == ([f"the API waits: {said}"] if said else [])


@pytest.mark.parametrize(
    ("trainer_wrote", "trained", "said"),
    [
        ("", False, "MLflow is starting"),
        ("training\n", False, "the trainer is at work"),
        ("training\n", True, "the API fetches the model and starts it"),
    ],
)
def test_what_the_start_waits_for_is_shown(
    chosen: Settings,
    monkeypatch: pytest.MonkeyPatch,
    trainer_wrote: str,
    trained: bool,
    said: str,
) -> None:
    monkeypatch.setattr(summary, "_get", lambda *_, **__: None)
    shown: list[str] = []
    monkeypatch.setattr(
        "local.progress.ProgressOutput.wait_for", lambda _, what: shown.append(what)
    )

    def stop(_seconds: float) -> None:
        raise run.Stopped

    monkeypatch.setattr(time, "sleep", stop)
    (chosen.logs / run.PROGRESS).write_text(trainer_wrote, "utf-8")
    runner = runner_that_ended(chosen, "")
    monkeypatch.setattr(runner, "trained", lambda *_, **__: trained)
    with pytest.raises(run.Stopped):
        run._watch(chosen, runner)
    assert shown == [said]


def test_what_the_trainer_says_and_how_long_it_took_is_told_here_and_at_the_next_start(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "summary", lambda *_, **__: "the API answers\n")
    (chosen.logs / run.PROGRESS).write_text("ten runs\n", "utf-8")
    runner = runner_that_ended(chosen, "")
    monkeypatch.setattr(runner, "trained", lambda *_, **__: True)

    def watched() -> str:
        with pytest.raises(run.Stopped):
            run._watch(chosen, runner)
        return capsys.readouterr().out

    def stop(_seconds: float) -> None:
        raise run.Stopped

    monkeypatch.setattr(time, "sleep", stop)
    assert "then ten models are trained" in watched()
    second = watched()
    assert "then the API; the last start took 0 s" in second
    assert second.endswith("ten runs\nthe API answers\n\n")


def test_a_full_disk_is_told(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runner = runner_that_ended(chosen, "")
    monkeypatch.setattr("local.settings.read", lambda _: chosen)
    monkeypatch.setattr("local.settings.check_port", lambda *_: None)
    monkeypatch.setattr("local.settings.check_dataset", lambda _: None)
    monkeypatch.setattr(run, "_supervisord", lambda _: contextlib.nullcontext(runner))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert run.main() == 1
    assert "disk" not in capsys.readouterr().err

    full = shutil.disk_usage(chosen.home)._replace(free=0)
    monkeypatch.setattr("shutil.disk_usage", lambda _: full)
    assert run.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("; the disk is full: make room where dados is, and start again")


def test_a_data_folder_that_was_taken_away_hides_no_other_reason(tmp_path: Path) -> None:
    assert run._full_disk(tmp_path / "gone") == ""


@contextlib.contextmanager
def nobody_reads() -> Iterator[None]:
    """What is printed goes into a pipe that is closed at its other end."""
    reading, writing = os.pipe()
    os.close(reading)
    stdout = os.fdopen(writing, "w")
    with contextlib.redirect_stdout(stdout):
        yield
    with contextlib.suppress(OSError):
        stdout.close()


def test_end_of_who_reads_is_the_end(chosen: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.settings.read", lambda _: chosen)
    monkeypatch.setattr("local.settings.check_port", lambda *_: None)
    monkeypatch.setattr("local.settings.check_dataset", lambda _: None)
    monkeypatch.setattr(run, "_supervisord", lambda _: contextlib.nullcontext(None))
    with nobody_reads():
        assert run.main() == 0


@pytest.mark.timeout(60)
@pytest.mark.parametrize("reader", [contextlib.nullcontext, nobody_reads])
def test_runner_is_stopped_even_when_nobody_can_be_told(
    chosen: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    reader: Callable[[], contextlib.AbstractContextManager[None]],
) -> None:
    configuration = chosen.home / "nada.conf"
    configuration.write_text(
        "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=%(here)s/pid\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(run, "CONFIGURATION", configuration)
    runtime = chosen.home / "runtime"
    runtime.mkdir()
    monkeypatch.setattr("tempfile.mkdtemp", lambda **_: str(runtime))
    with reader(), pytest.raises(run.Stopped), run._supervisord(chosen) as runner:
        raise run.Stopped
    assert ("stopping …\n" in capsys.readouterr().out) == (reader is not nobody_reads)
    assert runner._process.returncode is not None
    assert not runtime.exists()


def test_what_nobody_reads_is_no_complaint_at_the_end() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    code = (
        "from local import run\n"
        "def read(environment): print('to nobody'); raise BrokenPipeError\n"
        "run.settings_module.read = read\n"
        "raise SystemExit(run.main())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=writes,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": ""},
    )
    os.close(writes)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_second_signal_does_not_cut_the_stop_short() -> None:
    for number in run.STOPPING:
        signal.signal(number, run._stop)
    with pytest.raises(run.Stopped):
        run._stop(signal.SIGINT, None)
    assert {signal.getsignal(number) for number in run.STOPPING} == {signal.SIG_IGN}


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
