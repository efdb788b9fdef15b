"""A team's users and the authority of its certificates are in a backup, too."""

from typing import Any

import pytest
import requests

from tests.compose.stack import wait_until
from tests.compose.team import Team


@pytest.mark.timeout(1500)
def test_a_restore_brings_back_who_was_removed_and_keeps_the_certificate(team: Team) -> None:
    password = team.password_said(team.run("make user NAME=lia ROLE=reader"))
    session = team.session("lia", password)
    assert status(team, session) == 200
    team.run("make backup")
    team.run("make user NAME=lia REMOVE=yes")
    assert status(team, session) == 401

    team.run("make restore SNAPSHOT=latest FORCE=yes")
    # By the certificate of before: another authority would be an error.
    wait_until(lambda: status(team, session) == 200, "the account to be back")


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_stack_whose_volumes_are_gone_is_the_same_after_a_restore(team: Team) -> None:
    password = team.password_said(team.run("make user NAME=gil ROLE=scientist"))
    token = team.run("make token NAME=gil").strip()
    session = team.session("gil", password)
    experiments = f"{team.mlflow_url}/api/2.0/mlflow/experiments"
    own = session.post(f"{experiments}/create", json={"name": "do-gil"}, timeout=60).json()
    people, tokens = team.run("make users"), team.run("make tokens")
    authority = team.certificate.read_bytes()
    runs = {run["info"]["run_id"] for run in runs_of(team)}
    team.run("make backup")

    team.run("docker compose down --volumes")
    # Nothing is there that it would replace: FORCE=yes is not needed.
    done = team.try_run("make restore SNAPSHOT=latest")
    assert done.returncode == 0, done.stderr
    assert "all files are there that the database names" in done.stderr
    team.stack.wait_trained()
    team.stack.wait_healthy("mlflow", "classificador-produtos")
    wait_until(lambda: status(team, session) == 200, "the account to be back")

    assert team.run("make users") == people
    assert team.run("make tokens") == tokens
    team.run("make certificate")
    assert team.certificate.read_bytes() == authority
    assert {run["info"]["run_id"] for run in runs_of(team)} == runs
    # A scientist removes what is his own, and nobody else's.
    others = {"experiment_id": runs_of(team)[0]["info"]["experiment_id"]}
    for asked, code in ((others, 403), (own, 200)):
        answer = session.post(f"{experiments}/delete", json=asked, timeout=60)
        assert answer.status_code == code, answer.text
    assert status(team, team.session("gil", "errada")) == 401
    api = f"{team.serve_url}/invocations"
    for one, code in ((token, 200), ("x" * len(token), 401)):
        headers = {"Authorization": f"Bearer {one}", "Content-Type": "text/csv"}
        answer = team.session().post(api, data=b"boneca", headers=headers, timeout=60)
        assert answer.status_code == code, answer.text

    team.run("make token NAME=gil REMOVE=yes")
    team.run("make user NAME=gil REMOVE=yes")


def status(team: Team, session: requests.Session) -> int:
    """Of what everybody with a password may see; 0 while nobody answers."""
    try:
        url = f"{team.mlflow_url}/api/2.0/mlflow/users/current"
        return session.get(url, timeout=60).status_code
    except requests.ConnectionError:
        return 0


def runs_of(team: Team) -> list[dict[str, Any]]:
    """All runs, as the admin sees them."""
    admin = team.session("admin", team.setting("MLFLOW_ADMIN_PASSWORD"))
    api = f"{team.mlflow_url}/api/2.0/mlflow"
    asked = {"max_results": 100}
    found = admin.post(f"{api}/experiments/search", json=asked, timeout=60).json()["experiments"]
    ids = {"experiment_ids": [one["experiment_id"] for one in found]}
    return list(admin.post(f"{api}/runs/search", json=asked | ids, timeout=60).json()["runs"])
