"""``server.create_buckets`` before it reaches an S3; with a real one: tests/compose."""

import pytest

from server import create_buckets

SETTINGS = {
    "AWS_BUCKET_NAME": "mlflow",
    "AWS_ACCESS_KEY_ID": "chave",
    "AWS_SECRET_ACCESS_KEY": "um-segredo",
    "S3_ENDPOINT_URL": "http://127.0.0.1:1",
    "S3_WAIT_SECONDS": "0.1",
}


@pytest.mark.parametrize("name", create_buckets.REQUIRED)
def test_a_missing_setting_is_exit_code_2_and_one_line(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert create_buckets.main(SETTINGS | {name: ""}) == 2
    assert capsys.readouterr().err == f"create_s3_buckets: {name} must be set\n"


@pytest.mark.parametrize("seconds", ["soon", "0", "-1", "inf", "nan"])
def test_a_wait_that_is_no_time(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert create_buckets.main(SETTINGS | {"S3_WAIT_SECONDS": seconds}) == 2
    assert f"S3_WAIT_SECONDS={seconds}" in capsys.readouterr().err


def test_an_s3_that_is_not_there_is_given_up_with_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert create_buckets.main(SETTINGS) == 1
    said = capsys.readouterr().err
    assert said.startswith("create_s3_buckets: gave up on http://127.0.0.1:1 after 0.1 s: ")
    assert len(said.splitlines()) == 1
    assert "um-segredo" not in said


def test_an_endpoint_that_is_no_url(capsys: pytest.CaptureFixture[str]) -> None:
    assert create_buckets.main(SETTINGS | {"S3_ENDPOINT_URL": "s3"}) == 2
    assert "S3_ENDPOINT_URL=s3" in capsys.readouterr().err
