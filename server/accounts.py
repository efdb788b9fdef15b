"""Who may do what in MLflow: accounts of the services, and of people by role.

``python -m server.accounts`` makes the services' accounts and the roles, the same at each start;
``add NAME ROLE``, ``remove NAME`` and ``list`` are `make user` and `make users`, ``class`` belongs
to `make class`. Everything goes through MLflow's own API, as its admin, so that it counts at once.
Exit code 2: that can't be done; 1: MLflow did not do it.
"""

import os
import re
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import requests
from mlflow.exceptions import MlflowException
from mlflow.server.auth.client import AuthServiceClient
from mlflow.server.auth.entities import Role
from mlflow.tracking import MlflowClient

MODEL = "classificador-produtos"
WORKSPACE = "default"

Grants = frozenset[tuple[str, str, str]]

READ_ALL: Grants = frozenset({("experiment", "*", "READ"), ("registered_model", "*", "READ")})
WRITE_ALL: Grants = frozenset({("experiment", "*", "EDIT"), ("registered_model", "*", "EDIT")})

PEOPLE: dict[str, Grants] = {
    "reader": READ_ALL,
    # Registers versions. What is said of versions alone wins over what is said of their model.
    "scientist": WRITE_ALL | {("registered_model_version", "*", "READ")},
    # Moves stages and aliases, and removes versions.
    "promoter": WRITE_ALL | {("registered_model_version", "*", "MANAGE")},
}
ADMIN = "admin"
NO_ROLE = "no role"
SERVICES: dict[str, Grants] = {
    # `mlflow run` logs to the experiment Default, whose number is 0, unless it is told another.
    "trainer": frozenset({("registered_model", MODEL, "MANAGE"), ("experiment", "0", "EDIT")}),
    # The files of a version belong to the experiment of its run, whichever that is.
    "hotserve": frozenset({("registered_model", MODEL, "READ"), ("experiment", "*", "READ")}),
    "batch": READ_ALL,
}
# Who may make experiments and models, and everything with what they made: see `server.team`.
MAKERS = {"scientist", "promoter", "trainer", "batch"}
# Made by the services themselves, unless they were there before there were accounts.
EXPERIMENTS = {"trainer": MODEL, "batch": f"{MODEL}-batch"}
RESERVED = {ADMIN, *SERVICES}
GRANTS = PEOPLE | SERVICES

PASSWORD = re.compile(r"\{password\|([^|]+)\|(\d+)\|([^}]+)\}")
"""In the sheets of a class: a student's place, its experiment, what to say to who has one."""


class Refused(Exception):
    """What was asked for can't be done: the message says why, and what can."""


def set_up(client: AuthServiceClient) -> None:
    """Make or mend all roles and the services' accounts."""
    users = _users(client)
    roles = {role.name: role for role in client.list_roles(WORKSPACE)}
    for name, grants in GRANTS.items():
        _set_role(client, name, grants | _own(name), roles.get(name))
    for name in SERVICES:
        password = os.environ[f"MLFLOW_{name.upper()}_PASSWORD"]
        if name in users:
            client.update_user_password(name, password)
        else:
            client.create_user(name, password)
        _assign(client, name, name)


def add(client: AuthServiceClient, name: str, role: str) -> str:
    """Make a person's account, or give one that is there another role. Returns what to say."""
    if role not in {*PEOPLE, ADMIN}:
        raise Refused(f"ROLE={role}: must be one of {', '.join([*PEOPLE, ADMIN])}")
    if name in RESERVED or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", name):
        raise Refused(f"NAME={name}: must be letters, digits and . _ @ -, and not a service's name")
    password = None
    with _whole_or_none(client) as made:
        if name not in _users(client):
            password = secrets.token_urlsafe(18)
            client.create_user(name, password)
            made.append(name)
        if role != ADMIN:
            _assign(client, name, role)
        client.update_user_admin(name, role == ADMIN)
    if password is None:
        return f"{name} is {role} now; the password stays"
    return f"{name} is {role}; the password, said only now: {password}"


def remove(client: AuthServiceClient, name: str) -> str:
    """End an account, at once. Returns what to say."""
    if name in RESERVED or name not in _users(client):
        raise Refused(f"NAME={name}: nobody of that name can be removed; `make users` lists all")
    client.delete_user(name)
    return f"{name} is removed"


