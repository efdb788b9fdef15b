"""Batch jobs in several processes, and what is left when one of them is stopped."""

import platform
import shutil
import signal
import subprocess
from pathlib import Path

import mlflow
import psutil
import pytest
from mlflow import MlflowClient

from produtos.io.rows import CHUNK_ROWS
from tests.e2e.batch_jobs import EXPERIMENT, BatchJobs
from tests.e2e.hotserve_process import PATIENCE, eventually
from tests.e2e.two_versions.products import answers, products


def test_several_processes_keep_the_order_and_agree_with_one(
    batch: BatchJobs, tmp_path: Path
) -> None:
    products(tmp_path / "muitos.csv", 3 * CHUNK_ROWS + 1)
    # The path of a socket may be no longer than 107 characters.
    temporary = tmp_path / ("temporário" * 10)
    temporary.mkdir()
    for workers in ("3", "1"):
        arguments = ("--input", "muitos.csv", "--output", f"{workers}.csv", "--workers", workers)
        batch.done(*arguments, TMPDIR=str(temporary))
    assert not list(temporary.iterdir())
    many = answers(tmp_path / "3.csv")
    assert [row["id"] for row in many] == [str(n) for n in range(3 * CHUNK_ROWS + 1)]
    assert many == answers(tmp_path / "1.csv")


def test_a_model_that_is_no_classifier_of_texts(batch: BatchJobs, tmp_path: Path) -> None:
    (tmp_path / "modelo").mkdir()
    model = tmp_path / "modelo" / "tres.py"
    model.write_text(
        "import mlflow\n"
        "class Three(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n"
        "        return [3]\n"
        "mlflow.models.set_model(Three())\n",
        encoding="utf-8",
    )
    mlflow.set_experiment(EXPERIMENT)
    mlflow.pyfunc.log_model(
        name="tres", python_model=str(model), registered_model_name="tres", pip_requirements=[]
    )
    # With the bytecode that Python may have put beside it.
    shutil.rmtree(model.parent)

    asked = ("--model", "models:/tres/1")
    assert "gave 1 answers for 2 texts" in batch.refused(*asked, "halo", "boneca")
    products(tmp_path / "muitos.csv", 2 * CHUNK_ROWS)
    many = ("--input", "muitos.csv", "--output", "a.csv", "--workers", "2")
    said = batch.refused(*asked, *many)
    assert "gave 1 answers for 5000 texts" in said
    assert [path.name for path in tmp_path.iterdir()] == ["muitos.csv"]
    assert batch.last_run().info.status == "FAILED"


def children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def under_way(batch: BatchJobs) -> subprocess.Popen[str]:
    """A job with two workers that has begun to write its output."""
    source = products(batch.folder / "muitos.csv", 400_000)
    return batch.under_way("--input", source.name, "--workers", "2")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_job_that_is_stopped_leaves_no_output_and_no_process(
    batch: BatchJobs, client: MlflowClient, number: signal.Signals, tmp_path: Path
) -> None:
    process = under_way(batch)
    family = children(process)
    assert len(family) >= 2
    process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE)
    _, alive = psutil.wait_procs(family, timeout=PATIENCE)
    assert not alive
    assert not (tmp_path / "saida.csv").exists()
    run_id = batch.last_run().info.run_id
    if number == signal.SIGKILL:
        # It could not say so; the next job does.
        (tmp_path / "um.csv").write_text("nome\nhalo\n", encoding="utf-8")
        batch.done("--input", "um.csv", "--output", "outra.csv")
    else:
        assert process.returncode == 128 + number
        assert said == ""
        assert [path.name for path in tmp_path.iterdir()] == ["muitos.csv"]
    assert client.get_run(run_id).info.status == "KILLED"


READ, WRITE = "0", "1"


def is_in(call: str, process: psutil.Process) -> bool:
    """Whether it waits in the system call of that number."""
    return Path(f"/proc/{process.pid}/syscall").read_text().split()[0] == call


@pytest.mark.skipif(platform.machine() != "x86_64", reason="system calls have other numbers here")
def test_a_worker_that_is_killed_ends_the_job_with_one_line(
    batch: BatchJobs, tmp_path: Path
) -> None:
    process = under_way(batch)
    # Nobody takes answers now: where they do not fit into the pipe, a worker stops in mid-answer.
    process.send_signal(signal.SIGSTOP)
    # Workers are children of the fork server.
    workers = [each for each in children(process) if each.ppid() != process.pid]
    eventually(
        lambda: (
            any(is_in(WRITE, each) for each in workers)
            or all(is_in(READ, each) for each in workers)
        ),
        "no worker waits for the job",
    )
    next((each for each in workers if is_in(WRITE, each)), workers[0]).kill()
    process.send_signal(signal.SIGCONT)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert "a worker process was killed" in said
    assert len(said.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["muitos.csv"]
    assert batch.last_run().info.status == "FAILED"
