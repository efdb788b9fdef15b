"""MLflow's variables, and errors without secrets."""

import base64
import ssl
from pathlib import Path

import pytest

from hotserve.config import model_uri
from hotserve.config import registry_credentials as connection
from hotserve.config.errors import UsageError
from hotserve.config.registry_credentials import Connection


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


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("HTTPS://Host:443/", "https://host"),
        ("http://host:80/a/", "http://host/a"),
        ("http://host:443", "http://host:443"),
        ("http://[::1]:5000", "http://[::1]:5000"),
        ("https://ana:s3cret@host?token=s3cret", "https://host"),
    ],
)
def test_one_address_is_written_in_one_way(tmp_path: Path, address: str, url: str) -> None:
    assert read(tmp_path, MLFLOW_TRACKING_URI=address).url == url
    for in_registry in (True, False):
        names = connection.scope({"MLFLOW_TRACKING_URI": address}, in_registry=in_registry)
        assert names[0] == url


def test_a_workspace_is_a_part_of_the_scope() -> None:
    environment = {"MLFLOW_TRACKING_URI": "http://h", "MLFLOW_WORKSPACE": " team-b "}
    assert connection.scope(environment, in_registry=True) == ("http://h", "workspace team-b")


def test_the_address_of_a_database_is_a_scope_without_its_password() -> None:
    environment = {"MLFLOW_TRACKING_URI": "mysql+pymysql://ana:s3cret@db:3306/mlflow"}
    assert connection.scope(environment, in_registry=False) == (
        *("mysql+pymysql://db:3306/mlflow", "://"),
    )


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
        ("https://ana:s3cret@host/modelo?Signature=s3cret", "remote", "modelo", ""),
        ("s3://bucket", "remote", "bucket", ""),
    ],
)
def test_model_uris_are_read_as_mlflow_reads_them(
    uri: str, kind: str, name: str, selector: str
) -> None:
    told = model_uri.parse(uri)
    assert (told.kind, told.name, told.selector) == (kind, name, selector)


@pytest.mark.parametrize(
    ("uri", "words", "shown"),
    [
        ("models:/a/production", "Production", "models:/a/production"),
        ("models:/a@champion", "@champion", "models:/a@champion"),
        ("models:/a/latest", "latest", "models:/a/latest"),
        ("models:/a/3", "", "models:/a/3"),
        ("s3://bucket/model", "", None),
    ],
)
def test_what_is_followed_is_named_and_a_bucket_is_not_shown(
    uri: str, words: str, shown: str | None
) -> None:
    reference = model_uri.parse(uri)
    assert (reference.describe(), reference.shown) == (words, shown)


@pytest.mark.parametrize(
    ("uri", "run"), [("runs:/0123/modelo", "0123"), ("s3://0123/modelo", ""), ("models:/a/1", "")]
)
def test_the_run_of_a_model_is_in_its_uri(uri: str, run: str) -> None:
    assert model_uri.parse(uri).run_id == run


def test_a_folder_may_be_written_as_a_path_or_as_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "um modelo"
    folder.mkdir()
    (folder / "MLmodel").touch()
    monkeypatch.chdir(tmp_path)
    for uri in (
        str(folder),
        "um modelo",
        f"file://{tmp_path}/um%20modelo",
        f"{folder}/../um modelo",
    ):
        reference = model_uri.parse(uri)
        assert (reference.kind, reference.path, reference.shown) == ("path", folder, None), uri
        assert (reference.name, reference.identity) == ("um modelo", str(folder))


def test_an_address_that_is_no_model_is_shown_without_its_secrets() -> None:
    with pytest.raises(UsageError) as error:
        model_uri.parse("htps://ana:s3cret@host/modelo?Signature=s3cret")
    assert "'htps://…@host/modelo?…' is not a model URI" in str(error.value)


def test_a_user_without_a_home_has_no_stored_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: int) -> None:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", fails)
    told = connection.read({"MLFLOW_TRACKING_URI": "http://h", "MLFLOW_TRACKING_TOKEN": "t"})
    assert authorization(told) == "Bearer t"
