"""What the first job says of settings: each wrong one is told in a line of its own."""

from pathlib import Path

import pytest

from server import check_settings, create_buckets

LINES = (Path(__file__).parents[3] / ".env").read_text(encoding="utf-8").splitlines()
SHIPPED = {
    line.partition("=")[0]: line.partition("=")[2]
    for line in LINES
    if line and not line.startswith("#")
}


def test_the_settings_that_ship_can_be_used() -> None:
    assert set(check_settings.RULES) <= set(SHIPPED)
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
        "MLFLOW_ALLOWED_HOSTS=localhost:*: must be a list with commas that holds mlflow:5000",
        "MLFLOW_CORS_ORIGINS=mlflow.example.org: must be pages with commas",
        "MLFLOW_CORS_ORIGINS=http://mlflow.example.org/: must be pages with commas",
        "MLFLOW_ACCESS_LOG=sim: must be true or false",
        "MLFLOW_JOBS=yes: must be true or false",
    ],
)
def test_a_wrong_value_is_named_with_what_it_must_be(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, _, value = line.partition(": must")[0].partition("=")
    assert create_buckets.main(SHIPPED | {name: value}) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"create_s3_buckets: {line}")
    assert said[0].endswith("; change it in .env")


def test_no_secret_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert create_buckets.main(SHIPPED | {"AWS_SECRET_ACCESS_KEY": "curta"}) == 2
    said = capsys.readouterr().err
    assert said.startswith("create_s3_buckets: AWS_SECRET_ACCESS_KEY: must be ")
    assert "curta" not in said


@pytest.mark.parametrize(
    "setting",
    [
        "MYSQL_BUFFER_POOL=268435456",
        "MYSQL_BUFFER_POOL=2g",
        "MYSQL_HOST=[fd00::1]",
        "S3_ENDPOINT_URL=https://example.org/storage/v1/s3",
        "S3_ENDPOINT_URL=http://[fd00::1]:9000/",
        "MLFLOW_ALLOWED_HOSTS=*",
        "MLFLOW_ALLOWED_HOSTS=mlflow.example.org, mlflow:*",
        "MLFLOW_CORS_ORIGINS=*",
        "MLFLOW_CORS_ORIGINS=https://mlflow.example.org, http://*.example.org:*",
    ],
)
def test_unusual_values_are_no_mistakes(setting: str) -> None:
    name, _, value = setting.partition("=")
    assert check_settings.wrong(SHIPPED | {name: value}) == []


def test_a_root_of_somebody_s_own_mysql_may_be_used() -> None:
    assert check_settings.wrong(SHIPPED | {"MYSQL_USER": "root", "MYSQL_HOST": "theirs"}) == []


@pytest.mark.parametrize("memory", ["1g", "1024m", "1GB", "1073741824"])
def test_the_job_runner_is_not_started_where_it_would_be_killed(memory: str) -> None:
    settings = SHIPPED | {"MLFLOW_JOBS": "true", "MLFLOW_MEMORY": memory}
    (line,) = check_settings.wrong(settings)
    assert line == f"MLFLOW_MEMORY={memory}: must be 2g at least while MLFLOW_JOBS=true"
    assert check_settings.wrong(settings | {"MLFLOW_MEMORY": "2g"}) == []
    assert check_settings.wrong(settings | {"MLFLOW_JOBS": "false"}) == []


def test_all_that_is_wrong_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert create_buckets.main(SHIPPED | {"MLFLOW_WORKERS": "two", "MYSQL_PORT": "x"}) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
