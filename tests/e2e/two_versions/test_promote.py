"""Promotion by command, against a real registry."""

import csv
import sys
from pathlib import Path

import pytest

from produtos.errors import BadInput
from produtos.registry import registry
from produtos.registry.registry import MODEL_NAME
from tests.e2e.conftest import MlflowServer, free_port
from tests.e2e.two_versions.promoting import AT_FIRST, Promote
from tests.support.commands import ROOT, completed

PROMOTE = ROOT / "trainer" / "promote.py"


def test_a_better_version_is_promoted_and_it_is_on_record(
    promote: Promote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ana")
    said, _ = promote("--version", "2", "--to", "production", "--reason", "conhece acentos")
    lines = said.splitlines()
    accuracy = next(line.split() for line in lines if line.startswith("accuracy"))
    assert float(accuracy[2]) > float(accuracy[1])
    assert {line.split()[1] for line in lines if line.startswith("F1 ")} == {
        "brinquedo",
        "game",
        "livro",
        "maquiagem",
    }
    assert "McNemar's exact test p = " in said
    assert lines[-1] == (
        "version 2 moved from Staging to Production; version 1 is archived; "
        "no version is in Staging now"
    )
    assert promote.places() == ({"1": "Archived", "2": "Production"}, {"production": "2"})
    tags = promote.version("2").tags
    assert (tags["promotion.by"], tags["promotion.to"]) == ("ana", "Production")
    assert tags["promotion.reason"] == "conhece acentos"
    assert tags["promotion.forced"] == "no"
    assert tags["promotion.at"].endswith("+00:00")
    assert tags["before.Production"] == "1"


def test_the_figures_are_those_of_the_runs(promote: Promote) -> None:
    said, _ = promote("--version", "2", "--dry-run")
    accuracy = next(line.split() for line in said.splitlines() if line.startswith("accuracy"))
    recorded = [
        promote.client.get_run(str(promote.version(number).run_id)).data.metrics["acuracia_holdout"]
        for number in "12"
    ]
    assert accuracy[1:3] == [f"{figure:.4f}" for figure in recorded]
    assert "measured again" not in said
    assert promote.places() == AT_FIRST


def test_a_worse_version_is_refused_unless_forced(promote: Promote) -> None:
    promote("--version", "2")
    said, line = promote.refused("--version", "1", "--reason", "saudade")
    assert "only version 2 is right on" in said
    assert line.startswith("promote.py: refused: version 1 is worse than version 2 in Production (")
    assert line.endswith("--force moves it all the same")
    # What the page shows is what was said.
    assert promote.version("1").tags["comparison"] in line
    promote.client.delete_model_version_tag(MODEL_NAME, "1", "comparison")
    promote.refused("--version", "1", "--dry-run")
    assert "comparison" not in promote.version("1").tags
    assert promote.places() == ({"1": "Archived", "2": "Production"}, {"production": "2"})
    assert "promotion.to" not in promote.version("1").tags
    promote("--version", "1", "--force")
    assert promote.places() == ({"1": "Production", "2": "Archived"}, {"production": "1"})
    assert promote.version("1").tags["promotion.forced"] == "yes"


def test_out_of_the_way(promote: Promote) -> None:
    said, _ = promote("--version", "2", "--to", "Archived")
    assert said == "version 2 moved from Staging to Archived; no version is in Staging now\n"
    assert promote.places() == ({"1": "Production", "2": "Archived"}, {"production": "1"})
    promote("--version", "1", "--to", "none")
    assert promote.places() == ({"1": "None", "2": "Archived"}, {})


def test_where_it_is_already_stage_and_alias_are_made_to_agree(promote: Promote) -> None:
    # As the web page leaves it, which moves stages only.
    promote.client.delete_registered_model_alias(MODEL_NAME, "production")
    assert promote("--version", "1")[0] == "version 1 was in Production already\n"
    assert promote.places() == AT_FIRST


def test_no_experiment_is_needed_or_made(promote: Promote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "not-there")
    assert "would move version 2" in promote("--version", "2", "--dry-run")[0]
    assert promote.client.get_experiment_by_name("not-there") is None

    promote.client.delete_experiment(promote.client.create_experiment("not-there"))
    assert "would move version 2" in promote("--version", "2", "--dry-run")[0]


def test_on_another_data_set_both_are_measured_again(promote: Promote, tmp_path: Path) -> None:
    other = tmp_path / "outros.csv"
    with promote.products.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter=";"))
    with other.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=";").writerows([rows[0], *rows[1:400]])
    said, _ = promote("--version", "2", "--dry-run", "--dataset", str(other))
    assert said.startswith(f"on the hold-out of {other}, ")
    for number in "12":
        assert f"version {number} was registered with figures of another hold-out" in said
    assert promote.places() == AT_FIRST


def test_on_a_data_set_of_other_categories_nothing_is_compared(
    promote: Promote, tmp_path: Path
) -> None:
    other = tmp_path / "outros.csv"
    rows = [f"produto {n};de outra loja;{'casa' if n % 2 else 'jardim'}\n" for n in range(200)]
    other.write_text("nome;descricao;categoria\n" + "".join(rows), encoding="utf-8")
    asked = ("--version", "2", "--dry-run", "--dataset", str(other))
    with pytest.raises(BadInput, match=r"neither is right .*--dataset"):
        promote(*asked)
    assert "would move version 2" in promote(*asked, "--force")[0]
    assert promote.places() == AT_FIRST


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--version 9", "has no version 9; there are: 1 (Production), 2 (Staging)"),
        ("--version dois", "name one by its number"),
        ("", "no version is given"),
        ("--version 2 --to Producao", "must be Production, Staging, None or Archived"),
        ("--rollback --version 2", "leave --version out"),
        ("--rollback --to Archived", "only Production and Staging"),
        ("--rollback", "not on record"),
        ("--version 2 --dataset nada.csv", "no such file"),
    ],
)
def test_what_cannot_be_done_is_one_line(promote: Promote, arguments: str, said: str) -> None:
    with pytest.raises(BadInput) as error:
        promote(*arguments.split())
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert promote.places() == AT_FIRST


def test_exit_codes_and_lines_of_the_command_itself(
    promote: Promote, server: MlflowServer, tmp_path: Path
) -> None:
    registry.move(promote.client, promote.version("2"), registry.PRODUCTION)

    def ended(*arguments: str, **variables: str) -> tuple[int, list[str]]:
        finished = completed(
            [sys.executable, str(PROMOTE), *arguments],
            env=server.environment(**variables, TMPDIR=str(tmp_path)),
            timeout=300,
        )
        # The models that it looked at are gone from the temporary folder when it ends.
        assert not list(tmp_path.rglob("MLmodel"))
        return finished.returncode, finished.stderr.splitlines()

    code, lines = ended("--version", "1", "--dataset", str(promote.products))
    assert (code, len(lines)) == (1, 1)
    code, lines = ended("--version", "1", MLFLOW_TRACKING_URI=f"http://127.0.0.1:{free_port()}")
    assert (code, len(lines)) == (2, 1)
    assert "no tracking server answers" in lines[0]


def test_as_an_entry_point_of_the_project(promote: Promote, server: MlflowServer) -> None:
    given = {"version": 2, "reason": "conhece acentos", "force": "não"}
    finished = server.mlflow_run("promote", "promote", **given, dataset=promote.products)
    assert finished.returncode == 0, finished.stderr
    assert promote.places()[1] == {"production": "2"}
    assert promote.version("2").tags["promotion.reason"] == "conhece acentos"
