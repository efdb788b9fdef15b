"""Every path of MLflow's server with users: `python -m tests.support.mlflow_routes`.

Prints JSON, a list of [method, path, who]. A path's parameters are filled in. Who gets an answer:
`nobody`, where no login is asked for; `everybody`, where one is and no more; `filtered`, where the
answer holds what the account may see; `native`, where MLflow decides outside of Flask; or `right`.
"""

import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.support.commands import ROOT, completed


def routes() -> list[tuple[str, str, str]]:
    """The same, from a process of its own: to make the app changes MLflow's modules."""
    with tempfile.TemporaryDirectory() as folder:
        ini = (ROOT / "deploy" / "team" / "auth.ini").read_text("utf-8")
        config = Path(folder) / "auth.ini"
        config.write_text(ini.replace("/var/lib/mlflow", folder), encoding="utf-8")
        done = completed(
            [sys.executable, "-m", "tests.support.mlflow_routes"],
            cwd=ROOT,
            env=os.environ
            | {
                "_MLFLOW_SGI_NAME": "uvicorn",
                "MLFLOW_AUTH_CONFIG_PATH": str(config),
                "MLFLOW_AUTH_ADMIN_PASSWORD": "a-long-password",
                "MLFLOW_FLASK_SERVER_SECRET_KEY": "a-long-secret-key",
                "MLFLOW_ENABLE_AI_GATEWAY": "false",
            },
        )
    assert done.returncode == 0, done.stderr
    return [tuple(one) for one in json.loads(done.stdout.splitlines()[-1])]


def _filled(path: str) -> str:
    """A Flask or FastAPI path with values for its parameters."""
    return re.sub(r"<(?:\w+:)?\w+>|\{[^}]+\}", "1", path)


def _who(app: Any, method: str, path: str) -> str:
    """Who decides about a request to Flask, by the steps of MLflow's `_before_request`."""
    from flask import request
    from mlflow.server import auth

    with app.test_request_context(path, method=method):
        if auth.is_unprotected_route(path):
            return "nobody"
        validator = auth._find_validator(request)
        if validator is not None:
            # The others look at the database.
            is_fixed = validator.__name__ in ("<lambda>", "_allow_authenticated")
            return "everybody" if is_fixed and validator() else "right"
        if auth._is_proxy_artifact_path(path):
            return "right"
        return "filtered" if auth._authorized_outside_before_request(request) else "right"


def _print_routes() -> None:
    from mlflow.server import app, auth
    from starlette.routing import Route

    from server.team import create_app

    native, found = create_app(), set()
    described = [
        (method.upper(), path)
        for path, item in native.openapi()["paths"].items()
        for method in item
    ]
    own = [
        (method, route.path)
        for route in native.routes
        if isinstance(route, Route)
        for method in route.methods or ()
    ]
    for method, template in (*described, *own):
        path = _filled(template)
        found.add((method, path, "nobody" if auth.is_unprotected_route(path) else "native"))
    for rule in app.url_map.iter_rules():
        path = _filled(rule.rule)
        found |= {(method, path, _who(app, method, path)) for method in rule.methods or ()}
    print(json.dumps(sorted(one for one in found if one[0] != "OPTIONS")))


if __name__ == "__main__":
    _print_routes()