def students(client: AuthServiceClient, sheets: str) -> str:
    """Make the accounts of a class, each for its own place alone. Returns the sheets filled in.

    hotserve may read each student's model, to serve it.
    """
    users, passwords = _users(client), dict[str, str]()
    marks = {name: (experiment, known) for name, experiment, known in PASSWORD.findall(sheets)}
    for name in marks:
        if (role := users.get(name, NO_ROLE)) != NO_ROLE:
            raise Refused(f"{name} is an account of a {role}: name the student in another way")
    with _whole_or_none(client) as made:
        for name, (experiment, known) in marks.items():
            passwords[name] = known
            if name not in users:
                passwords[name] = secrets.token_urlsafe(18)
                client.create_user(name, passwords[name])
                made.append(name)
            # Also to who has an account: a model that was made anew is nobody's.
            for grant in (
                (name, "experiment", experiment, "MANAGE"),
                (name, "registered_model", name, "MANAGE"),
                ("hotserve", "registered_model", name, "READ"),
            ):
                try:
                    client.grant_user_permission(*grant)
                except MlflowException as error:
                    if error.error_code != "RESOURCE_ALREADY_EXISTS":
                        raise
    return PASSWORD.sub(lambda mark: passwords[mark[1]], sheets)


@contextmanager
def _whole_or_none(client: AuthServiceClient) -> Iterator[list[str]]:
    """Accounts that are made in the block go again if it fails: nobody was told their passwords.

    Raises:
        MlflowException: they can't be removed either; it says which are left.
    """
    made = list[str]()
    try:
        yield made
    except BaseException as error:
        try:
            for name in made.copy():
                client.delete_user(name)
                made.remove(name)
        except (MlflowException, requests.RequestException):
            raise MlflowException(
                f"{_first_line(error)}; and nobody knows the password of {', '.join(made)}: "
                "make user NAME=… REMOVE=yes for each, and then the same again"
            ) from None
        raise


def _first_line(error: BaseException) -> str:
    # Of an error of the database's, the lines that follow hold what was to be written.
    return str(error).partition("\n")[0] or type(error).__name__


def _own(name: str) -> Grants:
    """What a service may do with its experiment, if that is there."""
    experiment = name in EXPERIMENTS and MlflowClient().get_experiment_by_name(EXPERIMENTS[name])
    return frozenset({("experiment", experiment.experiment_id, "MANAGE")} if experiment else ())


def _set_role(client: AuthServiceClient, name: str, grants: Grants, role: Role | None) -> None:
    role = role or client.create_role(WORKSPACE, name)
    there = {(one.resource_type, one.resource_pattern): one for one in role.permissions}
    for kind, pattern, permission in grants:
        before = there.pop((kind, pattern), None)
        if before is None:
            client.add_role_permission(role.id, kind, pattern, permission)
        elif before.permission != permission:
            client.update_role_permission(before.id, permission)
    for left_over in there.values():
        client.remove_role_permission(left_over.id)


def _assign(client: AuthServiceClient, user: str, role: str) -> None:
    """Give the user this one of our roles and no other; what is MLflow's own stays."""
    ours = {one.name: one.id for one in client.list_roles(WORKSPACE) if one.name in GRANTS}
    has = {one.id for one in client.list_user_roles(user)} & set(ours.values())
    if ours[role] not in has:
        client.assign_role(user, ours[role])
    for other in has - {ours[role]}:
        client.unassign_role(user, other)


def _users(client: AuthServiceClient) -> dict[str, str]:
    """Each user's role."""
    answer = requests.get(
        f"{client.tracking_uri}/api/2.0/mlflow/users/list",
        auth=(os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"]),
        timeout=60,
    )
    if answer.status_code == 401:
        raise Refused("MLflow refuses the admin's password: see MLFLOW_ADMIN_PASSWORD in .env")
    answer.raise_for_status()
    users = {}
    for user in answer.json()["users"]:
        names = {role["name"] for role in user["roles"]} & GRANTS.keys()
        users[user["username"]] = ADMIN if user["is_admin"] else ", ".join(names) or NO_ROLE
    return users


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    client = AuthServiceClient(os.environ["MLFLOW_TRACKING_URI"])
    try:
        match arguments:
            case []:
                set_up(client)
            case ["list"]:
                for name, role in _users(client).items():
                    print(f"{name:<24} {role}")
            case ["add", name, role]:
                print(add(client, name, role))
            case ["remove", name]:
                print(remove(client, name))
            case ["class"]:
                print(students(client, sys.stdin.read()), end="")
            case _:
                raise Refused(
                    "usage: python -m server.accounts [list | add NAME ROLE | remove NAME | class]"
                )
    except Refused as error:
        print(f"accounts: {error}", file=sys.stderr)
        return 2
    except requests.ConnectionError:
        print("accounts: MLflow does not answer: is the stack up?", file=sys.stderr)
        return 1
    except (MlflowException, requests.RequestException) as error:
        print(f"accounts: MLflow did not do it: {_first_line(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
