"""How the page lists an experiment's runs: columns and order, for whoever opens a link.

It is a view as MLflow's page shares one: a tag of the experiment, and its name in the address.
"""

import json

import mlflow

from produtos.errors import without_secrets
from produtos.runs.tracking import Tracker

NAME = "comparar"
TAG = f"mlflow.sharedViewState.{NAME}"

PARAMETERS = ("test_size", "include_names")
FIGURES = ("acuracia", "acuracia_holdout")

COLUMNS = [
    *(f"params.`{name}`" for name in PARAMETERS),
    *(f"metrics.`{name}`" for name in FIGURES),
    "attributes.`Version`",
]
"""The last one is the commit. Whether accents count is in a run's name."""

WIDTHS = {
    "params.`test_size`": 90,
    "params.`include_names`": 120,
    "metrics.`acuracia`": 85,
    "metrics.`acuracia_holdout`": 125,
    "attributes.`Version`": 80,
}
"""In pixels: all of them are in sight where the page is 1280 wide, beside what is always there."""

STATE = {
    "searchFilter": "",
    "orderByKey": "metrics.`acuracia_holdout`",
    "orderByAsc": False,
    "startTime": "ALL",
    "lifecycleFilter": "Active",
    "selectedColumns": COLUMNS,
    "columnOrder": COLUMNS,
    "columnWidths": WIDTHS,
    "viewMaximized": True,
}


def share(tracker: Tracker) -> None:
    """Keep the view with the experiment."""
    tracker.client.set_experiment_tag(tracker.experiment_id, TAG, json.dumps(STATE))


def address(tracker: Tracker) -> str:
    """Of the page with that view; empty where there is no server."""
    server = without_secrets(mlflow.get_tracking_uri()).rstrip("/")
    if not server.startswith(("http://", "https://")):
        return ""
    query = f"workflowType=machine_learning&viewStateShareKey={NAME}"
    return f"{server}/#/experiments/{tracker.experiment_id}/runs?{query}"
