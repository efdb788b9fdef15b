"""What the first job says of settings: each wrong one in a line of its own."""

import os
import sys

import pytest

from server import check_settings
from tests.support.commands import ROOT, completed

LINES = (ROOT / ".env").read_text(encoding="utf-8").splitlines()
SHIPPED = {
    line.partition("=")[0]: line.partition("=")[2]
    for line in LINES
    if line and not line.startswith("#")
}


def said_of(capsys: pytest.CaptureFixture[str], **settings: str) -> list[str]:
    """The lines that end the start."""
    assert not check_settings.report("check_settings", SHIPPED | settings)
    return capsys.readouterr().err.splitlines()


def test_the_settings_that_ship_can_be_used() -> None:
    assert set(check_settings.RULES) - {"S3_WAIT_SECONDS"} <= set(SHIPPED)
    assert check_settings.wrong(SHIPPED) == []


@pytest.mark.parametrize(
    "line",
    [
        "MLFLOW_WORKERS=two: must be a whole number from 1",
        "MLFLOW_WORKERS=0: must be a whole number from 1",
        "SERVE_PORT=9000-9010: must be a number from 1 to 65535",
        "MYSQL_PORT=65536: must be a number from 1 to 65535",
        "MYSQL_HOST=db:3306: must be a host's name or address, without a port",
        "MYSQL_BUFFER_POOL=64MB: must be a number of bytes, with K, M or G behind it",
        "MYSQL_USER=root: must be another name, the database has a user root already",
        "AWS_ACCESS_KEY_ID=eu: must be 3 visible ASCII characters at least",
        "AWS_REGION=us east: must be a region's name, such as us-east-1",
        "S3_ENDPOINT_URL=s3:9000: must be an address that begins with http:// or https://",
        "S3_ENDPOINT_URL=http://s3:porta: must be an address that begins with http://",
        "S3_PUBLIC_URL=s3.example.org: must be an address that begins with http://",
        "MLFLOW_ALLOWED_HOSTS=localhost:*: must be a list with commas that holds mlflow:5000",
        "MLFLOW_CORS_ORIGINS=mlflow.example.org: must be pages with commas",
        "MLFLOW_CORS_ORIGINS=http://mlflow.example.org/: must be pages with commas",
        "MLFLOW_ACCESS_LOG=sim: must be true or false",
        "MLFLOW_JOBS=yes: must be true or false",
        "HOTSERVE_ACCESS_LOG=yes: must be true or false",
    ],
)
def test_a_wrong_value_is_named_with_what_it_must_be(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, _, value = line.partition(": must")[0].partition("=")
    (said,) = said_of(capsys, **{name: value})
    assert said.startswith(f"check_settings: {line}")
    assert said.endswith("; change it in .env")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("AWS_SECRET_ACCESS_KEY", "curta", "8 characters at least"),
        ("MYSQL_PASSWORD", "canção", "of ASCII characters"),
        ("MYSQL_PASSWORD", "linha\n", "of ASCII characters"),
        ("MYSQL_ROOT_PASSWORD", "canção", "of ASCII characters"),
        ("HOTSERVE_TOKEN", "abre te sésamo", "visible ASCII characters without spaces"),
        ("HOTSERVE_TOKEN", "abre te", "visible ASCII characters without spaces"),
        ("HOTSERVE_TOKEN", "sésamo", "visible ASCII characters without spaces"),
        ("MYSQL_PASSWORD", "d'água", "without ' \\ for the MySQL of the stack"),
        ("MYSQL_PASSWORD", "um\\dois", "without ' \\ for the MySQL of the stack"),
        ("MYSQL_ROOT_PASSWORD", "um#dois", "without ' \\ # for the MySQL of the stack"),
    ],
)
def test_no_secret_is_shown(
    name: str, value: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "\n".join(said_of(capsys, **{name: value}))
    assert f"check_settings: {name}: must be {reason}" in said
    assert value not in said


@pytest.mark.parametrize(
    "setting",
    [
        "MYSQL_BUFFER_POOL=268435456",
        "MYSQL_BUFFER_POOL=2g",
        "MYSQL_HOST=[fd00::1]",
        "S3_ENDPOINT_URL=https://example.org/storage/v1/s3",
        "S3_ENDPOINT_URL=http://[fd00::1]:9000/",
        "S3_PUBLIC_URL=https://s3.example.org",
        "S3_PUBLIC_URL=",
        'MYSQL_PASSWORD=uma senha com # e "',
        "HOTSERVE_TOKEN=abre-te/sesamo+1=",
        "HOTSERVE_TOKEN=",
        "MLFLOW_ALLOWED_HOSTS=*",
        "MLFLOW_ALLOWED_HOSTS=mlflow.example.org, mlflow:*",
        "MLFLOW_CORS_ORIGINS=*",
        "MLFLOW_CORS_ORIGINS=https://mlflow.example.org, http://*.example.org:*",
    ],
)
def test_unusual_values_are_no_mistakes(setting: str) -> None:
    name, _, value = setting.partition("=")
    assert check_settings.wrong(SHIPPED | {name: value}) == []


def test_somebody_s_own_mysql_takes_what_ours_would_not() -> None:
    theirs = {"MYSQL_HOST": "theirs", "MYSQL_USER": "root", "MYSQL_PASSWORD": "p@ss/word%1'#"}
    assert check_settings.wrong(SHIPPED | theirs) == []


@pytest.mark.parametrize("memory", ["1g", "1024m", "1GB", "1073741824"])
def test_the_job_runner_is_not_started_where_it_would_be_killed(memory: str) -> None:
    settings = SHIPPED | {"MLFLOW_JOBS": "true", "MLFLOW_MEMORY": memory}
    (line,) = check_settings.wrong(settings)
    assert line == f"MLFLOW_MEMORY={memory}: must be 2g at least while MLFLOW_JOBS=true"
    assert check_settings.wrong(settings | {"MLFLOW_MEMORY": "2g"}) == []
    assert check_settings.wrong(settings | {"MLFLOW_JOBS": "false"}) == []


def test_all_that_is_wrong_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    said = said_of(capsys, MLFLOW_WORKERS="two", MYSQL_PORT="x", MYSQL_USER="root")
    assert [line.split()[1].partition("=")[0] for line in said] == [
        "MYSQL_PORT",
        "MLFLOW_WORKERS",
        "MYSQL_USER",
    ]


def test_as_a_program_it_ends_with_2_when_something_is_wrong() -> None:
    for settings, code in ((SHIPPED, 0), (SHIPPED | {"MYSQL_PORT": "x"}, 2)):
        done = completed(
            [sys.executable, "-m", "server.check_settings"], cwd=ROOT, env=os.environ | settings
        )
        assert (done.returncode, len(done.stderr.splitlines())) == (code, code // 2)


TEAM = {
    "PUBLIC_HOST": "mlflow.example.org",
    "AWS_SECRET_ACCESS_KEY": "a strong one",
    "MYSQL_PASSWORD": "a strong one",
    "MYSQL_ROOT_PASSWORD": "a strong one",
    "GRAFANA_PASSWORD": "a-strong-one",
}


def test_a_team_s_stack_does_not_start_with_the_passwords_that_ship(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert check_settings.wrong(SHIPPED | TEAM) == []
    shipped = sorted(name for name, value in SHIPPED.items() if value == check_settings.DEVELOPMENT)
    assert len(shipped) == 4
    lines = said_of(capsys, PUBLIC_HOST="localhost")
    assert [line.split()[1].rstrip(":") for line in lines] == shipped
    assert all("`make team` writes another" in line for line in lines)


@pytest.mark.parametrize(
    "line",
    [
        "PUBLIC_HOST=https://example.org: must be a host's name in small letters or its IPv4",
        "PUBLIC_HOST=example.org:5000: must be a host's name in small letters or its IPv4",
        "PUBLIC_HOST=MLflow.example.org: must be a host's name in small letters or its IPv4",
        "TLS=letsencrypt: must be internal, an e-mail address, or two files' paths",
        "MLFLOW_ADMIN_PASSWORD: must be 12 visible ASCII characters at least",
    ],
)
def test_a_wrong_value_of_a_team_s_is_named(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, _, value = line.partition(": must")[0].partition("=")
    (said,) = said_of(capsys, **(TEAM | {name: value or "short"}))
    assert said.startswith(f"check_settings: {line}")
