"""MLflow's own users, with less left open: ``mlflow server --app-name team``.

MLflow lets everybody with a password make experiments and models, and see who else there is. It
lets who may write to a model set its aliases, which promotes as a stage does, and rename it, which
takes it away from who serves it; and who made a thing may give rights to it away. Here each of them
needs the right that `server.accounts` gives. And MLflow refuses a name that nobody has sooner than
a wrong password, from which who can't log in learns names.
"""

import secrets
from collections.abc import Callable
from typing import Any

from flask import g
from mlflow.server import auth
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore
from werkzeug.security import check_password_hash, generate_password_hash

from server.accounts import MAKERS


def may_make() -> bool:
    """Whether one of the user's roles may make experiments and models."""
    user = auth.store.get_user(g.mlflow_authenticated_user)
    return any(role.name in MAKERS for role in auth.store.list_user_roles(user.id))


def may_make_model() -> bool:
    """The same of a registered model, or whether the user may write to the one of that name.

    MLflow's clients ask for it to be made before each version, and go on where it is there.
    """
    return may_make() or bool(auth.validate_can_update_registered_model())  # type: ignore[no-untyped-call]


VALIDATORS: dict[str, Callable[[], bool]] = {
    "/mlflow/experiments/create": may_make,
    "/mlflow/registered-models/create": may_make_model,
    "/mlflow/registered-models/rename": auth.validate_can_update_model_or_prompt_version,
    "/mlflow/registered-models/alias": auth.validate_can_update_model_or_prompt_version,
    "/mlflow/users/list": auth.sender_is_admin,
    "/mlflow/roles/list": auth.sender_is_admin,
    "/mlflow/users/permissions/grant": auth.sender_is_admin,
    "/mlflow/users/permissions/revoke": auth.sender_is_admin,
}


def take_as_long_for_nobody(store: SqlAlchemyStore) -> None:
    """Have the store check a password for a name that nobody has, too."""
    authenticate = store.authenticate_user
    unknown_hash = generate_password_hash(secrets.token_urlsafe())

    def authenticate_user(username: str, password: str, **options: Any) -> bool:
        if authenticate(username, password, **options):
            return True
        if not store.has_user(username):
            check_password_hash(unknown_hash, password)
        return False

    store.authenticate_user = authenticate_user  # type: ignore[method-assign]


def create_app() -> Any:
    """MLflow's app with users, as `basic-auth` makes it, and our validators."""
    for path, method in list(auth.BEFORE_REQUEST_VALIDATORS):
        for ending, validator in VALIDATORS.items():
            # To ask which version an alias names is reading.
            if path.endswith(ending) and not (ending.endswith("alias") and method == "GET"):
                auth.BEFORE_REQUEST_VALIDATORS[path, method] = validator
    take_as_long_for_nobody(auth.store)
    return auth.create_app()
