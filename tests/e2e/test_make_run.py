"""`make run`, from the first start to the last signal, as a user lives through it."""

import json
import signal
import sqlite3
import subprocess
import urllib.error
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from tests.e2e.chapter import ACCURACY, REAL_DATA, SAMPLES, needs_real_data
from tests.e2e.conftest import free_port
from tests.e2e.hotserve_process import PATIENCE, eventually
from tests.e2e.stack import (
    Stack,
    make_run,
    make_run_environment,
    metrics_of,
    parameters_of,
    run_in_checkout,
)
from tests.support.commands import ROOT, completed

TOKEN = "abre-te-sesamo"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack after its first start on the shipped data set."""
    folder = tmp_path_factory.mktemp("make-run")
    with make_run(folder / "home", folder / "output") as started:
        started.wait_until_ready()
        yield started


def test_first_start_shows_a_line_for_each_run_and_no_wall_of_logs(stack: Stack) -> None:
    lines = stack.printed().splitlines()
    for test_size in ("0.1", "0.2", "0.3", "0.4", "0.5"):
        for include_names in ("sim", "não"):
            shown = [s for s in lines if test_size in s and include_names in s and "acuracia" in s]
            assert shown, f"no line for {test_size} {include_names}:\n{stack.printed()}"
    assert len(lines) < 60
    assert "Traceback" not in stack.printed()


def test_block_says_what_runs_where_and_how_good_it_is(stack: Stack) -> None:
    block = stack.printed().split("ready after")[1]
    assert f"http://localhost:{stack.mlflow_port}" in block
    assert f"http://localhost:{stack.serve_port}" in block
    assert "classificador-produtos version 1 (Production)" in block
    best = max(metrics_of(run)["acuracia_holdout"] for run in stack.runs())
    assert f"accuracy {best:.4f}" in block


def test_line_to_try_answers(stack: Stack) -> None:
    (line,) = [s for s in stack.printed().splitlines() if "curl" in s]
    command = line.split("try it")[1]
    answer = subprocess.run(["bash", "-c", command], capture_output=True, check=True).stdout
    assert json.loads(answer) == {"predictions": ["brinquedo"]}


def test_several_lines_give_as_many_predictions(stack: Stack) -> None:
    assert stack.predict("\n".join(SAMPLES)) == list(SAMPLES.values())


def test_sweep_is_ten_runs_and_one_version_in_production(stack: Stack) -> None:
    runs = stack.runs()
    tried = {(parameters_of(run)["test_size"], parameters_of(run)["include_names"]) for run in runs}
    assert len(runs) == len(tried) == 10
    assert {run["info"]["status"] for run in runs} == {"FINISHED"}
    (version,) = stack.versions()
    assert version["current_stage"] == "Production"
    best = max(runs, key=lambda run: metrics_of(run)["acuracia_holdout"])
    assert metrics_of(best)["acuracia_holdout"] == pytest.approx(
        next(
            metrics_of(run)["acuracia_holdout"]
            for run in runs
            if run["info"]["run_id"] == version["run_id"]
        )
    )


def test_no_process_only_waits_for_a_server(stack: Stack) -> None:
    for process in stack.processes():
        if is_main(process, "mlflow"):
            assert "uvicorn" in process.cmdline()
            assert process.children() == []
            return
    raise AssertionError("there is no MLflow")


def test_second_one_on_the_same_folder_is_refused(stack: Stack) -> None:
    code, output = refused(STACK_HOME=stack.home)
    assert code == 2
    assert "another `make run` uses the data folder" in output
    assert len(stack.predict("halo")) == 1


def test_port_in_use_is_named(stack: Stack, tmp_path: Path) -> None:
    code, output = refused(STACK_HOME=tmp_path / "home", MLFLOW_PORT=stack.mlflow_port)
    assert code == 2
    assert f"port {stack.mlflow_port} is in use" in output
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("service", ["mlflow", "hotserve"])
def test_a_service_that_somebody_ends_is_started_again(
    stack: Stack, service: str, number: signal.Signals
) -> None:
    """Even if it ends as it should when it is told to; and nothing of the one before is left."""

    def ones() -> set[psutil.Process]:
        return {each for each in stack.processes() if is_main(each, service)}

    def works() -> bool:
        try:
            return bool(stack.versions()) and stack.predict("boneca de pano") == ["brinquedo"]
        except OSError:
            return False

    before = ones()
    assert before
    started = {child for each in before for child in each.children(recursive=True)}
    for process in before:
        process.send_signal(number)
    eventually(lambda: bool(ones() - before) and not ones() & before, f"no other {service} comes")
    eventually(lambda: not any(each.is_running() for each in started), "its children are left")
    eventually(works, "it does not answer")


def is_main(process: psutil.Process, service: str) -> bool:
    """Whether it is what the stack starts for a service, and not a child of that."""
    try:
        command, parent = process.cmdline(), process.parent()
        names = [Path(part).name for part in command[:2]]
        if "mlflow.server.fastapi_app:app" in command:
            names.append("mlflow")
        starts = str(parent.cmdline()) if parent else ""
        return service in names and ("supervisord" in starts or "with-its-children" in starts)
    except psutil.Error:
        return False


def test_ctrl_c_leaves_nothing_and_the_next_start_picks_up(stack: Stack, tmp_path: Path) -> None:
    before = [(v["version"], v["run_id"], v["current_stage"]) for v in stack.versions()]
    runs = {run["info"]["run_id"] for run in stack.runs()}
    stack.stop(signal.SIGINT)
    assert stack.processes() == []
    with make_run(stack.home, tmp_path / "output", HOTSERVE_TOKEN=TOKEN) as again:
        again.wait_until_ready()
        assert TOKEN not in again.printed()
        assert [(v["version"], v["run_id"], v["current_stage"]) for v in again.versions()] == before
        assert {run["info"]["run_id"] for run in again.runs()} == runs
        assert len(again.predict("boneca de pano", TOKEN)) == 1
        with pytest.raises(urllib.error.HTTPError, match="401"):
            again.predict("boneca de pano")

        [launcher] = psutil.Process(again.process.pid).children()
        assert launcher.cmdline()[1:] == ["-m", "local"]
        launcher.send_signal(signal.SIGKILL)
        eventually(lambda: again.processes() == [], "processes are left")


@needs_real_data
def test_data_set_of_ones_own(tmp_path: Path) -> None:
    with make_run(tmp_path / "home", tmp_path / "output", DATASET=REAL_DATA) as stack:
        stack.wait_until_ready()
        with_names = [run for run in stack.runs() if parameters_of(run)["include_names"] == "sim"]
        assert len(with_names) == 5
        for run in with_names:
            chapter = ACCURACY[parameters_of(run)["test_size"]]
            # The harder sum: duplicates are out, products without a description are in.
            assert metrics_of(run)["acuracia"] >= chapter - 0.02
        (version,) = stack.versions()
        served = next(r for r in stack.runs() if r["info"]["run_id"] == version["run_id"])
        assert metrics_of(served)["acuracia_holdout"] >= 0.965
        assert stack.predict("\n".join(SAMPLES)) == list(SAMPLES.values())
        make = psutil.Process(stack.process.pid)
        make.send_signal(signal.SIGTERM)
        stack.process.wait(timeout=PATIENCE)
        assert stack.processes() == []


def test_ctrl_c_while_it_is_still_imported_is_the_end_without_a_word() -> None:
    program = (
        "import builtins, os, runpy, signal\n"
        "real = builtins.__import__\n"
        "def imported(name, *rest, **named):\n"
        "    if name == 'local.run':\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    return real(name, *rest, **named)\n"
        "builtins.__import__ = imported\n"
        "runpy.run_module('local', run_name='__main__')\n"
    )
    ended = completed([".venv/bin/python", "-c", program], cwd=ROOT)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")


def refused(**settings: object) -> tuple[int, str]:
    """Exit code and output of a `make run` that must not start."""
    given = {"MLFLOW_PORT": free_port(), "SERVE_PORT": free_port(), **settings}
    environment = make_run_environment() | {name: str(value) for name, value in given.items()}
    command = [".venv/bin/python", "-m", "local"]
    ended = run_in_checkout(command, env=environment, timeout=PATIENCE)
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("MLFLOW_PORT", "5000x", "MLFLOW_PORT=5000x: a port is a number from 1 to 65535"),
        ("SERVE_PORT", "65536", "SERVE_PORT=65536: a port is a number from 1 to 65535"),
        ("STACK_HOME", "/dev/null/home", "the data folder /dev/null/home cannot be written"),
        ("DATASET", "/no/such/produtos.csv", "/no/such/produtos.csv"),
        ("DATASET", "s3://a/b.csv", "dataset s3://a/b.csv: only paths and http(s) addresses"),
        ("DATASET", "http://[bad", "dataset http://[bad: this is no address that can be fetched"),
        ("HOTSERVE_TOKEN", "two words", "HOTSERVE_TOKEN must be visible ASCII"),
    ],
)
def test_bad_setting_is_one_line_and_nothing_starts(
    tmp_path: Path, name: str, value: str, complaint: str
) -> None:
    code, output = refused(**{"STACK_HOME": tmp_path / "home", name: value})
    assert code == 2
    assert complaint in output
    assert len(output.strip().splitlines()) == 1
    assert not (tmp_path / "home" / "mlflow.db").exists()


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("nome,descricao,categoria\nboneca,de pano,brinquedo\n", "tabela.csv"),
        (
            "nome;descricao;categoria\nb;;livro\nc;;livro\ne;;game\nf;;game",
            "4 products are too few to set some aside",
        ),
    ],
    ids=["no table", "a few products"],
)
def test_table_that_is_no_good_is_one_line_and_nothing_starts(
    tmp_path: Path, table: str, complaint: str
) -> None:
    file = tmp_path / "tabela.csv"
    file.write_text(table, encoding="utf-8")
    code, output = refused(STACK_HOME=tmp_path / "home", DATASET=file)
    assert code == 2
    assert complaint in output
    assert len(output.strip().splitlines()) == 1
    assert not (tmp_path / "home").exists()


def test_database_of_another_mlflow_is_said_at_once_with_the_command(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    uri = f"sqlite:///{home / 'mlflow.db'}"
    MlflowClient(uri).search_experiments()
    with closing(sqlite3.connect(home / "mlflow.db")) as database, database:
        # As an older MLflow left it.
        database.execute("UPDATE alembic_version SET version_num = '75868b020152'")
    code, output = refused(STACK_HOME=home)
    assert code == 1
    (line,) = [each for each in output.splitlines() if each.startswith("make run: ")]
    assert "mlflow.db was made by another version of MLflow" in line
    assert f".venv/bin/mlflow db upgrade '{uri}'" in line
