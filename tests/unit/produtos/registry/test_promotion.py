"""Which version a sweep puts where, and what is said and kept of it, on a real store."""

from typing import Any

import pytest
from mlflow.entities.model_registry import ModelVersion
from mlflow.tracking import MlflowClient

from produtos.data.dataset import Dataset
from produtos.data.split import holdout_of
from produtos.parameters import Parameters
from produtos.registry import comparison, promotion, registry
from produtos.registry.registry import MODEL_NAME, PRODUCTION, STAGING
from produtos.runs.outcome import Outcome, Sweep
from tests.unit.produtos.registry.models import Models, dataset, version

DATA = dataset()


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Models:
    return Models(monkeypatch)


def stages(client: MlflowClient) -> list[str]:
    return [str(each.current_stage) for each in registry.versions(client)]


def aliases(client: MlflowClient) -> dict[str, str]:
    found = client.get_registered_model(MODEL_NAME).aliases
    return {alias: str(number) for alias, number in found.items()}


def choose(client: MlflowClient, made: ModelVersion, *, promote: bool) -> tuple[str, str]:
    """The stage, and the verdict's line."""
    stage, verdict = promotion.choose_stage(client, DATA, made, promote=promote)
    kept = client.get_model_version(MODEL_NAME, made.version).tags.get("comparison", "")
    assert kept == (verdict.text if verdict else "")
    return stage, kept


def test_the_first_of_all_goes_to_production_and_a_later_one_to_staging(
    client: MlflowClient, models: Models
) -> None:
    assert choose(client, version(client), promote=False) == (PRODUCTION, "")
    assert choose(client, version(client), promote=False) == (STAGING, "")
    assert stages(client) == [PRODUCTION, STAGING]
    assert aliases(client) == {"production": "1", "staging": "2"}
    assert models.asked == {}


def test_of_two_that_were_registered_at_the_same_time_the_first_goes_to_production(
    client: MlflowClient, models: Models
) -> None:
    first, second = version(client), version(client)
    assert choose(client, second, promote=False) == (STAGING, "")
    assert choose(client, first, promote=False) == (PRODUCTION, "")
    assert stages(client) == [PRODUCTION, STAGING]
    assert models.asked == {}


@pytest.mark.parametrize(
    ("wrong_before", "wrong_now", "promoted"),
    [({}, {}, True), ({"game": "livro"}, {}, True), ({}, {"game": "livro"}, False)],
    ids=["equal", "better", "worse"],
)
def test_a_later_one_is_promoted_when_it_is_no_worse(
    client: MlflowClient,
    models: Models,
    wrong_before: dict[str, str],
    wrong_now: dict[str, str],
    promoted: bool,
) -> None:
    first = version(client)
    choose(client, first, promote=False)
    second = version(client)
    models.answer(first, wrong_before)
    models.answer(second, wrong_now)
    stage, line = choose(client, second, promote=True)
    assert stage == (PRODUCTION if promoted else STAGING)
    assert stages(client) == (["Archived", PRODUCTION] if promoted else [PRODUCTION, STAGING])
    assert aliases(client) == (
        {"production": "2"} if promoted else {"production": "1", "staging": "2"}
    )
    if promoted:
        assert line == "version 2 is no worse than version 1 in Production"
    else:
        assert aliases(client) == {"production": "1", "staging": "2"}
        assert line.startswith("version 2 is worse than version 1 in Production (accuracy 0.")


def test_a_version_in_production_that_cannot_be_measured_stays(
    client: MlflowClient, models: Models
) -> None:
    choose(client, version(client), promote=False)
    second = version(client)
    models.answer(second)
    stage, line = choose(client, second, promote=True)
    assert stage == STAGING
    assert line == (
        "version 2 cannot be compared with version 1 in Production: version 1: cannot be loaded "
        "(its files are gone)"
    )
    assert stages(client) == [PRODUCTION, STAGING]


def test_neither_right_is_no_comparison(client: MlflowClient, models: Models) -> None:
    choose(client, version(client), promote=False)
    second = version(client)
    for each in registry.versions(client):
        models.answer(each, {"game": "casa", "livro": "casa"})
    stage, line = choose(client, second, promote=True)
    assert stage == STAGING
    assert "neither is right on any product of /dados/produtos.csv" in line


def test_asked_for_an_empty_production_it_is_promoted(client: MlflowClient, models: Models) -> None:
    registry.move(client, version(client), STAGING)
    assert choose(client, version(client), promote=True) == (PRODUCTION, "")
    assert models.asked == {}


