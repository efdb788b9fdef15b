"""Training, comparing and registering, against a real tracking server."""

import json
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow.entities import Run

from produtos.registry import registry
from produtos.runs.outcome import HOLDOUT_DIGEST
from tests.e2e.chapter import ACCURACY, REAL_DATA, SAMPLES, needs_real_data
from tests.e2e.conftest import MlflowServer, pointed_at
from tests.e2e.trainer_commands import NAME, Trainer, command, small_table
from tests.support.commands import ROOT, completed


@pytest.fixture(scope="module")
def trainer(
    mlflow_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Trainer]:
    table = small_table(tmp_path_factory.mktemp("trainer") / "small.csv")
    with pointed_at(mlflow_server) as client:
        yield Trainer(mlflow_server, client, table)


@pytest.fixture(scope="module")
def recorded(trainer: Trainer) -> Run:
    trainer.done(
        "train",
        *("--test-size", "0.3", "--include-names", "nao", "--dataset", trainer.small),
        MLFLOW_EXPERIMENT_NAME="one-run",
    )
    (recorded,) = trainer.runs("one-run")
    return recorded


class TestOneRun:
    def test_parameters_and_figures(self, recorded: Run, trainer: Trainer) -> None:
        assert recorded.info.status == "FINISHED"
        assert recorded.data.params == {
            "test_size": "0.3",
            # As `mlflow run` records it.
            "include_names": "'não'",
            "strip_accents": "sim",
            "classifier": "naive_bayes",
            "dataset": str(trainer.small),
            "alpha": "auto",
            "ngrams": "1",
            "streaming": "'não'",
        }
        metrics = recorded.data.metrics
        for name in ("acuracia", "f1_macro", "acuracia_holdout", "f1_macro_holdout"):
            assert 0.5 < metrics[name] <= 1
        assert metrics["rows_read"] == 402
        assert metrics["rows_dropped_repeated"] == 1
        assert metrics["rows_dropped_no_text"] == 1
        used = sum(metrics[f"rows_{part}"] for part in ("train", "test", "holdout"))
        left_out = sum(v for name, v in metrics.items() if name.startswith("rows_left_out_"))
        assert used + left_out == 400

    def test_the_data_set_as_a_file_and_as_mlflow_knows_one(
        self, trainer: Trainer, recorded: Run, tmp_path: Path
    ) -> None:
        path = trainer.client.download_artifacts(recorded.info.run_id, "dataset", str(tmp_path))
        assert Path(path, "produtos.csv").read_bytes() == trainer.small.read_bytes()
        report = json.loads(Path(path, "report.json").read_text("utf-8"))
        assert report["rows_dropped"]["no_text"] == {
            "meaning": "without a text",
            "rows": 1,
            "lines": [403],
        }
        assert recorded.inputs
        purposes = {
            tag.value: entry.dataset.name
            for entry in recorded.inputs.dataset_inputs
            for tag in entry.tags
        }
        assert purposes == {"training": "produtos", "holdout": "holdout"}

    def test_in_blocks_from_a_folder(self, trainer: Trainer, recorded: Run, tmp_path: Path) -> None:
        header, *rows = trainer.small.read_text("utf-8").splitlines(keepends=True)
        for name, some in (("a", rows[:200]), ("b", rows[200:])):
            (tmp_path / f"{name}.csv").write_text("".join([header, *some]), "utf-8")
        options = ("--streaming", "--include-names", "nao", "--dataset", tmp_path)
        done = trainer.done("train", *options, MLFLOW_EXPERIMENT_NAME="in-blocks")
        assert f"{tmp_path}: 402 rows, 400 products, 4 categories; left out: 1" in done
        (made,) = trainer.runs("in-blocks")
        assert made.data.tags["holdout_digest"] == recorded.data.tags["holdout_digest"]
        assert trainer.artifacts(made.info.run_id) == trainer.artifacts(recorded.info.run_id) - {
            "dataset/produtos.csv"
        }
        model = mlflow.pyfunc.load_model(f"runs:/{made.info.run_id}/modelo")
        assert list(model.predict(["de pano", "halo"])) == ["brinquedo", "game"]

    def test_pictures_and_reports(self, trainer: Trainer, recorded: Run) -> None:
        assert trainer.artifacts(recorded.info.run_id) >= {
            "evaluation/confusion_matrix.png",
            "evaluation/report.png",
            "evaluation/confusion_matrix_test.json",
            "evaluation/confusion_matrix_holdout.json",
            "evaluation/report_test.json",
            "evaluation/report_holdout.json",
        }

    def test_the_model(self, trainer: Trainer, recorded: Run) -> None:
        assert recorded.outputs
        (output,) = recorded.outputs.model_outputs
        logged = trainer.client.get_logged_model(output.model_id)
        assert logged.name == "modelo"
        assert logged.experiment_id == recorded.info.experiment_id
        assert logged.params["include_names"] == "'não'"
        assert {metric.key for metric in logged.metrics or []} >= {"acuracia", "acuracia_holdout"}
        model = mlflow.pyfunc.load_model(f"runs:/{recorded.info.run_id}/modelo")
        assert list(model.predict(["boneca de pano", "halo"])) == ["brinquedo", "game"]

    @pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is not a git checkout")
    def test_the_git_commit(self, recorded: Run) -> None:
        head = completed(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True)
        assert len(recorded.data.tags["mlflow.source.git.commit"]) == len(head.stdout.strip())


