"""A class in one MLflow: for each student an experiment and a registered model of the same name."""

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, NamedTuple

import mlflow
import requests
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from produtos.errors import BadInput
from produtos.registry.registry import PRODUCTION, STUDENT, versions

BEST = "acuracia_holdout"

PATIENCE = 5
"""Seconds for an answer of the API."""


@dataclass(frozen=True)
class Place:
    """Where one student works.

    Attributes:
        student: the name as the teacher wrote it.
        name: of the experiment and of the registered model; letters, digits and dashes.
        experiment_id: the experiment's, once it is made.
    """

    student: str
    name: str
    experiment_id: str = ""


class Progress(NamedTuple):
    """How far a student has come.

    Attributes:
        student: the name as the teacher wrote it.
        runs: how many there are.
        failed: how many of them did not end well.
        best: the highest accuracy on the hold-out, of all runs.
        versions: how many are registered.
        production: the number of the version in Production.
        answers: the number of the version that the class's hotserve answers with.
        error: why the last one that was to answer does not; empty if all is well.
    """

    student: str
    runs: int
    failed: int
    best: float | None
    versions: int
    production: str | None
    answers: str | None
    error: str


def read(lines: Iterable[str]) -> list[Place]:
    """The places of a list of students, one a line; empty lines and those with # are left out.

    Raises:
        BadInput: a name has no letter, or two come to the same place.
    """
    places: dict[str, Place] = {}
    for number, line in enumerate(lines, 1):
        student = " ".join(line.partition("#")[0].split())
        if not student:
            continue
        folded = unicodedata.normalize("NFKD", student.casefold()).encode("ascii", "ignore")
        name = re.sub("[^a-z0-9]+", "-", folded.decode()).strip("-")
        if not name:
            raise BadInput(
                "line {number}, {student}: a name needs a letter from a to z",
                number=number,
                student=student,
            )
        if name in places:
            raise BadInput(
                "line {number}, {student}: {other} has the place {name} already; tell the two "
                "apart, by a second name",
                number=number,
                student=student,
                other=places[name].student,
                name=name,
            )
        places[name] = Place(student, name)
    if not places:
        raise BadInput("there is no name in the list of students")
    return list(places.values())


def make(client: MlflowClient, wanted: Sequence[Place]) -> list[Place]:
    """Make what is missing of the places; who has one keeps it, with all that is in it.

    Returns:
        The same places, with the numbers of their experiments.

    Raises:
        BadInput: an experiment or a registered model of that name is no place, or the experiment
            was deleted; nothing was made then.
    """
    is_place = {each.name: STUDENT in each.tags for each in mlflow.search_registered_models()}
    experiments = [client.get_experiment_by_name(place.name) for place in wanted]
    for place, experiment in zip(wanted, experiments, strict=True):
        is_free = experiment is None or (
            STUDENT in experiment.tags and experiment.lifecycle_stage == "active"
        )
        if not is_free or not is_place.get(place.name, True):
            raise BadInput(
                "{student}: the name {name} is taken, by an experiment or a registered model "
                "that is no place of a class or was deleted; write it in another way",
                student=place.student,
                name=place.name,
            )
    made = []
    for place, experiment in zip(wanted, experiments, strict=True):
        tags = {STUDENT: place.student}
        number = (
            experiment.experiment_id
            if experiment
            else client.create_experiment(place.name, tags=tags)
        )
        if place.name not in is_place:
            client.create_registered_model(place.name, tags)
        made.append(replace(place, experiment_id=number))
    return made


def places() -> list[Place]:
    """Every place there is, by name."""
    models = mlflow.search_registered_models()
    return [Place(each.tags[STUDENT], each.name) for each in models if STUDENT in each.tags]


def progress(client: MlflowClient, place: Place, api: str) -> Progress:
    """How far a student has come, as MLflow knows it and the class's hotserve, where one answers.

    Args:
        client: of MLflow.
        place: whose.
        api: the address of hotserve, which has many models; empty if it does not answer.
    """
    experiment = client.get_experiment_by_name(place.name)
    runs: list[Run] = []
    if experiment is not None and experiment.lifecycle_stage == "active":
        # More than a thousand runs in a class: the newest thousand will do.
        runs = client.search_runs([experiment.experiment_id], max_results=1000)
    figures = [run.data.metrics[BEST] for run in runs if BEST in run.data.metrics]
    registered = versions(client, place.name)
    production = [str(each.version) for each in registered if each.current_stage == PRODUCTION]
    served: dict[str, Any] = {}
    if api:
        # Most of all a 404: it has no version in Production yet.
        with suppress(requests.RequestException):
            answer = _ask(f"{api}/models/{place.name}/model")
            answer.raise_for_status()
            served = answer.json()
    error = served.get("last_error") or {}
    return Progress(
        place.student,
        len(runs),
        sum(run.info.status in ("FAILED", "KILLED") for run in runs),
        max(figures, default=None),
        len(registered),
        production[-1] if production else None,
        served.get("version"),
        str(error.get("message") or ""),
    )


def api_answers(api: str) -> bool:
    """Whether the class's hotserve is there, not one of one model; it may have nothing to serve."""
    try:
        return _ask(f"{api}/models").status_code != HTTPStatus.NOT_FOUND
    except requests.RequestException:
        return False


def _ask(url: str) -> requests.Response:
    """Ask the class's hotserve, with the token in HOTSERVE_TOKEN if there is one."""

    def with_token(request: requests.PreparedRequest) -> requests.PreparedRequest:
        if token := os.environ.get("HOTSERVE_TOKEN"):
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    # Not as a header: an entry of ~/.netrc for the host would take its place.
    return requests.get(url, auth=with_token, timeout=PATIENCE)
