"""Makes the bucket for the artifacts if it is missing: ``python -m server.create_buckets``.

The service ``create_s3_buckets``. Its settings come from the environment: ``AWS_BUCKET_NAME``,
``AWS_REGION``, ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``S3_ENDPOINT_URL`` (without
it AWS itself) and ``S3_WAIT_SECONDS`` (how long to try; 60). Exit code 0: the bucket is
there; 1: it could not be had; 2: a setting is missing or wrong.
"""

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from server import check_settings

JOB = "create_s3_buckets"
PAUSE_SECONDS = 1.0
REQUIRED = ("AWS_BUCKET_NAME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
WRONG_KEYS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthFailure", "InvalidToken"}
MAY_PASS = {408, 409, 425, 429}


class BucketError(Exception):
    """One line that says why the bucket can't be had."""

    exit_code = 1


class SettingError(BucketError):
    """One line that says which setting is wrong."""

    exit_code = 2


def client(environment: Mapping[str, str]) -> Any:
    """A boto3 S3 client as the settings say.

    Raises:
        SettingError: the endpoint is no URL.
    """
    endpoint = environment.get("S3_ENDPOINT_URL") or None
    try:
        return boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=environment.get("AWS_REGION") or "us-east-1",
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            config=Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 1}),
        )
    except ValueError as error:
        raise SettingError(f"S3_ENDPOINT_URL={endpoint}: {error}") from None


def ensure_bucket(s3: Any, name: str) -> bool:
    """Make the bucket unless it exists. Returns whether it was made now."""
    try:
        # Not head_bucket: a refusal to HEAD has no body that would say why.
        s3.list_objects_v2(Bucket=name, MaxKeys=1)
        return False
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"NoSuchBucket", "404"}:
            raise

    options: dict[str, Any] = {"Bucket": name}
    if s3.meta.region_name != "us-east-1":  # which S3 takes for granted, and refuses when named
        options["CreateBucketConfiguration"] = {"LocationConstraint": s3.meta.region_name}
    try:
        s3.create_bucket(**options)
    except s3.exceptions.BucketAlreadyOwnedByYou:  # another job was quicker
        return False
    return True


def _refuse(error: ClientError, name: str) -> None:
    """Say what a user can do about an error that will not pass.

    Raises:
        SettingError: no bucket can have this name, or S3 does not know the keys.
        BucketError: the bucket belongs to somebody else, or may not be made.
    """
    code = error.response["Error"]["Code"]
    if code in WRONG_KEYS:
        raise SettingError(
            f"S3 does not accept the keys: see AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY ({code})"
        )
    if code in {"InvalidBucketName", "InvalidBucketName.Length"}:
        raise SettingError(f"AWS_BUCKET_NAME={name}: S3 does not take this as a bucket's name")
    if code in {"AccessDenied", "403", "BucketAlreadyExists", "AllAccessDisabled"}:
        raise BucketError(f"the keys may not use or make the bucket {name} ({code})")
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    if 300 <= status < 500 and status not in MAY_PASS:
        raise BucketError(f"S3 refused the bucket {name}: {error}")


def run(environment: Mapping[str, str]) -> str:
    """Make the bucket, trying again while S3 isn't ready; one line that says what came of it.

    Raises:
        BucketError: it could not be had.
    """
    s3, name = client(environment), environment["AWS_BUCKET_NAME"]
    limit = float(environment.get("S3_WAIT_SECONDS") or 60)
    deadline = time.monotonic() + limit
    while True:
        try:
            made = ensure_bucket(s3, name)
            return f"the bucket {name} {'was made' if made else 'is there already'}"
        except ParamValidationError as error:
            raise SettingError(f"AWS_BUCKET_NAME={name}: {str(error).splitlines()[-1]}") from None
        except (ClientError, BotoCoreError) as error:
            if isinstance(error, ClientError):
                _refuse(error, name)
            if time.monotonic() >= deadline:
                where = environment.get("S3_ENDPOINT_URL") or "AWS"
                raise BucketError(f"gave up on {where} after {limit:g} s: {error}") from None
            time.sleep(PAUSE_SECONDS)


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Run the job; it says one line, or one for each wrong setting. Returns the exit code."""
    if not check_settings.report(JOB, environment, REQUIRED):
        return 2
    try:
        print(f"{JOB}: {run(environment)}")
    except BucketError as error:
        print(f"{JOB}: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
