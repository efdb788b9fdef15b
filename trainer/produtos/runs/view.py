"""How the page lists an experiment's runs: columns and order, for whoever opens a link.

It is a view as MLflow's page shares one: a tag of the experiment, and its name in the address.
"""

import json
import os

import mlflow

from produtos.errors import without_secrets
from produtos.runs.tracking import Tracker

NAME = "comparar"
PAGE = "MLFLOW_PAGE"
"""The variable for a server that browsers reach at another address, as they do in containers: the
server's address, a space, and the other one."""

TAG = f"mlflow.sharedViewState.{NAME}"

COLUMNS = {
    "params.`test_size`": 90,
    "params.`include_names`": 120,
    "metrics.`acuracia`": 85,
    "metrics.`acuracia_holdout`": 125,
    "attributes.`Version`": 80,
}
"""In their order, with their widths in pixels: all are in sight where the page is 1280 wide, beside
what is always there. The last one is the commit; whether accents count is in a run's name."""

STATE = {
    "searchFilter": "",
    "orderByKey": "metrics.`acuracia_holdout`",
    "orderByAsc": False,
    "startTime": "ALL",
    "lifecycleFilter": "Active",
    "selectedColumns": list(COLUMNS),
    "columnOrder": list(COLUMNS),
    "columnWidths": COLUMNS,
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
    known, _, page = os.environ.get(PAGE, "").partition(" ")
    if server == known:
        server = page
    query = f"workflowType=machine_learning&viewStateShareKey={NAME}"
    return f"{server}/#/experiments/{tracker.experiment_id}/runs?{query}"
