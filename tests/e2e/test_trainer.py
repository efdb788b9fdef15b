"""Training, comparing, registering and promoting, against a real tracking server."""

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
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
from tests.e2e.conftest import MlflowServer, running_mlflow_server

ROOT = Path(__file__).resolve().parents[2]
TRAINER = ROOT / "trainer"
REAL_DATA = ROOT.parent / "shared" / "data" / "produtos.csv"
NAME = "classificador-produtos"

WORDS = {
    "livro": "livro romance autor conto editora capa leitura poesia senhor anéis",
    "brinquedo": "boneca carrinho pano criança brincar montar peças urso bola",
    "game": "jogo console xbox fases halo corrida tiro controle pontos",
    "maquiagem": "batom pele rímel cor pincel sombra blush lábios base",
}

CHAPTER = {"0.1": 0.9795, "0.2": 0.9829, "0.3": 0.9829, "0.4": 0.9811, "0.5": 0.9794}
"""What the chapter's own pipeline gets on its data, by test size."""

SAMPLES = {
    "boneca de pano": "brinquedo",
    "halo": "game",
    "senhor dos anéis": "livro",
    "senhor dos aneis": "livro",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A tracking server of this module's own: what is registered first matters here."""
    with running_mlflow_server(tmp_path_factory.mktemp("trainer") / "mlflow") as server:
        yield server


@pytest.fixture(scope="module")
def client(server: MlflowServer) -> Iterator[MlflowClient]:
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(server.url)
    yield MlflowClient(server.url)
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set that is trained on in a moment."""
    chance = random.Random(4)
    lines = ["nome;descricao;categoria"]
    for number in range(400):
        category = list(WORDS)[number % 4]
        name, description = (
            " ".join(chance.choices(WORDS[category].split(), k=4)) for _ in range(2)
        )
        lines.append(f"{name} {number};{description if number % 3 else ''};{category}")
    path = tmp_path_factory.mktemp("data") / "small.csv"
    path.write_text("\n".join([*lines, lines[1], ";;livro"]) + "\n", encoding="utf-8")
    return path


def command(entry: str, *arguments: object) -> list[str]:
    return [sys.executable, str(TRAINER / f"{entry}.py"), *map(str, arguments)]


def run(
    server: MlflowServer, entry: str, *arguments: object, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run an entry point to its end, from a folder that has nothing to do with it."""
    return subprocess.run(
        command(entry, *arguments),
        env=server.environment(**variables),
        cwd=server.home,
        capture_output=True,
        text=True,
    )


def runs(client: MlflowClient, experiment: str) -> list[Run]:
    found = client.get_experiment_by_name(experiment)
    return list(client.search_runs([found.experiment_id])) if found else []


def statuses(client: MlflowClient) -> Counter[str]:
    """Runs by status, in all experiments."""
    everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
    return Counter(run.info.status for run in client.search_runs(everywhere))


def children(client: MlflowClient, parent: Run) -> list[Run]:
    everywhere = client.search_runs([parent.info.experiment_id])
    return [
        each
        for each in everywhere
        if each.data.tags.get("mlflow.parentRunId") == parent.info.run_id
    ]


def artifacts(client: MlflowClient, run_id: str, path: str | None = None) -> set[str]:
    names: set[str] = set()
    for entry in client.list_artifacts(run_id, path):
        names |= artifacts(client, run_id, entry.path) if entry.is_dir else {entry.path}
    return names


def version(client: MlflowClient, number: int) -> Any:
    return client.get_model_version(NAME, str(number))


class TestFirstStart:
    """In this order: each test goes on where the one before it stopped."""

    def test_killed_half_way_it_is_picked_up(
        self, server: MlflowServer, client: MlflowClient, small: Path
    ) -> None:
        arguments = ("--first", "--dataset", small)
        with subprocess.Popen(
            command("sweep", *arguments),
            env=server.environment(),
            cwd=server.home,
            stdout=subprocess.PIPE,
            text=True,
        ) as first:
            assert first.stdout
            for line in first.stdout:
                if line.startswith(" 3/10"):
                    first.kill()
                    break
            first.stdout.read()
        assert client.search_registered_models() == []
        before = statuses(client)
        assert before["RUNNING"] > 0
        # One more may have ended between its third line and its own end.
        assert 3 <= before["FINISHED"] < 10

        second = run(server, "sweep", *arguments)
        assert (second.returncode, second.stderr) == (0, "")
        kept = sum(line.endswith("kept") for line in second.stdout.splitlines())
        assert kept == before["FINISHED"]
        (parent,) = [r for r in runs(client, NAME) if "best_run_id" in r.data.tags]
        assert parent.info.status == "FINISHED"
        finished = [r for r in children(client, parent) if r.info.status == "FINISHED"]
        assert {(r.data.params["test_size"], r.data.params["include_names"]) for r in finished} == {
            (size, names)
            for size in ("0.1", "0.2", "0.3", "0.4", "0.5")
            for names in ("sim", "'não'")
        }
        assert len(finished) == 10
        assert "RUNNING" not in statuses(client)

    def test_the_best_is_in_production_by_stage_and_by_alias(self, client: MlflowClient) -> None:
        assert [v.version for v in registry.versions(client)] == ["1"]
        assert version(client, 1).current_stage == "Production"
        assert client.get_model_version_by_alias(NAME, "production").version == "1"
        best = client.get_run(version(client, 1).run_id)
        everyone = [r for r in runs(client, NAME) if "test_size" in r.data.params]
        assert best.data.metrics["acuracia_holdout"] == max(
            r.data.metrics.get("acuracia_holdout", 0) for r in everyone
        )

    def test_the_next_start_makes_nothing(self, server: MlflowServer, client: MlflowClient) -> None:
        before = statuses(client)
        # A data set that is not there any more is of no interest.
        again = run(server, "sweep", "--first", "--dataset", "/nada.csv")
        assert (again.returncode, again.stderr) == (0, "")
        assert "nothing to train" in again.stdout
        assert statuses(client) == before
        assert len(registry.versions(client)) == 1

    def test_who_names_another_data_set_is_told_that_it_was_not_trained_on(
        self, server: MlflowServer, small: Path, tmp_path: Path
    ) -> None:
        other = tmp_path / "meus produtos.csv"
        other.write_bytes(small.read_bytes() + b"mais um;;livro\n")
        told = f"no version was trained on {other}: sweep.py --dataset trains on it"
        assert told in run(server, "sweep", "--first", "--dataset", other).stdout
        for same in (["--dataset", small], []):
            assert "no version" not in run(server, "sweep", "--first", *same).stdout

    def test_nor_when_the_experiment_was_deleted(
        self, server: MlflowServer, client: MlflowClient
    ) -> None:
        experiment = client.get_experiment_by_name(NAME)
        assert experiment is not None
        number = str(experiment.experiment_id)
        client.delete_experiment(number)

        again = run(server, "sweep", "--first")
        assert (again.returncode, again.stderr) == (0, "")
        assert "nothing to train" in again.stdout
        # Only who wants to log to it is told, and how to have it back.
        for variables in ({}, {"MLFLOW_EXPERIMENT_ID": number}):
            refused = run(server, "train", **variables)
            assert refused.returncode == 2
            (line,) = refused.stderr.splitlines()
            assert line.endswith(f"mlflow experiments restore --experiment-id {number}")
        client.restore_experiment(number)

    def test_cut_off_between_version_and_stage_it_is_placed(
        self, server: MlflowServer, client: MlflowClient
    ) -> None:
        with pytest.warns(FutureWarning):
            client.transition_model_version_stage(NAME, "1", "None")
        client.delete_registered_model_alias(NAME, "production")
        parent_id = version(client, 1).tags["sweep_run_id"]
        client.update_run(parent_id, status="RUNNING")

        again = run(server, "sweep", "--first")
        assert (again.returncode, again.stderr) == (0, "")
        assert version(client, 1).current_stage == "Production"
        assert client.get_model_version_by_alias(NAME, "production").version == "1"
        assert client.get_run(parent_id).info.status == "FINISHED"
        assert len(registry.versions(client)) == 1

    def test_a_version_that_somebody_archived_stays_archived(
        self, server: MlflowServer, client: MlflowClient
    ) -> None:
        with pytest.warns(FutureWarning):
            client.transition_model_version_stage(NAME, "1", "Archived")
        assert run(server, "sweep", "--first").returncode == 0
        assert version(client, 1).current_stage == "Archived"
        registry.move(client, version(client, 1), registry.PRODUCTION)

    def test_a_later_sweep_goes_to_staging(
        self, server: MlflowServer, client: MlflowClient, small: Path
    ) -> None:
        done = run(server, "sweep", "--dataset", small)
        assert (done.returncode, done.stderr) == (0, "")
        assert "version 2, Staging" in done.stdout
        assert version(client, 2).current_stage == "Staging"
        assert client.get_model_version_by_alias(NAME, "staging").version == "2"
        assert version(client, 1).current_stage == "Production"

    def test_asked_to_it_is_promoted_when_it_is_no_worse(
        self, server: MlflowServer, client: MlflowClient, small: Path
    ) -> None:
        # The same data, the same figure: no worse.
        done = run(server, "sweep", "--dataset", small, "--promote")
        assert "version 3, Production" in done.stdout
        assert [version(client, n).current_stage for n in (1, 2, 3)] == [
            "Archived",
            "Archived",
            "Production",
        ]
        assert client.get_registered_model(NAME).aliases == {"production": "3"}


@pytest.fixture(scope="module")
def recorded(server: MlflowServer, client: MlflowClient, small: Path) -> Run:
    done = run(
        server,
        "train",
        *("--test-size", "0.3", "--include-names", "nao", "--dataset", small),
        MLFLOW_EXPERIMENT_NAME="one-run",
    )
    assert (done.returncode, done.stderr) == (0, "")
    (recorded,) = runs(client, "one-run")
    return recorded


class TestOneRun:
    def test_parameters_and_figures(self, recorded: Run, small: Path) -> None:
        assert recorded.info.status == "FINISHED"
        assert recorded.data.params == {
            "test_size": "0.3",
            # As `mlflow run` records it.
            "include_names": "'não'",
            "strip_accents": "sim",
            "classifier": "naive_bayes",
            "dataset": str(small),
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
        self, client: MlflowClient, recorded: Run, small: Path, tmp_path: Path
    ) -> None:
        path = client.download_artifacts(recorded.info.run_id, "dataset", str(tmp_path))
        assert Path(path, "produtos.csv").read_bytes() == small.read_bytes()
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

    def test_in_blocks_from_a_folder(
        self, server: MlflowServer, client: MlflowClient, recorded: Run, small: Path, tmp_path: Path
    ) -> None:
        header, *rows = small.read_text("utf-8").splitlines(keepends=True)
        for name, some in (("a", rows[:200]), ("b", rows[200:])):
            (tmp_path / f"{name}.csv").write_text("".join([header, *some]), "utf-8")
        options = ("--streaming", "--include-names", "nao", "--dataset", tmp_path)
        done = run(server, "train", *options, MLFLOW_EXPERIMENT_NAME="in-blocks")
        assert (done.returncode, done.stderr) == (0, "")
        assert f"{tmp_path}: 402 rows, 400 products, 4 categories; left out: 1" in done.stdout
        (made,) = runs(client, "in-blocks")
        assert made.data.tags["holdout_digest"] == recorded.data.tags["holdout_digest"]
        assert artifacts(client, made.info.run_id) == artifacts(client, recorded.info.run_id) - {
            "dataset/produtos.csv"
        }
        model = mlflow.pyfunc.load_model(f"runs:/{made.info.run_id}/modelo")
        assert list(model.predict(["de pano", "halo"])) == ["brinquedo", "game"]

    def test_pictures_and_reports(self, client: MlflowClient, recorded: Run) -> None:
        assert artifacts(client, recorded.info.run_id) >= {
            "evaluation/confusion_matrix.png",
            "evaluation/report.png",
            "evaluation/confusion_matrix_test.json",
            "evaluation/confusion_matrix_holdout.json",
            "evaluation/report_test.json",
            "evaluation/report_holdout.json",
        }

    def test_the_model(self, client: MlflowClient, recorded: Run) -> None:
        assert recorded.outputs
        (output,) = recorded.outputs.model_outputs
        logged = client.get_logged_model(output.model_id)
        assert logged.name == "modelo"
        assert logged.experiment_id == recorded.info.experiment_id
        assert logged.params["include_names"] == "'não'"
        assert {metric.key for metric in logged.metrics or []} >= {"acuracia", "acuracia_holdout"}
        model = mlflow.pyfunc.load_model(f"runs:/{recorded.info.run_id}/modelo")
        assert list(model.predict(["boneca de pano", "halo"])) == ["brinquedo", "game"]

    @pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is not a git checkout")
    def test_the_git_commit(self, recorded: Run) -> None:
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert len(recorded.data.tags["mlflow.source.git.commit"]) == len(head.stdout.strip())


def test_mlflow_run_uses_the_run_that_it_made(
    server: MlflowServer, client: MlflowClient, small: Path
) -> None:
    mlflow_run = partial(server.mlflow_run, "main", "project", dataset=small)
    done = mlflow_run(test_size=0.3, include_names="não")
    assert done.returncode == 0, done.stderr
    (only,) = runs(client, "project")
    assert only.info.status == "FINISHED"
    assert "acuracia_holdout" in only.data.metrics
    assert only.data.tags["mlflow.source.type"] == "PROJECT"
    assert only.outputs
    assert only.outputs.model_outputs

    refused = mlflow_run(test_size=2)
    assert refused.returncode != 0
    assert "must be a number between 0 and 1" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert sorted(r.info.status for r in runs(client, "project")) == ["FAILED", "FINISHED"]


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)],
    ids=["SIGTERM", "SIGINT", "SIGHUP"],
)
def test_told_to_stop_it_closes_its_runs(
    server: MlflowServer, client: MlflowClient, small: Path, number: signal.Signals, code: int
) -> None:
    experiment = f"stopped-{code}"
    with subprocess.Popen(
        command("sweep", "--dataset", small),
        env=server.environment(MLFLOW_EXPERIMENT_NAME=experiment),
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
    found = Counter(r.info.status for r in runs(client, experiment))
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
    server: MlflowServer,
    client: MlflowClient,
    small: Path,
    entry: str,
    arguments: list[str],
    said: str,
) -> None:
    before = statuses(client), len(registry.versions(client))
    done = run(server, entry, "--dataset", small, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert (statuses(client), len(registry.versions(client))) == before


@pytest.mark.parametrize("entry", ["train", "sweep"])
def test_a_tracking_server_that_is_down_is_one_line(
    server: MlflowServer, small: Path, entry: str
) -> None:
    done = run(server, entry, "--dataset", small, MLFLOW_TRACKING_URI="http://127.0.0.1:1")
    assert done.returncode == 2
    assert "no tracking server answers at http://127.0.0.1:1" in done.stderr
    assert done.stderr.count("\n") == 1


def test_checking_only_says_what_is_in_a_data_set(server: MlflowServer, small: Path) -> None:
    done = run(server, "sweep", "--check-only", "--dataset", small)
    assert (done.returncode, done.stderr) == (0, "")
    assert "402 rows, 400 products, 4 categories" in done.stdout


@pytest.mark.skipif(not REAL_DATA.exists(), reason=f"{REAL_DATA.name} of the chapter is not here")
class TestRealData:
    """The figures that the chapter's own data set must give."""

    def sweep(self, server: MlflowServer, client: MlflowClient, classifier: str) -> Any:
        experiment = f"real-{classifier}"
        done = run(
            server,
            "sweep",
            *("--dataset", REAL_DATA, "--classifier", classifier),
            MLFLOW_EXPERIMENT_NAME=experiment,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return registry.versions(client)[-1]

    def samples(self, made: Any) -> dict[str, str]:
        model = mlflow.pyfunc.load_model(f"models:/{NAME}/{made.version}")
        frame = pd.DataFrame({"texto": list(SAMPLES)})
        return dict(zip(SAMPLES, model.predict(frame), strict=True))

    def test_naive_bayes(self, server: MlflowServer, client: MlflowClient) -> None:
        made = self.sweep(server, client, "naive_bayes")
        for each in runs(client, "real-naive_bayes"):
            if each.data.params.get("include_names") == "sim":
                chapter = CHAPTER[each.data.params["test_size"]]
                assert each.data.metrics["acuracia"] >= chapter - 0.02
        assert float(made.tags["acuracia_holdout"]) >= 0.965
        assert made.tags[HOLDOUT_DIGEST]
        assert self.samples(made) == SAMPLES

    def test_logistic_regression(self, server: MlflowServer, client: MlflowClient) -> None:
        made = self.sweep(server, client, "logistic_regression")
        assert float(made.tags["acuracia_holdout"]) >= 0.975
        assert self.samples(made) == SAMPLES
