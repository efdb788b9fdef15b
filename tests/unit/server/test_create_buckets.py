"""``server.create_buckets`` with answers of an S3's; with a real one: tests/compose."""

import runpy
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import Stubber

from server import create_buckets

SETTINGS = {
    "AWS_BUCKET_NAME": "mlflow",
    "AWS_ACCESS_KEY_ID": "chave",
    "AWS_SECRET_ACCESS_KEY": "um-segredo",
    "S3_ENDPOINT_URL": "http://127.0.0.1:1",
    "S3_WAIT_SECONDS": "0.1",
}
LOOK = {"Bucket": "mlflow", "MaxKeys": 1}


@pytest.fixture(params=["us-east-1"])
def s3(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Stubber]:
    """The S3 that the job asks; what it answers is put in by the test."""
    client = create_buckets.client(SETTINGS | {"AWS_REGION": request.param})
    monkeypatch.setattr(create_buckets, "client", lambda _: client)
    monkeypatch.setattr("server.create_buckets.time.sleep", lambda _: None)
    with Stubber(client) as stubber:
        yield stubber
    stubber.assert_no_pending_responses()


def refuse(s3: Stubber, method: str, code: str, status: int = 400) -> None:
    s3.add_client_error(method, code, "por extenso", status)


@pytest.mark.parametrize("name", create_buckets.REQUIRED)
def test_a_missing_setting_is_exit_code_2_and_one_line(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert create_buckets.main(SETTINGS | {name: ""}) == 2
    assert capsys.readouterr().err == f"create_s3_buckets: {name} must be set\n"


@pytest.mark.parametrize("seconds", ["soon", "-1", "inf", "nan"])
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


@pytest.mark.parametrize("endpoint", ["s3", "http://my_s3:9000"])
def test_an_endpoint_that_is_no_url(endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert create_buckets.main(SETTINGS | {"S3_ENDPOINT_URL": endpoint}) == 2
    assert f"S3_ENDPOINT_URL={endpoint}" in capsys.readouterr().err


def test_a_bucket_that_is_there_is_left_alone(
    s3: Stubber, capsys: pytest.CaptureFixture[str]
) -> None:
    s3.add_response("list_objects_v2", {}, LOOK)
    assert create_buckets.main(SETTINGS) == 0
    assert capsys.readouterr().out == "create_s3_buckets: the bucket mlflow is there already\n"


@pytest.mark.parametrize(
    ("s3", "place"),
    [
        ("us-east-1", {}),
        ("sa-east-1", {"CreateBucketConfiguration": {"LocationConstraint": "sa-east-1"}}),
    ],
    indirect=["s3"],
)
def test_a_missing_bucket_is_made_in_its_region_and_the_first_one_is_not_named(
    s3: Stubber, place: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(s3, "list_objects_v2", "NoSuchBucket", 404)
    s3.add_response("create_bucket", {}, {"Bucket": "mlflow", **place})
    assert create_buckets.main(SETTINGS) == 0
    assert capsys.readouterr().out == "create_s3_buckets: the bucket mlflow was made\n"


def test_another_job_may_have_been_quicker(s3: Stubber, capsys: pytest.CaptureFixture[str]) -> None:
    refuse(s3, "list_objects_v2", "404", 404)
    refuse(s3, "create_bucket", "BucketAlreadyOwnedByYou", 409)
    assert create_buckets.main(SETTINGS) == 0
    assert "is there already" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("method", "code", "status", "exit_code", "reason"),
    [
        ("list_objects_v2", "SignatureDoesNotMatch", 403, 2, "S3 does not accept the keys: see"),
        ("list_objects_v2", "InvalidAccessKeyId", 403, 2, "S3 does not accept the keys: see"),
        ("list_objects_v2", "InvalidBucketName", 400, 2, "AWS_BUCKET_NAME=mlflow: S3 does not"),
        ("list_objects_v2", "AccessDenied", 403, 1, "the keys may not use or make the bucket"),
        ("create_bucket", "BucketAlreadyExists", 409, 1, "the keys may not use or make the"),
        ("create_bucket", "SignatureDoesNotMatch", 403, 2, "S3 does not accept the keys: see"),
        ("list_objects_v2", "PermanentRedirect", 301, 1, "S3 refused the bucket mlflow: "),
        ("create_bucket", "TooManyBuckets", 400, 1, "S3 refused the bucket mlflow: "),
    ],
)
def test_what_will_not_pass_is_said_at_once(
    s3: Stubber,
    method: str,
    code: str,
    status: int,
    exit_code: int,
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if method == "create_bucket":
        refuse(s3, "list_objects_v2", "NoSuchBucket", 404)
    refuse(s3, method, code, status)
    assert create_buckets.main(SETTINGS | {"S3_WAIT_SECONDS": "3600"}) == exit_code
    said = capsys.readouterr().err
    assert said.startswith(f"create_s3_buckets: {reason}")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("code", "status"),
    [("SlowDown", 503), ("XMinioServerNotInitialized", 503), ("OperationAborted", 409)],
)
def test_what_may_pass_is_tried_again(
    s3: Stubber, code: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(s3, "list_objects_v2", code, status)
    refuse(s3, "list_objects_v2", "NoSuchBucket", 404)
    refuse(s3, "create_bucket", code, status)
    s3.add_response("list_objects_v2", {}, LOOK)
    assert create_buckets.main(SETTINGS | {"S3_WAIT_SECONDS": "3600"}) == 0
    assert "is there already" in capsys.readouterr().out


def test_a_name_that_no_bucket_can_have(capsys: pytest.CaptureFixture[str]) -> None:
    assert create_buckets.main(SETTINGS | {"AWS_BUCKET_NAME": "Not A Name"}) == 2
    said = capsys.readouterr().err
    assert said.startswith("create_s3_buckets: AWS_BUCKET_NAME=Not A Name: ")
    assert len(said.splitlines()) == 1


def test_as_a_command_it_ends_with_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in create_buckets.REQUIRED:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(create_buckets.__file__, run_name="__main__")
    assert ended.value.code == 2
