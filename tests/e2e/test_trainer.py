"""Training, comparing, registering and promoting, against a real tracking server."""

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from produtos.registry import registry
from produtos.runs.outcome import HOLDOUT_DIGEST
from tests.e2e.chapter import ACCURACY, REAL_DATA, SAMPLES, needs_real_data
from tests.e2e.conftest import ROOT, MlflowServer, pointed_at, running_mlflow_server
from tests.support.commands import completed

TRAINER = ROOT / "trainer"
NAME = "classificador-produtos"

WORDS = {
    "livro": "livro romance autor conto editora capa leitura poesia senhor anéis",
    "brinquedo": "boneca carrinho pano criança brincar montar peças urso bola",
    "game": "jogo console xbox fases halo corrida tiro controle pontos",
    "maquiagem": "batom pele rímel cor pincel sombra blush lábios base",
}


@dataclass(frozen=True)
class Trainer:
    """The commands, run to their end from a folder that has nothing to do with them.

    Attributes:
        server: where runs are recorded.
        client: of that server.
        small: a data set that is trained on in a moment.
    """

    server: MlflowServer
    client: MlflowClient
    small: Path

    def run(
        self, entry: str, *arguments: object, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return completed(
            command(entry, *arguments),
            env=self.server.environment(**variables),
            cwd=self.server.home,
        )

    def done(self, entry: str, *arguments: object, **variables: str) -> str:
        """What one that must succeed said; nothing is wrong."""
        ended = self.run(entry, *arguments, **variables)
        assert (ended.returncode, ended.stderr) == (0, "")
        return ended.stdout

    def runs(self, experiment: str) -> list[Run]:
        found = self.client.get_experiment_by_name(experiment)
        return list(self.client.search_runs([found.experiment_id])) if found else []

    def statuses(self) -> Counter[str]:
        """Runs by status, in all experiments."""
        everywhere = [each.experiment_id for each in self.client.search_experiments()]
        return Counter(run.info.status for run in self.client.search_runs(everywhere))

    def artifacts(self, run_id: str, path: str | None = None) -> set[str]:
        names: set[str] = set()
        for entry in self.client.list_artifacts(run_id, path):
            names |= self.artifacts(run_id, entry.path) if entry.is_dir else {entry.path}
        return names

    def version(self, number: int) -> Any:
        return self.client.get_model_version(NAME, str(number))


def command(entry: str, *arguments: object) -> list[str]:
    return [sys.executable, str(TRAINER / f"{entry}.py"), *map(str, arguments)]


def small_table(path: Path) -> Path:
    chance = random.Random(4)
    lines = ["nome;descricao;categoria"]
    for number in range(400):
        category = list(WORDS)[number % 4]
        name, description = (
            " ".join(chance.choices(WORDS[category].split(), k=4)) for _ in range(2)
        )
        lines.append(f"{name} {number};{description if number % 3 else ''};{category}")
    path.write_text("\n".join([*lines, lines[1], ";;livro"]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    """On a tracking server of this module's own: what is registered first matters here."""
    folder = tmp_path_factory.mktemp("trainer")
    with running_mlflow_server(folder / "mlflow") as server, pointed_at(server) as client:
        yield Trainer(server, client, small_table(folder / "small.csv"))


class TestFirstStart:
    """In this order: each test goes on where the one before it stopped."""

    def test_killed_half_way_it_is_picked_up(self, trainer: Trainer) -> None:
        arguments = ("--first", "--dataset", trainer.small)
        with subprocess.Popen(
            command("sweep", *arguments),
            env=trainer.server.environment(),
            cwd=trainer.server.home,
            stdout=subprocess.PIPE,
            text=True,
        ) as first:
            assert first.stdout
            for line in first.stdout:
                if line.startswith(" 3/10"):
                    first.kill()
                    break
            first.stdout.read()
        assert trainer.client.search_registered_models() == []
        before = trainer.statuses()
        assert before["RUNNING"] > 0
        # One more may have ended between its third line and its own end.
        assert 3 <= before["FINISHED"] < 10

        second = trainer.done("sweep", *arguments)
        kept = sum(line.endswith("kept") for line in second.splitlines())
        assert kept == before["FINISHED"]
        (parent,) = [r for r in trainer.runs(NAME) if "best_run_id" in r.data.tags]
        assert parent.info.status == "FINISHED"
        finished = [
            run
            for run in trainer.runs(NAME)
            if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id
            and run.info.status == "FINISHED"
        ]
        assert {(r.data.params["test_size"], r.data.params["include_names"]) for r in finished} == {
            (size, names)
            for size in ("0.1", "0.2", "0.3", "0.4", "0.5")
            for names in ("sim", "'não'")
        }
        assert len(finished) == 10
        assert "RUNNING" not in trainer.statuses()

    def test_the_best_is_in_production_by_stage_and_by_alias(self, trainer: Trainer) -> None:
        assert [v.version for v in registry.versions(trainer.client)] == ["1"]
        assert trainer.version(1).current_stage == "Production"
        assert trainer.client.get_model_version_by_alias(NAME, "production").version == "1"
        best = trainer.client.get_run(trainer.version(1).run_id)
        everyone = [r for r in trainer.runs(NAME) if "test_size" in r.data.params]
        assert best.data.metrics["acuracia_holdout"] == max(
            r.data.metrics.get("acuracia_holdout", 0) for r in everyone
        )

    def test_the_next_start_makes_nothing(self, trainer: Trainer) -> None:
        before = trainer.statuses()
        # A data set that is not there any more is of no interest.
        assert "nothing to train" in trainer.done("sweep", "--first", "--dataset", "/nada.csv")
        assert trainer.statuses() == before
        assert len(registry.versions(trainer.client)) == 1

    def test_who_names_another_data_set_is_told_that_it_was_not_trained_on(
        self, trainer: Trainer, tmp_path: Path
    ) -> None:
        other = tmp_path / "meus produtos.csv"
        other.write_bytes(trainer.small.read_bytes() + b"mais um;;livro\n")
        told = f"no version was trained on {other}: sweep.py --dataset trains on it"
        assert told in trainer.run("sweep", "--first", "--dataset", other).stdout
        for same in (["--dataset", trainer.small], []):
            assert "no version" not in trainer.run("sweep", "--first", *same).stdout

    def test_nor_when_the_experiment_was_deleted(self, trainer: Trainer) -> None:
        experiment = trainer.client.get_experiment_by_name(NAME)
        assert experiment is not None
        number = str(experiment.experiment_id)
        trainer.client.delete_experiment(number)

        assert "nothing to train" in trainer.done("sweep", "--first")
        # Only who wants to log to it is told, and how to have it back.
        for variables in ({}, {"MLFLOW_EXPERIMENT_ID": number}):
            refused = trainer.run("train", **variables)
            assert refused.returncode == 2
            (line,) = refused.stderr.splitlines()
            assert line.endswith(f"mlflow experiments restore --experiment-id {number}")
        trainer.client.restore_experiment(number)

    def test_cut_off_between_version_and_stage_it_is_placed(self, trainer: Trainer) -> None:
        with pytest.warns(FutureWarning):
            trainer.client.transition_model_version_stage(NAME, "1", "None")
        trainer.client.delete_registered_model_alias(NAME, "production")
        parent_id = trainer.version(1).tags["sweep_run_id"]
        trainer.client.update_run(parent_id, status="RUNNING")

        trainer.done("sweep", "--first")
        assert trainer.version(1).current_stage == "Production"
        assert trainer.client.get_model_version_by_alias(NAME, "production").version == "1"
        assert trainer.client.get_run(parent_id).info.status == "FINISHED"
        assert len(registry.versions(trainer.client)) == 1

    def test_a_version_that_somebody_archived_stays_archived(self, trainer: Trainer) -> None:
        with pytest.warns(FutureWarning):
            trainer.client.transition_model_version_stage(NAME, "1", "Archived")
        assert trainer.run("sweep", "--first").returncode == 0
        assert trainer.version(1).current_stage == "Archived"
        registry.move(trainer.client, trainer.version(1), registry.PRODUCTION)

    def test_a_later_sweep_goes_to_staging(self, trainer: Trainer) -> None:
        assert "version 2, Staging" in trainer.done("sweep", "--dataset", trainer.small)
        assert trainer.version(2).current_stage == "Staging"
        assert trainer.client.get_model_version_by_alias(NAME, "staging").version == "2"
        assert trainer.version(1).current_stage == "Production"

    def test_asked_to_it_is_promoted_when_it_is_no_worse(self, trainer: Trainer) -> None:
        # The same data, the same figure: no worse.
        done = trainer.run("sweep", "--dataset", trainer.small, "--promote")
        assert "version 3, Production" in done.stdout
        stages = [trainer.version(number).current_stage for number in (1, 2, 3)]
        assert stages == ["Archived", "Archived", "Production"]
        assert trainer.client.get_registered_model(NAME).aliases == {"production": "3"}


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
