"""MLflow's own users, with less left open: ``mlflow server --app-name team``.

An alias is a way to promote, so that to set it needs what to move a stage does. So does renaming
a model, which takes it away from who serves it. The lists of users and roles are for admins.
"""

from __future__ import annotations

from typing import Any

from mlflow.server import auth

PROMOTIONS = ("/registered-models/alias", "/registered-models/rename")
ADMINS_ONLY = ("/mlflow/users/list", "/mlflow/roles/list")


def create_app() -> Any:
    """MLflow's app with users, as `basic-auth` makes it, and our validators."""
    for path, method in list(auth.BEFORE_REQUEST_VALIDATORS):
        if method != "GET" and path.endswith(PROMOTIONS):
            validator = auth.validate_can_update_model_or_prompt_version
        elif path.endswith(ADMINS_ONLY):
            validator = auth.sender_is_admin
        else:
            continue
        auth.BEFORE_REQUEST_VALIDATORS[path, method] = validator
    return auth.create_app()
