"""What is recorded of one run; the model itself is logged in the end-to-end tests."""

import json
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from produtos.data.dataset import parse
from produtos.parameters import Parameters
from produtos.runs import training
from produtos.runs.tracking import Tracker

ROWS = [
    f"{category} {word}{number};{category} {'abc'[number % 3]};{category}"
    for category, count in (("livro", 60), ("game", 60), ("raro", 2))
    for number, word in enumerate(["um", "dois"] * (count // 2))
]
ADDRESS = "https://a/produtos.csv?sig=…"


@pytest.fixture
def tracker(client: MlflowClient, tmp_path: Path) -> Tracker:
    return Tracker(client, client.create_experiment("treino", str(tmp_path / "artifacts")))


def test_a_run_says_what_it_was_made_from_and_what_its_figures_cannot_tell(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    content = "\n".join(["nome;descricao;categoria", *ROWS, ROWS[0]]).encode()
    data = parse(content, ADDRESS)
    monkeypatch.setattr("produtos.model.flavor.log", lambda *_, **_more: "m-1")
    parameters = Parameters(dataset="https://a/produtos.csv?sig=SECRET", test_size=0.3)
    outcome = training.record(tracker, parameters, lambda: training.train(data, parameters))
    recorded = tracker.client.get_run(outcome.run_id)
    assert (recorded.info.status, recorded.info.run_name) == ("FINISHED", parameters.run_name())
    assert outcome.model_id == "m-1"
    assert outcome.metrics == {name: recorded.data.metrics[name] for name in outcome.metrics}
    assert min(outcome.metrics.values()) > 0.9
    assert "raro" in outcome.gaps
    tags = recorded.data.tags
    assert tags["gaps"] == outcome.gaps
    assert tags["dataset_sha256"] == data.summary.digest
    assert tags["holdout_digest"]
    assert recorded.data.metrics["rows_read"] == 123
    assert recorded.data.metrics["rows_dropped_repeated"] == 1
    rows = [recorded.data.metrics[f"rows_{part}"] for part in ("train", "test", "holdout")]
    assert sum(rows) == 122
    assert rows[1] == pytest.approx(0.3 * (rows[0] + rows[1]), abs=1)
    assert recorded.inputs
    sources = [json.loads(each.dataset.source) for each in recorded.inputs.dataset_inputs]
    assert [source.get("url", source.get("uri")) for source in sources] == [ADDRESS] * 2
    artifacts = tmp_path / "artifacts" / outcome.run_id / "artifacts"
    assert (artifacts / "dataset" / "produtos.csv").read_bytes() == content
    assert {file.name for file in (artifacts / "evaluation").iterdir()} == {
        *("confusion_matrix.png", "report.png"),
        *("confusion_matrix_test.json", "confusion_matrix_holdout.json"),
        *("report_test.json", "report_holdout.json"),
    }
    everything = str(recorded.to_dictionary()) + (artifacts / "dataset/report.json").read_text()
    assert "SECRET" not in everything
