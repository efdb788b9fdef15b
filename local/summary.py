"""The block that ends the start-up: what runs where, how good it is, what to try."""

import json
import urllib.request
from http.client import HTTPException
from typing import Any

from local.language import tr
from local.settings import Settings, short

TRY = "curl -X POST -H 'Content-Type: text/csv' --data-binary 'boneca de pano' "

# The token itself is nothing for a screen.
AUTHORIZED = "-H 'Authorization: Bearer …' "

SHARED_VIEW = "mlflow.sharedViewState."
"""Before a view's name, in a tag of the experiment that it is of."""

DIRECT = "--noproxy localhost "

# A proxy that the user has for the outside is of no use on the loopback.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def summary(chosen: Settings, seconds: float, *, settled: bool = True) -> str | None:
    """The text of the block, or None as long as the API does not answer yet.

    Nor is it ready while it answers with a version of an earlier start, from its cache, and the
    one that was trained is on its way: that passes by itself.

    Args:
        chosen: where the API is.
        seconds: since the start.
        settled: whether the API has surely seen what the registry holds now.
    """
    model = _get(f"{chosen.serve_url}/model", token=chosen.token)
    if model is None or not model.get("version"):
        return None
    desired = model.get("wanted") or {}
    if desired.get("state") == "starting" and desired["version"] != model["version"]:
        return None
    note = model.get("note")
    if note and not settled:
        return None
    if _get(f"{chosen.serve_url}/ping") is None:
        return None
    run = _get(f"{chosen.mlflow_url}/api/2.0/mlflow/runs/get?run_id={model.get('run_id')}")
    run = (run or {}).get("run", {})
    options = (AUTHORIZED if chosen.token else "") + (DIRECT if _proxy_in_the_way() else "")
    return "\n".join(
        (
            "",
            tr("ready after {seconds:.0f} s").format(seconds=seconds),
            tr("  MLflow   http://localhost:{mlflow_port}   runs, figures, the registry").format(
                mlflow_port=chosen.mlflow_port
            ),
            *_compare(chosen, run),
            tr("  API      http://localhost:{serve_port}   {served}").format(
                serve_port=chosen.serve_port, served=_served(model)
            ),
            f"           {_accuracy(run)}",
            *([f"           {note}"] if note else []),
            tr("  logs     {short}").format(short=short(chosen.logs)),
            tr("  try it   {line}{options}localhost:{serve_port}/invocations").format(
                line=TRY, options=options, serve_port=chosen.serve_port
            ),
            tr("  stop     Ctrl-C"),
        )
    )


def why_waiting(chosen: Settings) -> str:
    """Why the API has no version to answer with, when that does not pass by itself; else empty."""
    model = _get(f"{chosen.serve_url}/model", token=chosen.token)
    if model is None or model.get("version"):
        return ""
    if (model.get("wanted") or {}).get("state") == "failed":
        error = model["last_error"]
        return tr("version {version} does not start: {message}").format(
            version=error["version"], message=error["message"]
        )
    return str(model["message"]) if model["state"] == "waiting" else ""


def _served(model: dict[str, Any]) -> str:
    where = model.get("stage") or ", ".join(f"@{alias}" for alias in model.get("aliases", []))
    return tr("{name} version {version}").format(name=model["name"], version=model["version"]) + (
        f" ({where})" if where else ""
    )


def _proxy_in_the_way() -> bool:
    """Whether curl would ask a proxy for what is on this machine."""
    proxies = urllib.request.getproxies()
    return bool(proxies.keys() & {"http", "all"}) and not urllib.request.proxy_bypass("localhost")


def _compare(chosen: Settings, run: dict[str, Any]) -> list[str]:
    """Where the runs are listed with the columns that matter, if the trainer has shared that."""
    number = run.get("info", {}).get("experiment_id")
    found = _get(f"{chosen.mlflow_url}/api/2.0/mlflow/experiments/get?experiment_id={number}") or {}
    views = [
        tag["key"].removeprefix(SHARED_VIEW)
        for tag in found.get("experiment", {}).get("tags", [])
        if tag["key"].startswith(SHARED_VIEW)
    ]
    return [
        tr("  compare  {address}").format(
            address=f"http://localhost:{chosen.mlflow_port}/#/experiments/{number}/runs"
            f"?workflowType=machine_learning&viewStateShareKey={view}"
        )
        for view in views[:1]
    ]


def _accuracy(run: dict[str, Any]) -> str:
    metrics = {m["key"]: m["value"] for m in run.get("data", {}).get("metrics", [])}
    if "acuracia_holdout" not in metrics:
        return tr("its run says nothing about its accuracy")
    accuracy, f1 = metrics["acuracia_holdout"], metrics.get("f1_macro_holdout", float("nan"))
    return tr(
        "accuracy {accuracy:.4f}, macro F1 {f1:.4f} on products that no run was trained on"
    ).format(accuracy=accuracy, f1=f1)


def _get(url: str, token: str | None = None) -> dict[str, Any] | None:
    """The JSON answer of a GET, ``{}`` if it is blank, None if there is no good one."""
    request = urllib.request.Request(url)
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with _DIRECT.open(request, timeout=5) as answer:
            return dict(json.loads(answer.read().strip() or b"{}"))
    except (OSError, HTTPException, TypeError, ValueError):
        return None
