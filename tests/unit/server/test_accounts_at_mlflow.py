"""Accounts and roles at a real MLflow with users."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
import requests
from mlflow.server.auth.client import AuthServiceClient

from server import accounts

ROOT = Path(__file__).parents[3]
PASSWORD = "the-admin-s-password"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """That of a server with a team's settings and nobody but its admin."""
    home = tmp_path_factory.mktemp("mlflow")
    settings = (ROOT / "deploy" / "team" / "auth.ini").read_text("utf-8")
    settings = settings.replace("/var/lib/mlflow/users.db", f"{home}/users.db")
    (home / "auth.ini").write_text(settings, "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (home / "mlflow.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "server.one_process", "server", "--app-name", "basic-auth"),
                *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
                *("--backend-store-uri", f"sqlite:///{home}/mlflow.db"),
                *("--artifacts-destination", str(home / "artifacts")),
            ],
            cwd=home,
            env={
                **{name: value for name, value in os.environ.items() if name[:6] != "MLFLOW"},
                "PYTHONPATH": str(ROOT),
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                "MLFLOW_AUTH_CONFIG_PATH": str(home / "auth.ini"),
                "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
                "MLFLOW_FLASK_SERVER_SECRET_KEY": "a-long-secret-key",
            },
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 180
        while not _answers(f"http://127.0.0.1:{port}/health"):
            assert process.poll() is None, (home / "mlflow.log").read_text("utf-8")
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=10).ok
    except requests.ConnectionError:
        return False


@pytest.fixture
def client(address: str, monkeypatch: pytest.MonkeyPatch) -> AuthServiceClient:
    """The admin, with the services' accounts made."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    for name in accounts.SERVICES:
        monkeypatch.setenv(f"MLFLOW_{name.upper()}_PASSWORD", f"password-of-{name}")
    client = AuthServiceClient(address)
    accounts.set_up(client)
    return client


def lets_in(address: str, name: str, password: str) -> bool:
    answer = requests.get(f"{address}/version", auth=(name, password), timeout=60)
    assert answer.status_code in (200, 401)
    return answer.ok


def grants(client: AuthServiceClient, role: str) -> set[tuple[str, str, str]]:
    (found,) = (one for one in client.list_roles(accounts.WORKSPACE) if one.name == role)
    return {(one.resource_type, one.resource_pattern, one.permission) for one in found.permissions}


def roles(client: AuthServiceClient, name: str) -> list[str]:
    return [one.name for one in client.list_user_roles(name)]


def test_each_service_has_its_password_and_its_role(client: AuthServiceClient) -> None:
    for name, wanted in accounts.SERVICES.items():
        assert lets_in(client.tracking_uri, name, f"password-of-{name}")
        assert roles(client, name) == [name]
        assert grants(client, name) == wanted


def test_another_password_in_the_settings_is_the_one_that_counts(
    client: AuthServiceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_BATCH_PASSWORD", "another-password-of-batch")
    accounts.set_up(client)
    assert lets_in(client.tracking_uri, "batch", "another-password-of-batch")
    assert not lets_in(client.tracking_uri, "batch", "password-of-batch")


def test_a_role_that_somebody_changed_is_mended(client: AuthServiceClient) -> None:
    (role,) = (one for one in client.list_roles(accounts.WORKSPACE) if one.name == "reader")
    changed, removed = role.permissions
    client.update_role_permission(changed.id, "MANAGE")
    client.remove_role_permission(removed.id)
    client.add_role_permission(role.id, "prompt", "*", "EDIT")
    accounts.set_up(client)
    assert grants(client, "reader") == accounts.PEOPLE["reader"]


def test_a_person_has_one_role_and_keeps_the_password_with_another(
    client: AuthServiceClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert accounts.main(["add", "ana", "reader"]) == 0
    said = capsys.readouterr().out
    password = said.split()[-1]
    assert said == f"ana is reader; the password, said only now: {password}\n"
    assert lets_in(client.tracking_uri, "ana", password)
    assert roles(client, "ana") == ["reader"]
    assert accounts.add(client, "ana", "promoter") == "ana is promoter now; the password stays"
    assert roles(client, "ana") == ["promoter"]
    assert accounts.add(client, "ana", "admin") == "ana is admin now; the password stays"
    assert accounts.main(["list"]) == 0
    assert f"{'ana':<24} admin\n" in capsys.readouterr().out
    accounts.add(client, "ana", "scientist")
    assert accounts.main(["list"]) == 0
    listed = capsys.readouterr().out
    assert f"{'ana':<24} scientist\n" in listed
    assert f"{'trainer':<24} trainer\n" in listed
    assert lets_in(client.tracking_uri, "ana", password)


def test_who_is_removed_is_not_let_in_any_more(
    client: AuthServiceClient, capsys: pytest.CaptureFixture[str]
) -> None:
    password = accounts.add(client, "bia", "reader").split()[-1]
    assert lets_in(client.tracking_uri, "bia", password)
    assert accounts.main(["remove", "bia"]) == 0
    assert capsys.readouterr().out == "bia is removed\n"
    assert not lets_in(client.tracking_uri, "bia", password)
    with pytest.raises(accounts.Refused, match="NAME=bia: nobody of that name"):
        accounts.remove(client, "bia")


def test_a_student_s_sheet_has_the_password_of_the_own_place(
    client: AuthServiceClient,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", StringIO("{password|rui|0|yours}\n"))
    assert accounts.main(["class"]) == 0
    password = capsys.readouterr().out.strip()
    assert lets_in(client.tracking_uri, "rui", password)
    monkeypatch.setattr(sys, "stdin", StringIO("{password|rui|0|yours}\n"))
    assert accounts.main(["class"]) == 0
    assert capsys.readouterr().out == "yours\n"


@pytest.mark.usefixtures("client")
def test_a_wrong_password_of_the_admin_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong")
    assert accounts.main(["list"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "MLflow refuses the admin's password: see MLFLOW_ADMIN_PASSWORD" in line
