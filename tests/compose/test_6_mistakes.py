"""What a user may get wrong, and the one line that says so."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compose.stack import Stack, docker, wait_until


def bucket_job(stack: Stack, **settings: str) -> tuple[int, str]:
    """The bucket job with other settings; its exit code and all that it wrote."""
    options = [word for pair in settings.items() for word in ("-e", "=".join(pair))]
    done = stack.try_compose("run", "--rm", "--no-deps", "-T", *options, "create_s3_buckets")
    said = [
        line for line in (done.stdout + done.stderr).splitlines() if "create_s3_buckets:" in line
    ]
    assert len(said) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.returncode, said[0].removeprefix("create_s3_buckets: ")


def test_the_bucket_job_says_whether_it_made_the_bucket(stack: Stack) -> None:
    assert bucket_job(stack, AWS_BUCKET_NAME="outro") == (0, "the bucket outro was made")
    assert bucket_job(stack, AWS_BUCKET_NAME="outro") == (0, "the bucket outro is there already")


def test_wrong_keys_are_an_error_at_once(stack: Stack) -> None:
    for wrong in ({"AWS_SECRET_ACCESS_KEY": "not-the-key"}, {"AWS_ACCESS_KEY_ID": "nobody"}):
        code, said = bucket_job(stack, **wrong, S3_WAIT_SECONDS="3600")
        assert code == 2
        assert said.startswith("S3 does not accept the keys: see AWS_ACCESS_KEY_ID")


def test_a_name_that_no_bucket_can_have(stack: Stack) -> None:
    code, said = bucket_job(stack, AWS_BUCKET_NAME="Not A Name")
    assert code == 2
    assert said.startswith("AWS_BUCKET_NAME=Not A Name")


def test_an_s3_that_is_not_there_is_given_up(stack: Stack) -> None:
    code, said = bucket_job(stack, S3_ENDPOINT_URL="http://s3:1", S3_WAIT_SECONDS="2")
    assert code == 1
    assert said.startswith("gave up on http://s3:1 after 2 s")


def test_an_endpoint_that_is_no_url(stack: Stack) -> None:
    code, said = bucket_job(stack, S3_ENDPOINT_URL="s3")
    assert code == 2
    assert said.startswith("S3_ENDPOINT_URL=s3")


def test_settings_that_no_service_can_use_end_the_start_and_are_named(
    built: None,  # noqa: ARG001
    new_stack: Callable[..., Stack],
) -> None:
    mistakes = {
        "AWS_SECRET_ACCESS_KEY": "abc",
        "MYSQL_PASSWORD": "canção",
        "MYSQL_BUFFER_POOL": "banana",
        "MLFLOW_WORKERS": "two",
        "HOTSERVE_TOKEN": "abre te",
    }
    mine = new_stack(**mistakes)
    done = mine.try_compose("up", "--detach")
    assert done.returncode != 0
    assert 'service "check_settings" didn\'t complete successfully' in done.stderr
    told = mine.logs("check_settings").strip().splitlines()
    assert told == [
        f"check_settings: {line}; change it in .env"
        for line in (
            "AWS_SECRET_ACCESS_KEY: must be 8 characters at least",
            "MYSQL_PASSWORD: must be of ASCII characters",
            (
                "MYSQL_BUFFER_POOL=banana: must be a number of bytes, with K, M or G behind it, "
                "such as 64M"
            ),
            "MLFLOW_WORKERS=two: must be a whole number from 1",
            "HOTSERVE_TOKEN: must be visible ASCII characters without spaces",
        )
    ]
    running = set(mine.compose("ps", "--services").split())
    assert not {"db", "mlflow", "trainer", "classificador-produtos"} & running

    # Nothing was made with them: the right ones are all that the next start needs.
    for name in mistakes:
        del mine.settings[name]
    mine.compose("up", "--detach", "mlflow")
    mine.wait_healthy("mlflow")
    mine.forget()


def test_a_company_s_proxy_does_not_get_between_the_services(
    built: None,  # noqa: ARG001
    new_stack: Callable[..., Stack],
    tmp_path: Path,
) -> None:
    """Docker's client hands its proxy to each container, and here nobody listens there."""
    proxy = {"httpProxy": "http://127.0.0.1:9", "httpsProxy": "http://127.0.0.1:9"}
    settings = {"proxies": {"default": {**proxy, "noProxy": "intranet.example.org"}}}
    (tmp_path / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    mine = new_stack(DOCKER_CONFIG=str(tmp_path))
    mine.compose("up", "--detach")
    assert "HTTP_PROXY=http://127.0.0.1:9" in docker(
        "inspect", "--format", "{{.Config.Env}}", mine.container("trainer")
    )
    mine.wait_trained()
    mine.wait_answering()
    assert mine.classify() == "brinquedo"
    mine.forget()


def test_an_older_mlflow_s_database_waits_for_one_command(
    built: None,  # noqa: ARG001
    new_stack: Callable[..., Stack],
) -> None:
    mine = new_stack()
    older = (
        "import os; from alembic import command; from mlflow.store.db import utils;"
        "uri = os.environ['MLFLOW_BACKEND_STORE_URI'];"
        "utils.InitialBase.metadata.create_all(utils.create_sqlalchemy_engine_with_retry(uri));"
        "command.upgrade(utils._get_alembic_config(uri), 'head-1')"
    )
    in_mlflow = ("run", "--rm", "-T", "mlflow", "python", "-m", "server.with_mysql")
    mine.compose(*in_mlflow, "python", "-c", older)
    mine.sql(
        "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage)"
        " VALUES (7, 'antigo', 'mlflow-artifacts:/7', 'active')"
    )
    mine.compose("up", "--detach", "mlflow")
    wait_until(lambda: "older MLflow" in mine.logs("mlflow"), "the message")
    (told,) = [line for line in mine.logs("mlflow").splitlines() if "older MLflow" in line]

    assert told.endswith("run `make upgrade`")
    mine.compose(*in_mlflow, "upgrade")  # the step of it that this is about
    mine.wait_healthy("mlflow")
    found = mine.api("experiments/search", max_results=9)["experiments"]
    assert "antigo" in {one["name"] for one in found}
    assert mine.state("mlflow")["RestartCount"] == 0
    assert "Traceback" not in mine.logs("mlflow", tail=1000)
    mine.forget()


def test_a_port_in_use_stops_up_and_is_named(built: None, new_stack: Callable[..., Stack]) -> None:  # noqa: ARG001
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        mine = new_stack(S3_PORT=port)
        done = mine.try_compose("up", "--detach", "s3")
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert f"127.0.0.1:{port}" in last
    assert "address already in use" in last
    mine.forget()


def test_a_password_changed_after_the_first_start_is_told_once_and_not_in_a_loop(
    built: None,  # noqa: ARG001
    new_stack: Callable[..., Stack],
) -> None:
    mine = new_stack()
    mine.compose("up", "--detach", "db")
    mine.wait_healthy("db")
    mine.settings["MYSQL_PASSWORD"] = "another-one"
    mine.compose("up", "--detach", "--no-deps", "mlflow")
    wait_until(lambda: "refuses" in mine.logs("mlflow"), "the message")
    refused = mine.refused_logins()
    wait_until(lambda: mine.refused_logins() >= refused + 2, "it to try again, twice")

    said = mine.logs("mlflow").strip().splitlines()
    assert "refuses the user mlflow: see MYSQL_USER and MYSQL_PASSWORD" in said[-1]
    assert len([line for line in said if "refuses" in line]) == 1
    assert "Traceback" not in "".join(said)
    assert mine.state("mlflow")["RestartCount"] == 0
    mine.forget()


@pytest.mark.slow
def test_a_first_start_cut_off_while_mlflow_makes_its_tables_is_begun_anew(
    built: None,  # noqa: ARG001
    new_stack: Callable[..., Stack],
) -> None:
    mine = new_stack()
    mine.compose("up", "--detach", "db", "s3")
    mine.wait_healthy("db")
    # A table of the user's own, which must outlive all of it.
    mine.sql("CREATE TABLE theirs (id INT); INSERT INTO theirs VALUES (1)")
    mine.compose("up", "--detach", "mlflow")
    wait_until(lambda: "alembic_version" in mine.sql("SHOW TABLES"), "the first tables", pause=0)
    mine.compose("kill", "mlflow")
    half = mine.sql("SHOW TABLES").split()
    assert "workspaces" not in half, "it was killed too late to show anything"

    mine.compose("up", "--detach", "mlflow")
    mine.wait_healthy("mlflow")
    assert "the first start was cut off" in mine.logs("mlflow", tail=200)
    assert mine.state("mlflow")["RestartCount"] == 0
    assert mine.api("experiments/search", max_results=9)["experiments"][0]["name"] == "Default"
    assert mine.sql("SELECT id FROM theirs") == "1"

    # With data in them the tables are never touched.
    mine.api("experiments/create", name="mine")
    mine.kill_9("mlflow")
    mine.compose("up", "--detach", "mlflow")
    mine.wait_healthy("mlflow")
    assert mine.sql("SELECT COUNT(*) FROM experiments") == "2"
    mine.forget()
