"""Makes the bucket for the artifacts if it is missing: ``python -m server.create_buckets``.

The service ``create_s3_buckets``. MLflow and its clients wait for it, so it looks at the settings
of all services first (``check_settings``). Its own come from the environment: ``AWS_BUCKET_NAME``,
``AWS_REGION``, ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``S3_ENDPOINT_URL`` (without
it AWS itself) and ``S3_WAIT_SECONDS`` (how long to try; 60). Exit code 0: the bucket is
there; 1: it could not be had; 2: a setting is missing or wrong.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from server import check_settings

PAUSE_SECONDS = 1.0
REQUIRED = ("AWS_BUCKET_NAME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
WRONG_KEYS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthFailure", "InvalidToken"}


class SettingError(Exception):
    """One line that says which setting is wrong."""


class BucketError(Exception):
    """One line that says why the bucket cannot be had."""


def client(environment: Mapping[str, str]) -> Any:
    """A boto3 S3 client as the settings say.

    Raises:
        SettingError: a required variable is missing, or the endpoint is no URL.
    """
    for name in REQUIRED:
        if not environment.get(name):
            raise SettingError(f"{name} must be set")
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


def wait_seconds(environment: Mapping[str, str]) -> float:
    """How long to try.

    Raises:
        SettingError: it is no positive number.
    """
    text = environment.get("S3_WAIT_SECONDS") or "60"
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise SettingError(f"S3_WAIT_SECONDS={text}: this is a positive number of seconds")
    return seconds


def ensure_bucket(s3: Any, name: str) -> bool:
    """Make the bucket unless it exists.

    Returns:
        Whether it was made now.

    Raises:
        SettingError: no bucket can have this name, or S3 does not know the keys.
        BucketError: the bucket belongs to somebody else, or may not be made.
        ClientError, BotoCoreError: S3 could not be reached or is not ready; worth another try.
    """
    try:
        # Not head_bucket: a refusal to HEAD has no body that would say why.
        s3.list_objects_v2(Bucket=name, MaxKeys=1)
    except ParamValidationError as error:
        raise SettingError(f"AWS_BUCKET_NAME={name}: {str(error).splitlines()[-1]}") from None
    except ClientError as error:
        if _code(error) not in {"NoSuchBucket", "404"}:
            raise _explained(error, name) from None
    else:
        return False

    region = s3.meta.region_name
    where = {} if region == "us-east-1" else {"LocationConstraint": region}
    try:
        s3.create_bucket(Bucket=name, **({"CreateBucketConfiguration": where} if where else {}))
    except ClientError as error:
        if _code(error) == "BucketAlreadyOwnedByYou":  # another job was quicker
            return False
        raise _explained(error, name) from None
    return True


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _explained(error: ClientError, name: str) -> Exception:
    """What a user can do about it; the error itself if it may pass."""
    passing: Exception = error
    code = _code(error)
    if code in WRONG_KEYS:
        return SettingError(
            f"S3 does not accept the keys: see AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY ({code})"
        )
    if code in {"InvalidBucketName", "InvalidBucketName.Length"}:
        return SettingError(f"AWS_BUCKET_NAME={name}: S3 does not take this as a bucket's name")
    if code in {"AccessDenied", "403", "BucketAlreadyExists", "AllAccessDisabled"}:
        return BucketError(f"the keys may not use or make the bucket {name} ({code})")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    if 300 <= int(status) < 500 and int(status) not in {408, 409, 425, 429}:
        return BucketError(f"S3 refused the bucket {name}: {error}")
    return passing


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Run the job; it says one line, or one for each wrong setting. Returns the exit code."""
    if unusable := check_settings.wrong(environment):
        for line in unusable:
            print(f"create_s3_buckets: {line}; change it in .env", file=sys.stderr)
        return 2
    where = environment.get("S3_ENDPOINT_URL") or "AWS"
    try:
        s3 = client(environment)
        name = environment["AWS_BUCKET_NAME"]
        limit = wait_seconds(environment)
        deadline = time.monotonic() + limit
        while True:
            try:
                made = ensure_bucket(s3, name)
                break
            except (ClientError, BotoCoreError) as error:
                if time.monotonic() >= deadline:
                    raise BucketError(f"gave up on {where} after {limit:g} s: {error}") from None
                time.sleep(PAUSE_SECONDS)
    except SettingError as error:
        print(f"create_s3_buckets: {error}", file=sys.stderr)
        return 2
    except BucketError as error:
        print(f"create_s3_buckets: {error}", file=sys.stderr)
        return 1
    print(f"create_s3_buckets: the bucket {name} {'was made' if made else 'is there already'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
