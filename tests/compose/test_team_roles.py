"""Who may do what: the table of `docs/team.md`, each cell of it tried over TLS."""

from dataclasses import dataclass
from typing import Any

import pytest
import requests

from tests.compose.stack import MODEL
from tests.compose.team import ACCOUNTS, Team, allowed

API = "/api/2.0/mlflow"
AJAX = "/ajax-api/2.0/mlflow"
ALL = "for everybody"
NONE = "for nobody"


@dataclass(frozen=True)
class Request:
    """One way to do a thing. `{run}` and the like are filled in; what is named may not exist."""

    row: str
    method: str
    path: str
    body: dict[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.row}: {self.method} {self.path.partition('?')[0]}"


SEE_RUNS = "see experiments, runs and their files"
SEE_MODELS = "see models and their files"
MAKE = "make experiments and models"
LOG = "log runs and files"
REMOVE = "remove runs and files"
REMOVE_WHOLE = "remove experiments and models"
REGISTER = "register versions"
PROMOTE = "promote: stages, aliases, names of models"
REMOVE_VERSIONS = "remove versions"
ADMIN = "users, roles, webhooks"

VERSION_9 = {"name": MODEL, "version": "999"}
REQUESTS = [
    Request(ALL, "GET", "/"),
    Request(ALL, "GET", f"{API}/users/current"),
    Request(ALL, "GET", f"{API}/experiments/search?max_results=10"),
    Request(ALL, "GET", f"{API}/registered-models/search"),
    Request(SEE_RUNS, "GET", f"{API}/experiments/get?experiment_id={{experiment}}"),
    Request(SEE_RUNS, "GET", f"{API}/experiments/get-by-name?experiment_name={MODEL}"),
    Request(SEE_RUNS, "GET", f"{API}/runs/get?run_id={{run}}"),
    Request(SEE_RUNS, "GET", f"{API}/metrics/get-history?run_id={{run}}&metric_key=acuracia"),
    Request(SEE_RUNS, "GET", f"{API}/artifacts/list?run_id={{run}}"),
    Request(SEE_RUNS, "GET", "/get-artifact?run_id={run}&path={file}"),
    Request(
        SEE_RUNS, "GET", f"{API}-artifacts/artifacts/{{experiment}}/{{run}}/artifacts/{{file}}"
    ),
    Request(
        SEE_RUNS, "GET", f"{AJAX}-artifacts/artifacts/{{experiment}}/{{run}}/artifacts/{{file}}"
    ),
    Request(SEE_RUNS, "GET", f"{API}-artifacts/artifacts?path={{experiment}}/{{run}}/artifacts"),
    Request(
        SEE_RUNS, "GET", f"{API}-artifacts/presigned/{{experiment}}/{{run}}/artifacts/{{file}}"
    ),
    Request(SEE_RUNS, "GET", f"{API}/logged-models/{{model}}"),
    Request(
        SEE_RUNS,
        "GET",
        f"{AJAX}/logged-models/{{model}}/artifacts/files?artifact_file_path=MLmodel",
    ),
    Request(SEE_MODELS, "GET", f"{API}/registered-models/get?name={MODEL}"),
    Request(SEE_MODELS, "GET", f"{API}/model-versions/get?name={MODEL}&version=1"),
    Request(SEE_MODELS, "GET", f"{API}/model-versions/get-download-uri?name={MODEL}&version=1"),
    Request(SEE_MODELS, "GET", f"/model-versions/get-artifact?name={MODEL}&version=1&path=MLmodel"),
    Request(MAKE, "POST", f"{API}/experiments/create", {"name": MODEL}),
    Request(MAKE, "POST", f"{AJAX}/experiments/create", {"name": MODEL}),
    Request(MAKE, "POST", f"{API}/registered-models/create", {"name": MODEL}),
    Request(LOG, "POST", f"{API}/runs/create", {"experiment_id": "{experiment}"}),
    Request(LOG, "POST", f"{API}/runs/set-tag", {"run_id": "{run}", "key": "k", "value": "v"}),
    Request(
        LOG,
        "POST",
        f"{API}/runs/log-metric",
        {"run_id": "{run}", "key": "k", "value": 1, "timestamp": 1},
    ),
    Request(LOG, "POST", f"{AJAX}/upload-artifact?run_uuid={{run}}&path=nota.txt", {}),
    Request(LOG, "PUT", f"{API}-artifacts/artifacts/{{experiment}}/{{run}}/artifacts/nota.txt", {}),
    Request(
        LOG, "PUT", f"{AJAX}-artifacts/artifacts/{{experiment}}/{{run}}/artifacts/nota.txt", {}
    ),
    *(
        Request(
            LOG,
            "POST",
            f"{API}-artifacts/mpu/{step}/{{experiment}}/{{run}}/artifacts",
            {"path": "nota.txt", "num_parts": 1, "upload_id": "1", "parts": []},
        )
        for step in ("create", "complete", "abort")
    ),
    Request(REMOVE, "POST", f"{API}/runs/delete", {"run_id": "{spare}"}),
    Request(
        REMOVE,
        "DELETE",
        f"{API}-artifacts/artifacts/{{experiment}}/{{spare}}/artifacts/nada.txt",
    ),
    Request(
        REGISTER, "POST", f"{API}/model-versions/create", {"name": MODEL, "source": "file:///etc"}
    ),
    Request(
        PROMOTE,
        "POST",
        f"{API}/model-versions/transition-stage",
        VERSION_9 | {"stage": "Production"},
    ),
    Request(PROMOTE, "POST", f"{API}/registered-models/alias", VERSION_9 | {"alias": "production"}),
    Request(PROMOTE, "POST", f"{AJAX}/registered-models/alias", VERSION_9 | {"alias": "staging"}),
    Request(PROMOTE, "DELETE", f"{API}/registered-models/alias?name={MODEL}&alias=nenhum"),
    Request(PROMOTE, "POST", f"{API}/registered-models/rename", {"name": MODEL}),
    Request(REMOVE_VERSIONS, "DELETE", f"{API}/model-versions/delete", VERSION_9),
    Request(ADMIN, "GET", f"{API}/users/list"),
    Request(ADMIN, "GET", f"{AJAX}/users/list"),
    Request(ADMIN, "GET", f"{API}/users/get?username=admin"),
    Request(ADMIN, "POST", f"{API}/users/create", {"username": "", "password": ""}),
    Request(ADMIN, "PATCH", f"{API}/users/update-admin", {"username": "x", "is_admin": True}),
    Request(ADMIN, "PATCH", f"{API}/users/update-password", {"username": "x", "password": "x"}),
    Request(ADMIN, "DELETE", f"{API}/users/delete", {"username": "x"}),
    Request(ADMIN, "GET", "/api/3.0/mlflow/roles/list?workspace=default"),
    Request(ADMIN, "POST", "/api/3.0/mlflow/roles/create", {"workspace": "default", "name": ""}),
    Request(ADMIN, "POST", "/api/3.0/mlflow/roles/assign", {"username": "x", "role_id": 1}),
    *(
        Request(
            ADMIN,
            "POST",
            f"{api}/3.0/mlflow/users/permissions/{what}",
            {
                "username": "x",
                "resource_type": "registered_model",
                "resource_id": MODEL,
                "permission": "READ",
            },
        )
        for api in ("/api", "/ajax-api")
        for what in ("grant", "revoke")
    ),
    Request(ADMIN, "GET", f"{API}/webhooks"),
    Request(ADMIN, "POST", f"{API}/webhooks", {"name": "x"}),
    Request(ADMIN, "PATCH", f"{API}/webhooks/1", {"name": "x"}),
    Request(ADMIN, "DELETE", f"{API}/webhooks/1"),
    Request(ADMIN, "POST", f"{API}/webhooks/1/test", {}),
    Request(NONE, "GET", "/signup"),
    Request(NONE, "POST", f"{API}/users/create-ui", {}),
    Request(NONE, "GET", "/ajax-api/3.0/mlflow/assistant/config"),
    Request(NONE, "GET", "//ajax-api/3.0/mlflow/assistant/config"),
    Request(NONE, "GET", "/ajax-api/3.0/mlflow/%61ssistant/config"),
    Request(NONE, "GET", "/ajax-api/3.0/mlflow/x/../assistant/config"),
    Request(NONE, "GET", "/ajax-api/3.0/jobs/1"),
    Request(NONE, "GET", "/ajax-api/3.0/mlflow/jobs/1"),
    Request(NONE, "GET", "/ajax-api/3.0/mlflow/gateway/supported-providers"),
    Request(NONE, "GET", f"{AJAX}/gateway-proxy"),
    Request(NONE, "POST", "/gateway/mlflow/v1/chat/completions", {}),
    Request(NONE, "POST", "/ajax-api/3.0/mlflow/demo/generate", {}),
    Request(NONE, "GET", "/ajax-api/3.0/mlflow/mcp-servers"),
    Request(NONE, "GET", "/metrics"),
]


