"""What `make run` says when its process runner or a service of it will not go on."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import run, services, summary
from local.settings import Settings, short


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
            runner.check(chosen.logs)
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
        while not runner._states():
            pass
    assert list(long.iterdir()) == []


def test_process_runner_that_says_nothing_is_told_by_its_code(chosen: Settings) -> None:
    with pytest.raises(services.ServicesError, match=r"ended with code 2 \(its log: dados/logs/"):
        runner_that_ended(chosen, "").check(chosen.logs)


def test_paths_in_the_current_folder_are_short(chosen: Settings) -> None:
    assert short(chosen.logs) == "dados/logs"
    assert short(Path(os.sep, "elsewhere")) == "/elsewhere"


def test_block_names_the_logs_as_the_readme_shows_them(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = {"name": "classificador-produtos", "version": "1", "stage": "Production"}
    monkeypatch.setattr(summary, "_get", lambda *_, **__: served)
    assert "  logs     dados/logs\n" in (summary.summary(chosen, 1.0) or "")


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
    monkeypatch.setattr(runner, "_states", lambda: {"trainer": ended})
    (chosen.logs / "trainer.log").write_text("wait-for-it.sh: time-out: no answer\n")
    with pytest.raises(services.ServicesError) as told:
        runner.trainer_has_finished(chosen.logs)
    assert "wait-for-it.sh: time-out: no answer" in str(told.value)
    assert ("dados/logs/mlflow.log" in str(told.value)) is points_there


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

    def check(_logs: Path) -> None:
        if next(looks, None) is None:
            raise run.Stopped(2)

    runner = runner_that_ended(chosen, "")
    monkeypatch.setattr(runner, "trainer_has_finished", lambda _: True)
    monkeypatch.setattr(runner, "check", check)
    with pytest.raises(run.Stopped):
        run._watch(chosen, runner)
    waits = [line for line in capsys.readouterr().out.splitlines() if "the API waits" in line]
    assert waits == ([f"the API waits: {said}"] if said else [])


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
def test_runner_is_stopped_when_nobody_can_be_told(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch
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
    with nobody_reads(), pytest.raises(run.Stopped), run._supervisord(chosen) as runner:
        raise run.Stopped(1)
    assert runner._process.returncode is not None
    assert not runtime.exists()
