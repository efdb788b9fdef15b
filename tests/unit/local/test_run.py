"""What `make run` does around its process runner, from the start to the last signal."""

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local import run, services, summary
from local.settings import ROOT, Settings
from tests.unit.local.runner import runner_that_ended


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


ANOTHER_MLFLOW = {
    # What a sheet of a class sets.
    **dict.fromkeys(("REGISTERED_MODEL_NAME", "MLFLOW_EXPERIMENT_NAME"), "ana-lucia"),
    "MLFLOW_TRACKING_USERNAME": "ana-lucia",
    "MLFLOW_TRACKING_PASSWORD": "segredo",
    # What a company's client or server has.
    "MLFLOW_REGISTRY_URI": "http://elsewhere:5000",
    "MLFLOW_REGISTRY_STORE_URI": "mysql+pymysql://elsewhere/mlflow",
    "MLFLOW_DEFAULT_ARTIFACT_ROOT": "s3://elsewhere",
    "MLFLOW_RUN_ID": "0a1b",
    "MLFLOW_WORKSPACE": "outra",
}


def test_services_are_told_nothing_of_another_mlflow(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ANOTHER_MLFLOW.items():
        monkeypatch.setenv(name, value)
    environment = run._environment(chosen, chosen.home / "runtime")
    assert ANOTHER_MLFLOW.keys() & environment.keys() == set()


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


def test_a_terminal_without_a_character_is_no_reason_to_end(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a locale of Latin-1; what the services write is read as UTF-8 all the same."""
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="iso8859-1", write_through=True)
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("local.settings.check_port", lambda *_: None)
    monkeypatch.setattr("local.settings.check_dataset", lambda _: None)
    monkeypatch.setattr("local.settings.read", lambda _: chosen)
    monkeypatch.setattr(run, "CONFIGURATION", chosen.home / "nowhere.conf")

    def watch(_chosen: Settings, _runner: services.Services) -> None:
        print("São Tomé …")
        raise run.Stopped

    monkeypatch.setattr(run, "_watch", watch)
    assert run.main() == 0
    assert terminal.buffer.getvalue().decode("iso8859-1").startswith("São Tomé ?\n")
    monkeypatch.setenv("PYTHONIOENCODING", "iso8859-1")
    environment = run._environment(chosen, chosen.home / "runtime")
    assert environment["PYTHONIOENCODING"] == "utf-8"


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