@pytest.fixture(scope="module")
def ids(team: Team, accounts: dict[str, requests.Session]) -> dict[str, str]:
    """What the paths and bodies name: the served version's run, and a run that may go."""
    trainer = accounts["trainer"]
    url = f"{team.mlflow_url}{API}"
    version = trainer.get(
        f"{url}/model-versions/get", params={"name": MODEL, "version": "1"}, timeout=60
    ).json()["model_version"]
    run = trainer.get(f"{url}/runs/get", params={"run_id": version["run_id"]}, timeout=60).json()
    experiment = run["run"]["info"]["experiment_id"]
    spare = trainer.post(f"{url}/runs/create", json={"experiment_id": experiment}, timeout=60)
    ids = {
        "experiment": experiment,
        "run": version["run_id"],
        "spare": spare.json()["run"]["info"]["run_id"],
        "model": version["source"].rpartition("/")[2],
        "file": "ficha.txt",
    }
    path = "{experiment}/{run}/artifacts/{file}".format(**ids)
    assert trainer.put(f"{url}-artifacts/artifacts/{path}", data=b"x", timeout=60).ok
    return ids


def send(
    session: requests.Session, url: str, request: Request, ids: dict[str, str]
) -> requests.Response:
    """The answer to the request. The path goes out as it is written."""
    body = request.body and {
        name: value.format(**ids) if isinstance(value, str) else value
        for name, value in request.body.items()
    }
    prepared = session.prepare_request(requests.Request(request.method, url, json=body))
    prepared.url = url + request.path.format(**ids)
    return session.send(prepared, timeout=60, allow_redirects=False, verify=session.verify)


