"""The page `docs/team.md` as people use it: accounts, tokens, the web page, the chapter's way."""

import json

import pytest
import requests

from tests.compose.stack import MODEL, wait_until
from tests.compose.team import Team, commands
from tests.e2e.registry_page import RegistryPage, chromium


@pytest.fixture(scope="module")
def ana(team: Team) -> str:
    """The password of the page's scientist, after all commands of "People"."""
    make_ana, make_rui, users = commands("People")
    password = team.password_said(team.run(make_ana))
    team.run(make_rui)
    listed = dict(line.split(maxsplit=1) for line in team.run(users).splitlines())
    assert listed["ana"] == "scientist"
    assert listed["rui"] == "promoter"
    assert listed["admin"] == "admin"
    assert listed["hotserve"] == "hotserve"
    return password


def sees(team: Team, name: str, password: str) -> int:
    """The status of what everybody with a password may see."""
    url = f"{team.mlflow_url}/api/2.0/mlflow/users/current"
    return team.session(name, password).get(url, timeout=60).status_code


def test_who_is_removed_is_out_with_the_next_request(team: Team, ana: str) -> None:  # noqa: ARG001
    made = team.try_run("make user NAME=eva ROLE=reader")
    assert "Warning" not in made.stderr
    password = team.password_said(made.stdout)
    assert sees(team, "eva", password) == 200  # and is remembered from now on
    team.run("make user NAME=eva REMOVE=yes")
    assert sees(team, "eva", password) == 401
    assert "eva" not in team.run("make users")


