"""After the first `docker compose up` on a machine that had nothing of it."""

import pytest
import requests

from tests.compose.stack import JOBS, MODEL, SERVERS, Stack, docker, wait_until
from tests.e2e.registry_page import chromium


@pytest.mark.timeout(900)
def test_the_jobs_have_ended_well_and_the_servers_are_healthy(stack: Stack) -> None:
    for job in JOBS:
        state = stack.state(job)
        assert (state["Status"], state["ExitCode"]) == ("exited", 0), stack.logs(job)
    for server in SERVERS:
        assert stack.state(server)["Health"]["Status"] == "healthy"


def test_nothing_had_to_be_started_twice(stack: Stack) -> None:
    assert {name: stack.state(name)["RestartCount"] for name in (*JOBS, *SERVERS)} == dict.fromkeys(
        (*JOBS, *SERVERS), 0
    )


def test_the_api_answers_as_the_chapter_asks(stack: Stack) -> None:
    assert stack.classify("boneca de pano") == "brinquedo"


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": ["boneca de pano"]},
        {"instances": ["boneca de pano"]},
        {"dataframe_split": {"columns": ["texto"], "data": [["boneca de pano"]]}},
    ],
    ids=lambda body: next(iter(body)),
)
def test_the_api_takes_json(stack: Stack, body: dict[str, object]) -> None:
    answer = requests.post(f"{stack.serve_url}/invocations", json=body, timeout=60)
    assert answer.json()["predictions"] == ["brinquedo"], answer.text


def test_the_runs_and_the_first_model_are_on_the_page(stack: Stack) -> None:
    page = requests.get(stack.mlflow_url, timeout=60)
    assert page.status_code == 200
    assert "<title>MLflow</title>" in page.text

    runs = stack.runs()
    assert len(runs) == 11, "ten runs, and their parent"
    assert {run["info"]["status"] for run in runs} == {"FINISHED"}
    assert [(v["version"], v["current_stage"]) for v in stack.versions()] == [("1", "Production")]


def keys_in_the_bucket(stack: Stack) -> list[str]:
    bucket = stack.setting("AWS_BUCKET_NAME")
    pages = stack.s3().get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]


def test_the_artifacts_lie_in_the_bucket(stack: Stack) -> None:
    keys = keys_in_the_bucket(stack)
    assert len([key for key in keys if key.endswith("/MLmodel")]) == 10
    assert any(key.endswith("input_example.json") for key in keys)
    # … and nowhere else: MLflow's own folder stays empty.
    assert stack.compose("exec", "-T", "mlflow", "sh", "-c", "ls -d /app/ml* || true").strip() == ""


def test_the_runs_lie_in_mysql(stack: Stack) -> None:
    assert stack.sql("SELECT status, COUNT(*) FROM runs GROUP BY status") == "FINISHED\t11"
    assert stack.sql(f"SELECT current_stage FROM model_versions WHERE name = '{MODEL}'") == (
        "Production"
    )


def test_mysql_s_log_of_changes_does_not_grow_for_a_month(stack: Stack) -> None:
    assert stack.sql("SELECT @@log_bin, @@binlog_expire_logs_seconds") == f"1\t{7 * 86400}"


def test_the_console_shows_the_bucket_and_its_artifacts(stack: Stack) -> None:
    if not stack.setting("S3_IMAGE").startswith("local/"):
        pytest.skip("the steps are those of MinIO's older page, which the S3 from packages has")
    with chromium() as browser:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{stack.setting('S3_CONSOLE_PORT')}/")
        page.fill("#accessKey", stack.setting("AWS_ACCESS_KEY_ID"))
        page.fill("#secretKey", stack.setting("AWS_SECRET_ACCESS_KEY"))
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/minio/{stack.setting('AWS_BUCKET_NAME')}/")
        for folder in {key.partition("/")[0] for key in keys_in_the_bucket(stack)}:
            page.get_by_text(f"{folder}/", exact=True).wait_for()


def test_mlflow_refuses_a_host_that_it_was_not_told_of(stack: Stack) -> None:
    url = f"{stack.mlflow_url}/api/2.0/mlflow/experiments/search?max_results=1"
    assert requests.get(url, timeout=60).status_code == 200
    foreign = requests.get(url, headers={"Host": "rebound.example"}, timeout=60)
    assert foreign.status_code == 403


def test_mlflow_s_job_runner_is_off(stack: Stack) -> None:
    processes = docker("top", stack.container("mlflow"), "-eo", "pid,args")
    assert "huey" not in processes
    # A health check may be there at that moment, as itself or as Docker is starting it.
    others = ("runc init", "urllib.request")
    servers = [
        line for line in processes.splitlines() if not any(other in line for other in others)
    ]
    assert len(servers) <= 4, processes


def test_requests_to_mlflow_do_not_fill_its_log(stack: Stack) -> None:
    """The API asks once a second, and the health check every five."""
    log = stack.logs("mlflow", tail=2000)
    assert "Uvicorn running" in log
    assert "GET /" not in log


def test_a_health_check_of_the_database_is_no_refused_login(stack: Stack) -> None:
    """Each would be a warning in its log, some thirty thousand a day."""

    seen: set[str] = set()

    def three_checks() -> bool:
        seen.add(stack.state("db")["Health"]["Log"][-1]["Start"])
        return len(seen) >= 3

    refused = stack.refused_logins()
    wait_until(three_checks, "three health checks")
    assert stack.refused_logins() == refused