def may(account: str, row: str) -> bool:
    """What the page says of things of the trainer's."""
    if row in (ALL, NONE):
        return row == ALL
    word = allowed()[row][account]
    return word == "yes" or (word == "own" and account == "trainer")


def test_the_page_and_the_requests_speak_of_the_same_things() -> None:
    assert set(allowed()) == {REMOVE_WHOLE, *(one.row for one in REQUESTS)} - {ALL, NONE}


@pytest.mark.parametrize("account", ["nobody", *ACCOUNTS])
@pytest.mark.parametrize("request_", REQUESTS, ids=str)
def test_each_may_do_what_the_page_says(
    team: Team,
    accounts: dict[str, requests.Session],
    ids: dict[str, str],
    request_: Request,
    account: str,
) -> None:
    answer = send(accounts[account], team.mlflow_url, request_, ids)
    what = f"{account} {answer.status_code} {answer.text[:200]}"
    if request_.row == NONE:
        assert answer.status_code in (401, 404), what
    elif account == "nobody":
        assert answer.status_code == 401, what
    elif may(account, request_.row):
        if answer.status_code == 501:
            return  # MLflow signs no addresses of S3's here: files go through it
        assert answer.status_code < 500, what
        assert answer.status_code not in (401, 403), what
        if request_.row in (ALL, SEE_RUNS, SEE_MODELS):
            assert answer.status_code == 200, what
    else:
        assert answer.status_code == 403, what


