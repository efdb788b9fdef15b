"""The first start of a stack: a sweep that is interrupted, goes on, and registers the best."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from produtos.registry import registry
from tests.e2e.conftest import pointed_at, running_mlflow_server
from tests.e2e.trainer_commands import NAME, Trainer, command, small_table


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

    def test_what_is_refused_is_told_with_what_moves_it(
        self, trainer: Trainer, tmp_path: Path
    ) -> None:
        other = tmp_path / "jardim.csv"
        rows = (f"{what} {n};;{what}\n" for n in range(60) for what in ("adubo", "regador"))
        other.write_text("nome;descricao;categoria\n" + "".join(rows), encoding="utf-8")
        done = trainer.run("sweep", "--dataset", str(other), "--grid", "alpha=1", "--promote")
        (line,) = (line for line in done.stdout.splitlines() if line.startswith("not promoted: "))
        assert "version 4 is worse than version 3 in Production" in line
        assert line.endswith("; promote.py --version 4 --force moves it all the same")