def test_another_role_counts_at_once_and_the_password_stays(team: Team, ana: str) -> None:
    url = f"{team.mlflow_url}/api/2.0/mlflow/experiments/create"
    session = team.session("ana", ana)
    for role, code in (("reader", 403), ("scientist", 400)):
        assert "the password stays" in team.run(f"make user NAME=ana ROLE={role}")
        assert session.post(url, json={"name": ""}, timeout=60).status_code == code


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("make user NAME=bia ROLE=chefe", "ROLE=chefe: must be one of reader, scientist"),
        ("make user NAME='b a' ROLE=reader", "NAME=b a: must be letters"),
        ("make user NAME=trainer ROLE=admin", "NAME=trainer: must be letters"),
        ("make user NAME=admin REMOVE=yes", "NAME=admin: nobody of that name can be removed"),
        ("make user NAME=nobody REMOVE=yes", "NAME=nobody: nobody of that name can be removed"),
        ("make token NAME=first", "first has a token already"),
        ("make token NAME='b a'", "NAME must be 30 letters"),
        ("make token NAME=nobody REMOVE=yes", "nobody called nobody has a token"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(team: Team, line: str, said: str) -> None:
    done = team.try_run(line)
    assert done.returncode
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_twenty_wrong_passwords_let_nobody_in_and_lock_nobody_out(team: Team, ana: str) -> None:
    assert [sees(team, "ana", f"errada-{number}") for number in range(20)] == [401] * 20
    assert sees(team, "ana", ana) == 200


def test_a_restart_of_the_accounts_job_changes_nothing(team: Team, ana: str) -> None:
    before = team.run("make users")
    team.stack.compose("run", "--rm", "--no-deps", "-T", "accounts")
    assert team.run("make users") == before
    assert sees(team, "ana", ana) == 200


def test_each_client_has_a_token_that_can_be_taken_away(team: Team) -> None:
    make_one, listing = commands("Tokens of the API")[:2]
    token = team.run(make_one).strip()
    assert team.run(listing).split() == ["first", "loja"]
    session = team.session()
    session.headers["Authorization"] = f"Bearer {token}"

    def status() -> int:
        return session.get(f"{team.serve_url}/metrics", timeout=60).status_code

    wait_until(lambda: status() == 200, "the new token to count")
    team.run("make token NAME=loja REMOVE=yes")
    wait_until(lambda: status() == 401, "the token to be refused")
    refused = team.try_run("make token NAME=first REMOVE=yes")
    assert "the last one; make another first" in refused.stderr


def test_the_first_token_can_be_changed_for_another(team: Team) -> None:
    new = team.run("make token NAME=prometheus").strip()
    said = team.run("make token NAME=first REMOVE=yes")
    assert "It was HOTSERVE_TOKEN in .env" in said
    file = team.folder / ".env"
    first = team.setting("HOTSERVE_TOKEN")
    file.write_text(file.read_text("utf-8").replace(first, new), encoding="utf-8")
    # A start with the new one makes no token of it once more.
    team.stack.compose("run", "--rm", "--no-deps", "-T", "tokens")
    assert team.run("make tokens").split() == ["prometheus"]

    def status(token: str) -> int:
        session = team.session()
        session.headers["Authorization"] = f"Bearer {token}"
        return session.get(f"{team.serve_url}/metrics", timeout=60).status_code

    wait_until(lambda: (status(first), status(new)) == (401, 200), "the new one alone to count")


def test_a_promoter_logs_in_and_promotes_in_the_web_page(
    team: Team, accounts: dict[str, requests.Session]
) -> None:
    user, password = accounts["promoter"].auth  # type: ignore[misc]
    url = f"{team.mlflow_url}/api/2.0/mlflow/model-versions/get"

    def stage() -> str:
        answer = accounts["reader"].get(url, params={"name": MODEL, "version": "1"}, timeout=60)
        return str(answer.json()["model_version"]["current_stage"])

    with chromium() as browser:
        context = browser.new_context(
            ignore_https_errors=True,  # Chromium keeps its authorities where tests can't put one
            http_credentials={"username": str(user), "password": str(password)},
            viewport={"width": 1600, "height": 1000},
            locale="en-US",
        )
        page = RegistryPage(context.new_page(), team.mlflow_url)
        page.open_version(MODEL, 1)
        page.show_stages()
        page.move_to("Staging", "Production")
        wait_until(lambda: stage() == "Staging", "the promotion")
        page.move_to("Production", "Staging")
        wait_until(lambda: stage() == "Production", "the promotion back")


def test_the_api_answers_as_the_page_says(team: Team) -> None:
    wait_until(
        lambda: team.session().get(f"{team.serve_url}/ping", timeout=60).status_code == 200,
        "a version to be served",
    )
    line = commands("Tokens of the API")[2]
    assert "brinquedo" in team.run(line, TOKEN=team.setting("HOTSERVE_TOKEN"))

    def logged() -> list[dict[str, str]]:
        lines = team.stack.logs("classificador-produtos").splitlines()
        asked = [json.loads(line) for line in lines if line.startswith("{")]
        return [one for one in asked if one["path"] == "/invocations"]

    wait_until(logged, "the request to be in the log")
    last = logged()[-1]
    # The first token, which other tests change for another.
    assert last["client_name"] in ("first", "prometheus")
    assert last["client"] not in team.stack.addresses("caddy").values()


def test_what_was_deleted_is_freed(team: Team, accounts: dict[str, requests.Session]) -> None:
    session, api = accounts["scientist"], f"{team.mlflow_url}/api/2.0"
    made = session.post(f"{api}/mlflow/experiments/create", json={"name": "freed"}, timeout=60)
    experiment = made.json()["experiment_id"]
    files = f"{api}/mlflow-artifacts/artifacts"

    def run() -> dict[str, str]:
        asked = {"experiment_id": experiment}
        answer = session.post(f"{api}/mlflow/runs/create", json=asked, timeout=60)
        info: dict[str, str] = answer.json()["run"]["info"]
        for name in ("a", "b"):
            path = f"{files}/{experiment}/{info['run_id']}/artifacts/{name}"
            session.put(path, b"x", timeout=60).raise_for_status()
        return info

    def left(run: dict[str, str]) -> list[str]:
        path = f"{experiment}/{run['run_id']}/artifacts"
        found = session.get(files, params={"path": path}, timeout=60).json()
        return [one["path"] for one in found.get("files", [])]

    kept, freed = run(), run()
    deleted = session.post(
        f"{api}/mlflow/runs/delete", json={"run_id": freed["run_id"]}, timeout=60
    )
    assert deleted.status_code == 200
    team.run("make gc")
    assert left(freed) == ["a", "b"]
    assert freed["run_id"] in team.run("make gc OLDER_THAN=0d")
    assert (left(kept), left(freed)) == (["a", "b"], [])


def test_the_chapter_s_way(team: Team, ana: str) -> None:
    lines = commands("The chapter's way")
    assert len(lines) == 5
    said = team.run("\n".join(["set -e", *lines]), PASSWORD=ana)
    assert "brinquedo" in said
    answers = (team.folder / "respostas.csv").read_text("utf-8").splitlines()
    assert len(answers) > 1000


@pytest.mark.parametrize(
    "job",
    [
        "trainer mlflow run . -P test_size=0.25",
        "batch --input /app/produtos.csv --output s3://mlflow/respostas.csv",
    ],
)
def test_the_services_jobs_run_as_without_logins(team: Team, job: str) -> None:
    team.run(f"docker compose run --rm -T {job}")
