"""MLflow's variables, and errors without secrets."""

import base64
import ssl
from pathlib import Path

import pytest

from hotserve.config import model_uri
from hotserve.config import registry_credentials as connection
from hotserve.config.registry_credentials import Connection
from hotserve.redaction import Redactor
from hotserve.worker import errors


def read(home: Path, **environment: str) -> Connection:
    return connection.read(environment, home)


def authorization(told: Connection) -> str:
    return told.headers.get("Authorization", "")


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


def test_the_registry_has_its_own_address_before_the_tracking_server(tmp_path: Path) -> None:
    tracking = "http://tracking:5000/"
    assert read(tmp_path, MLFLOW_TRACKING_URI=tracking).url == "http://tracking:5000"
    told = read(tmp_path, MLFLOW_TRACKING_URI=tracking, MLFLOW_REGISTRY_URI="https://reg/mlflow/")
    assert told.url == "https://reg/mlflow"


def test_a_user_and_password_come_before_a_token(tmp_path: Path) -> None:
    here = {"MLFLOW_TRACKING_URI": "http://h"}
    token = here | {"MLFLOW_TRACKING_TOKEN": "t"}
    assert authorization(read(tmp_path, **here)) == ""
    assert authorization(read(tmp_path, **token)) == "Bearer t"
    both = token | {"MLFLOW_TRACKING_USERNAME": "ana", "MLFLOW_TRACKING_PASSWORD": "p%w"}
    assert authorization(read(tmp_path, **both)) == basic("ana:p%w")
    (tmp_path / ".mlflow").mkdir()
    (tmp_path / ".mlflow" / "credentials").write_text(
        "[mlflow]\nmlflow_tracking_username = rui\nmlflow_tracking_password = 1%2\n"
    )
    assert authorization(read(tmp_path, **here)) == basic("rui:1%2")
    assert authorization(read(tmp_path, **both)) == basic("ana:p%w")


def test_a_password_in_the_address_is_used_and_not_shown(tmp_path: Path) -> None:
    told = read(tmp_path, MLFLOW_TRACKING_URI="https://ana:p%40w@host:8443/x")
    assert authorization(told) == basic("ana:p@w")
    assert told.url == "https://host:8443/x"


def test_tls_verification_can_be_switched_off_as_in_mlflow(tmp_path: Path) -> None:
    told = read(tmp_path, MLFLOW_TRACKING_URI="https://h", MLFLOW_TRACKING_INSECURE_TLS="true")
    assert isinstance(told.tls, ssl.SSLContext)
    assert told.tls.verify_mode is ssl.CERT_NONE
    strict = read(tmp_path, MLFLOW_TRACKING_URI="https://h")
    assert isinstance(strict.tls, ssl.SSLContext)
    assert strict.tls.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    ("uri", "kind", "name", "selector"),
    [
        ("models:/a/Production", "stage", "a", "Production"),
        ("models:/a/production", "stage", "a", "Production"),
        ("models:/a b/STAGING", "stage", "a b", "Staging"),
        ("models:/a@champion", "alias", "a", "champion"),
        ("models:/a@b@champion", "alias", "a@b", "champion"),
        ("models:/a/Latest", "latest", "a", ""),
        ("models:/a/3", "version", "a", "3"),
        ("models:/m-0123abc", "logged_model", "m-0123abc", ""),
        ("runs:/0123/modelo", "remote", "modelo", ""),
        ("s3://bucket/path/modelo/", "remote", "modelo", ""),
    ],
)
def test_model_uris_are_read_as_mlflow_reads_them(
    uri: str, kind: str, name: str, selector: str
) -> None:
    told = model_uri.parse(uri)
    assert (told.kind, told.name, told.selector) == (kind, name, selector)


def test_an_error_answer_loses_its_stack_trace_and_paths() -> None:
    redactor = Redactor(["/srv/cache/hotserve"])
    answer = (
        b'{"error_code": "BAD_REQUEST", "stack_trace": "Traceback", "message": '
        b"\"in /srv/cache/hotserve/a/1/model and '/usr/lib/python3/x.py', see https://a.b/usr/c\"}"
    )
    told = errors.redacted(answer, 400, redactor).decode()
    assert "stack_trace" not in told
    assert "/srv" not in told
    assert "/usr/lib" not in told
    assert "https://a.b/usr/c" in told


def test_every_error_answer_is_json() -> None:
    redactor = Redactor([])
    assert errors.redacted(b"Internal Server Error", 500, redactor) == errors.body(
        500, "Internal Server Error"
    )
    assert b'"error_code"' in errors.redacted(b'"text"', 504, redactor)
    assert b'"error_code"' in errors.redacted(b"", 500, redactor)


def test_a_user_without_a_home_has_no_stored_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: int) -> None:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", fails)
    told = connection.read({"MLFLOW_TRACKING_URI": "http://h", "MLFLOW_TRACKING_TOKEN": "t"})
    assert authorization(told) == "Bearer t"
