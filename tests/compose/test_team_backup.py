"""A team's users and the authority of its certificates are in a backup, too."""

import pytest
import requests

from tests.compose.stack import wait_until
from tests.compose.team import Team


@pytest.mark.timeout(1500)
def test_a_restore_brings_back_who_was_removed_and_keeps_the_certificate(team: Team) -> None:
    password = team.password_said(team.run("make user NAME=lia ROLE=reader"))
    session = team.session("lia", password)

    def status() -> int:
        """Of what everybody with a password may see; 0 while nobody answers."""
        try:
            url = f"{team.mlflow_url}/api/2.0/mlflow/users/current"
            return session.get(url, timeout=60).status_code
        except requests.ConnectionError:
            return 0

    assert status() == 200
    team.run("make backup")
    team.run("make user NAME=lia REMOVE=yes")
    assert status() == 401

    team.run("make restore SNAPSHOT=latest FORCE=yes")
    # By the certificate of before: another authority would be an error.
    wait_until(lambda: status() == 200, "the account to be back")