def of_the_admin(team: Team, admin: requests.Session) -> str:
    """The number of an experiment that no other account has made."""
    url, name = f"{team.mlflow_url}{API}/experiments", "da admin"
    admin.post(f"{url}/create", json={"name": name}, timeout=60)
    found = admin.get(f"{url}/get-by-name", params={"experiment_name": name}, timeout=60)
    return str(found.json()["experiment"]["experiment_id"])


@pytest.mark.parametrize("account", ACCOUNTS)
def test_a_list_or_a_query_shows_only_what_the_account_may_see(
    team: Team, accounts: dict[str, requests.Session], account: str
) -> None:
    number = of_the_admin(team, accounts["admin"])
    sees_all = account not in ("trainer",)
    session = accounts[account]
    found = session.get(
        f"{team.mlflow_url}{API}/experiments/search", params={"max_results": 100}, timeout=60
    ).json()["experiments"]
    assert (number in {one["experiment_id"] for one in found}) == sees_all
    query = (
        "query($data: MlflowGetExperimentInput!)"
        "{mlflowGetExperiment(input:$data){experiment{name}}}"
    )
    answer = session.post(
        f"{team.mlflow_url}/graphql",
        json={"query": query, "variables": {"data": {"experimentId": number}}},
        timeout=60,
    ).json()
    shown = (answer["data"]["mlflowGetExperiment"] or {}).get("experiment")
    assert bool(shown) == sees_all, answer


@pytest.mark.parametrize(
    "way", ["{own}/../{other}", "{own}/%2e%2e/{other}", "{own}/%252e%252e/{other}"]
)
def test_no_path_leads_around_into_another_s_experiment(
    team: Team, accounts: dict[str, requests.Session], ids: dict[str, str], way: str
) -> None:
    other = of_the_admin(team, accounts["admin"])
    files = f"{team.mlflow_url}{API}-artifacts/artifacts"
    assert accounts["admin"].put(f"{files}/{other}/ficha.txt", data=b"x", timeout=60).ok
    path = f"{API}-artifacts/artifacts/{way.format(own=ids['experiment'], other=other)}/ficha.txt"
    request = Request(SEE_RUNS, "GET", path)
    assert send(accounts["trainer"], team.mlflow_url, request, ids).status_code in (400, 403, 404)


def test_who_made_an_experiment_may_do_everything_with_it(
    team: Team, accounts: dict[str, requests.Session]
) -> None:
    url, scientist = f"{team.mlflow_url}{API}", accounts["scientist"]
    made = scientist.post(f"{url}/experiments/create", json={"name": "meu"}, timeout=60).json()
    run = scientist.post(f"{url}/runs/create", json=made, timeout=60).json()["run"]["info"]
    for who, code in (("promoter", 403), ("reader", 403), ("trainer", 403), ("scientist", 200)):
        answer = accounts[who].post(
            f"{url}/runs/delete", json={"run_id": run["run_id"]}, timeout=60
        )
        assert answer.status_code == code, (who, answer.text)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_an_experiment_and_a_model_are_removed_by_whom_the_page_says(
    team: Team, accounts: dict[str, requests.Session], account: str
) -> None:
    url, trainer, name = f"{team.mlflow_url}{API}", accounts["trainer"], f"sobra-{account}"
    made = trainer.post(f"{url}/experiments/create", json={"name": name}, timeout=60).json()
    model = {"name": name}
    assert trainer.post(f"{url}/registered-models/create", json=model, timeout=60).ok
    code = 200 if may(account, REMOVE_WHOLE) else 403
    session = accounts[account]
    answers = [
        session.post(f"{url}/experiments/delete", json=made, timeout=60),
        session.delete(f"{url}/registered-models/delete", json=model, timeout=60),
    ]
    assert [one.status_code for one in answers] == [code, code]