def test_mlflow_run_uses_the_run_that_it_made(trainer: Trainer) -> None:
    mlflow_run = partial(trainer.server.mlflow_run, "main", "project", dataset=trainer.small)
    done = mlflow_run(test_size=0.3, include_names="não")
    assert done.returncode == 0, done.stderr
    (only,) = trainer.runs("project")
    assert only.info.status == "FINISHED"
    assert "acuracia_holdout" in only.data.metrics
    assert only.data.tags["mlflow.source.type"] == "PROJECT"
    assert only.outputs
    assert only.outputs.model_outputs

    refused = mlflow_run(test_size=2)
    assert refused.returncode != 0
    assert "must be a number between 0 and 1" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert sorted(r.info.status for r in trainer.runs("project")) == ["FAILED", "FINISHED"]


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)],
    ids=["SIGTERM", "SIGINT", "SIGHUP"],
)
def test_told_to_stop_it_closes_its_runs(
    trainer: Trainer, number: signal.Signals, code: int
) -> None:
    experiment = f"stopped-{code}"
    with subprocess.Popen(
        command("sweep", "--dataset", trainer.small),
        env=trainer.server.environment(MLFLOW_EXPERIMENT_NAME=experiment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        for line in process.stdout:
            if line.startswith(" 2/10"):
                process.send_signal(number)
                break
        process.stdout.read()
        assert process.stderr.read() == ""
        assert process.wait() == code
    found = Counter(r.info.status for r in trainer.runs(experiment))
    assert found["RUNNING"] == 0
    assert found["KILLED"] >= 1
    assert found["FINISHED"] >= 2


@pytest.mark.parametrize(
    ("entry", "arguments", "said"),
    [
        ("train", ["--test-size", "1.5"], "must be a number between 0 and 1"),
        ("train", ["--test-size", "muito"], "must be a number between 0 and 1"),
        ("train", ["--include-names", "talvez"], "must be sim or não"),
        ("train", ["--dataset", "nada.csv"], "no such file"),
        ("sweep", ["--dataset", "nada.csv"], "no such file"),
        ("sweep", ["--check-only", "--dataset", "nada.csv"], "no such file"),
        ("sweep", ["--promote", "talvez"], "must be sim or não"),
        ("train", ["--test-size", "0.999"], "too few to train on all 4 categories"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    trainer: Trainer, entry: str, arguments: list[str], said: str
) -> None:
    before = trainer.statuses(), len(registry.versions(trainer.client))
    done = trainer.run(entry, "--dataset", trainer.small, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert (trainer.statuses(), len(registry.versions(trainer.client))) == before


@pytest.mark.parametrize("entry", ["train", "sweep"])
def test_a_tracking_server_that_is_down_is_one_line(trainer: Trainer, entry: str) -> None:
    done = trainer.run(entry, "--dataset", trainer.small, MLFLOW_TRACKING_URI="http://127.0.0.1:1")
    assert done.returncode == 2
    assert "no tracking server answers at http://127.0.0.1:1" in done.stderr
    assert done.stderr.count("\n") == 1


def test_checking_only_says_what_is_in_a_data_set(trainer: Trainer) -> None:
    said = trainer.done("sweep", "--check-only", "--dataset", trainer.small)
    assert "402 rows, 400 products, 4 categories" in said


@needs_real_data
class TestRealData:
    """The figures that the chapter's own data set must give."""

    def best(self, trainer: Trainer, classifier: str) -> Any:
        """The version that a sweep registers, whose model knows the samples."""
        trainer.done(
            "sweep",
            *("--dataset", REAL_DATA, "--classifier", classifier),
            MLFLOW_EXPERIMENT_NAME=f"real-{classifier}",
        )
        made = registry.versions(trainer.client)[-1]
        model = mlflow.pyfunc.load_model(f"models:/{NAME}/{made.version}")
        answers = model.predict(pd.DataFrame({"texto": list(SAMPLES)}))
        assert dict(zip(SAMPLES, answers, strict=True)) == SAMPLES
        return made

    def test_naive_bayes(self, trainer: Trainer) -> None:
        made = self.best(trainer, "naive_bayes")
        for each in trainer.runs("real-naive_bayes"):
            if each.data.params.get("include_names") == "sim":
                chapter = ACCURACY[each.data.params["test_size"]]
                assert each.data.metrics["acuracia"] >= chapter - 0.02
        assert float(made.tags["acuracia_holdout"]) >= 0.965
        assert made.tags[HOLDOUT_DIGEST]

    def test_logistic_regression(self, trainer: Trainer) -> None:
        made = self.best(trainer, "logistic_regression")
        assert float(made.tags["acuracia_holdout"]) >= 0.975
