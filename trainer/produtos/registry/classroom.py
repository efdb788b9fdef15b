"""A class in one MLflow: for each student an experiment and a registered model of the same name."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import mlflow
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


@dataclass(frozen=True)
class Progress:
    """How far a student has come.

    Attributes:
        place: whose.
        runs: how many there are.
        failed: how many of them did not end well.
        best: the highest accuracy on the hold-out, of all runs.
        versions: how many are registered.
        production: the number of the version in Production.
    """

    place: Place
    runs: int
    failed: int
    best: float | None
    versions: int
    production: str | None


@dataclass(frozen=True)
class Served:
    """What the class's hotserve says of a student's model.

    Attributes:
        version: the number of the one that answers.
        error: why the last one that was to answer does not; empty if all is well.
    """

    version: str | None = None
    error: str = ""


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


def make(client: MlflowClient, wanted: Iterable[Place]) -> list[Place]:
    """Make what is missing of the places; who has one keeps it, with all that is in it.

    Returns:
        The same places, with the numbers of their experiments.

    Raises:
        BadInput: an experiment or a registered model of that name is no place, or the experiment
            was deleted; nothing was made then.
    """
    wanted = list(wanted)
    there = {place.name for place in places()}
    made = []
    for place in wanted:
        experiment = client.get_experiment_by_name(place.name)
        model = client.search_registered_models(f"name='{place.name}'")
        is_place = experiment is None or STUDENT in experiment.tags
        is_active = experiment is None or experiment.lifecycle_stage == "active"
        if not is_place or not is_active or (model and place.name not in there):
            raise BadInput(
                "{student}: the name {name} is taken, by an experiment or a registered model "
                "that is no place of a class or was deleted; write it in another way",
                student=place.student,
                name=place.name,
            )
        made.append(replace(place, experiment_id=experiment.experiment_id if experiment else ""))
    for number, place in enumerate(made):
        tags = {STUDENT: place.student}
        if not place.experiment_id:
            made[number] = replace(
                place, experiment_id=client.create_experiment(place.name, tags=tags)
            )
        if place.name not in there:
            client.create_registered_model(place.name, tags)
    return made


def places() -> list[Place]:
    """Every place there is, by name."""
    models = mlflow.search_registered_models()
    return [Place(each.tags[STUDENT], each.name) for each in models if STUDENT in each.tags]


def progress(client: MlflowClient, place: Place) -> Progress:
    """How far a student has come, as MLflow knows it."""
    experiment = client.get_experiment_by_name(place.name)
    runs: list[Run] = []
    if experiment is not None and experiment.lifecycle_stage == "active":
        # More than a thousand runs in a class: the newest thousand will do.
        runs = client.search_runs([experiment.experiment_id], max_results=1000)
    figures = [run.data.metrics[BEST] for run in runs if BEST in run.data.metrics]
    registered = versions(client, place.name)
    production = [str(each.version) for each in registered if each.current_stage == PRODUCTION]
    return Progress(
        place,
        len(runs),
        sum(run.info.status in ("FAILED", "KILLED") for run in runs),
        max(figures, default=None),
        len(registered),
        production[-1] if production else None,
    )


def _asked(url: str) -> Request:
    """A question to the class's hotserve, with the token in HOTSERVE_TOKEN if there is one."""
    token = os.environ.get("HOTSERVE_TOKEN")
    return Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})


def api_answers(api: str) -> bool:
    """Whether the class's hotserve is there, not one of one model; it may have nothing to serve."""
    try:
        with urlopen(_asked(f"{api}/models"), timeout=PATIENCE):
            return True
    except HTTPError as error:
        return error.code != HTTPStatus.NOT_FOUND
    except (OSError, HTTPException, ValueError):
        return False


def served(api: str, place: Place) -> Served:
    """What a hotserve of many models, which is there, says of a student's."""
    try:
        with urlopen(_asked(f"{api}/models/{place.name}/model"), timeout=PATIENCE) as answer:
            model = json.load(answer)
    except (OSError, HTTPException, ValueError):
        # Most of all a 404: it has no version in Production yet.
        return Served()
    error = model.get("last_error") or {}
    return Served(model.get("version"), str(error.get("message") or ""))