def test_a_version_that_somebody_promotes_meanwhile_is_what_it_is_compared_with(
    client: MlflowClient, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, good = version(client), version(client), version(client)
    registry.move(client, first, PRODUCTION)
    models.answer(first, {"game": "livro"})
    models.answer(second, {"game": "livro"})
    models.answer(good)
    measure = comparison.measure

    def slowly(client: MlflowClient, data: Dataset, each: ModelVersion) -> comparison.Measured:
        if not models.asked:
            registry.move(client, good, PRODUCTION)
        return measure(client, data, each)

    monkeypatch.setattr(comparison, "measure", slowly)
    stage, line = choose(client, second, promote=True)
    assert stage == STAGING
    assert line.startswith("version 2 is worse than version 3 in Production (accuracy 0.")
    assert stages(client) == ["Archived", STAGING, PRODUCTION]


def test_a_version_that_loses_a_category_is_not_promoted_however_good(
    client: MlflowClient, models: Models
) -> None:
    first = version(client)
    choose(client, first, promote=False)
    second = version(client)
    models.answer(first, {"game": "livro"}, ["casa", "game", "livro"])
    models.answer(second, categories=["game", "livro"])
    stage, line = choose(client, second, promote=True)
    assert (stage, line) == (
        STAGING,
        "version 2 is worse than version 1 in Production (it does not know the category casa)",
    )
    # The reverse is no fault.
    models.answer(first, categories=["game"])
    assert choose(client, second, promote=True)[0] == PRODUCTION


def run(client: MlflowClient, include_names: str) -> str:
    run_id = str(client.create_run("0").info.run_id)
    client.log_param(run_id, "include_names", include_names)
    client.set_tag(run_id, "holdout_digest", holdout_of(DATA).digest)
    return run_id


@pytest.mark.parametrize("include_names", ["sim", "não"])
def test_a_version_registered_in_the_page_is_asked_as_its_run_was_trained(
    client: MlflowClient, models: Models, include_names: str
) -> None:
    made = version(client, run(client, include_names))
    models.answer(made)
    measured = comparison.measure(client, DATA, made)
    assert measured.same_holdout
    assert {text.count(" ") for text in models.asked["1"]} == (
        {2} if include_names == "sim" else {0}
    )


def test_the_tags_of_a_version_count_before_those_of_its_run(
    client: MlflowClient, models: Models
) -> None:
    made = version(client, run(client, "sim"), include_names="não", holdout_digest="other")
    models.answer(made)
    assert not comparison.measure(client, DATA, made).same_holdout
    assert set(models.asked["1"]) == {"novo"}


@pytest.mark.parametrize("run_id", [None, "f" * 32])
def test_a_version_without_a_run_is_asked_with_names(
    client: MlflowClient, models: Models, run_id: str | None
) -> None:
    made = version(client, run_id)
    models.answer(made, {"game": "livro"})
    measured = comparison.measure(client, DATA, made)
    assert not measured.same_holdout
    asked = models.asked["1"]
    assert all(text.endswith("novo") and text.count(" ") == 2 for text in asked)
    assert measured.right == [text.startswith("livro") for text in asked]
    assert measured.evaluation.accuracy == sum(measured.right) / len(asked)


def test_the_best_run_is_registered_with_what_it_is_compared_by(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def register(*all_of_it: object, **tags: object) -> object:
        given.extend((*all_of_it, tags))
        return version(client)

    monkeypatch.setattr("mlflow.register_model", register)
    metrics = dict.fromkeys(("acuracia", "f1_macro", "acuracia_holdout", "f1_macro_holdout"), 0.5)
    best = Outcome("run", "m-1", Parameters(include_names=False, test_size=0.3), metrics)
    worse = Outcome("other", "m-2", Parameters(), metrics)
    made = promotion.register(client, DATA, Sweep("parent", [best, worse]), first=True)
    model, name, tags = given
    assert (model, name) == ("models:/m-1", MODEL_NAME)
    assert tags["tags"] == {
        **dict.fromkeys(metrics, "0.500000"),
        "holdout_digest": holdout_of(DATA).digest,
        "include_names": "não",
        "sweep": "first",
        "sweep_run_id": "parent",
    }
    described = client.get_model_version(MODEL_NAME, made.version).description
    assert described == "naive_bayes, test_size=0.3 include_names=não: acuracia_holdout 0.5000"
