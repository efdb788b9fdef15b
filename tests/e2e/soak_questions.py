"""Models whose answers show the value of each row, and requests to ask them, drawn at random."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import infer_signature
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

from tests.e2e.hotserve_models import Registry, save, save_program

WORDS = 50
REFUSED = 0.02
"""Share of the requests to models without a lane that hold a row which is refused."""
SLEEPERS = 0.003
"""Share of the requests to processes that are for those of models with a lane."""

ECHO = """\
import time
time.sleep(0.01)
if (model_input["valor"] < 0).any():
    raise ValueError("a value below zero")
return [f"{{value:.0f}} {name} {version}" for value in model_input["valor"]]
"""
"""A model without a lane. It is slow enough for requests to wait for each other."""


@dataclass(frozen=True)
class Question:
    """A request, and the values that its answers must show; none where it must be refused."""

    model: str
    path: str
    content_type: str
    body: bytes
    values: list[str] | None
    for_process: bool


def names(count: int, kind: str) -> list[str]:
    """The models of a kind: every third has no lane."""
    numbers = range(1, count + 1)
    return [f"soak-{number:02}" for number in numbers if (number % 3 == 0) == (kind == "process")]


def register(registry: Registry, name: str, version: str, folder: Path, *, has_lane: bool) -> None:
    """Register a version of a model, whose answers tell its name and its number."""
    if has_lane:
        words = [f"p{number}" for number in range(WORDS)]
        labels = [f"{word} {name} {version}" for word in words]
        save(make_pipeline(CountVectorizer(), MultinomialNB()).fit(words, labels), folder)
    else:
        rows = pd.DataFrame({"valor": [1.0, 2.5, 40.0]})
        body, signature = ECHO.format(name=name, version=version), infer_signature(rows, ["1 a 1"])
        save_program(folder, body, signature=signature, input_example=rows)
    assert registry.register_folder(name, folder) == version


def question(rng: random.Random, count: int, *, for_process: bool) -> Question:
    """One drawn at random: which model, how many rows, in which form."""
    rows = rng.choice([1, 1, 1, 2, 5])
    if for_process and rng.random() > SLEEPERS:
        found = names(count, "process")
        # One is asked much, so that its requests come close upon each other, and the last seldom.
        (name,) = rng.choices(found, [2.0**-place for place in range(len(found))])
        numbers = [rng.randrange(10**9) for _ in range(rows)]
        values: list[str] | None = [str(number) for number in numbers]
        if rng.random() < REFUSED:
            numbers[-1], values = -numbers[-1] - 1, None
        return _in_form(rng, name, "valor", numbers, values, for_process=True)
    name = rng.choice(names(count, "lane"))
    words = [f"p{rng.randrange(WORDS)}" for _ in range(rows)]
    if not for_process:
        return _in_form(rng, name, "", words, words, for_process=False)
    # Longer than what the lane takes: its process is needed.
    body = json.dumps({"inputs": [word + " " * 20_001 for word in words]}).encode()
    return Question(name, f"/models/{name}/invocations", "application/json", body, words, True)


def _in_form(
    rng: random.Random,
    name: str,
    column: str,
    rows: list[Any],
    values: list[str] | None,
    *,
    for_process: bool,
) -> Question:
    tensor = {
        "name": column or "texto",
        "datatype": "FP64" if column else "BYTES",
        "shape": [len(rows)],
        "data": rows,
    }
    forms: list[tuple[str, Any]] = [("v2", {"inputs": [tensor]})]
    if column:
        forms += [
            ("json", {"dataframe_split": {"columns": [column], "data": [[row] for row in rows]}}),
            ("json", {"dataframe_records": [{column: row} for row in rows]}),
            ("json", {"inputs": {column: rows}}),
        ]
    else:
        forms += [("json", {"inputs": rows}), ("json", {"instances": rows})]
    form, made = rng.choice([*forms, ("csv", [column, *rows] if column else rows)])
    if form == "csv":
        body, content_type = "\n".join(map(str, made)).encode(), "text/csv"
    else:
        body, content_type = json.dumps(made).encode(), "application/json"
    path = f"/v2/models/{name}/infer" if form == "v2" else f"/models/{name}/invocations"
    return Question(name, path, content_type, body, values, for_process)


def problem(asked: Question, status: int, version: str, body: bytes) -> str | None:
    """What is wrong with an answer."""
    told = body[:300].decode("utf-8", "replace")
    if asked.values is None:
        return None if status == 400 else f"{status} where 400 is right: {told}"
    if status != 200:
        return f"status {status}: {told}"
    answer = json.loads(body)
    found = answer["outputs"][0]["data"] if "outputs" in answer else answer["predictions"]
    if found != [f"{value} {asked.model} {version}" for value in asked.values]:
        return f"not the values {asked.values} of {asked.model} {version}: {told}"
    return None
