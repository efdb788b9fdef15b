"""What a user may set for `make run`, and what is refused before anything starts."""

import os
import socket
from pathlib import Path

import pytest

from hotserve.config.errors import UsageError
from local import settings
from local.settings import ROOT, Settings


def read(tmp_path: Path, **environment: str) -> Settings:
    return settings.read(environment, tmp_path)


def test_nothing_set_is_the_shipped_stack(tmp_path: Path) -> None:
    chosen = read(tmp_path)
    assert (chosen.mlflow_port, chosen.serve_port) == (5000, 8080)
    assert chosen.home == ROOT / ".stack"
    assert chosen.logs == ROOT / ".stack" / "logs"
    assert chosen.dataset == str(ROOT / "trainer" / "produtos.csv")
    assert chosen.token is None
    assert chosen.mlflow_url == "http://127.0.0.1:5000"
    assert chosen.serve_url == "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("line", "near"),
    [
        ("DATASTE=minha.csv", "DATASTE is no setting; write it DATASET=…"),
        ("SERVE_PORT=8081 dataset=minha.csv", "dataset is no setting; write it DATASET=…"),
        ("MLFLOWPORT=5001", "MLFLOWPORT is no setting; write it MLFLOW_PORT=…"),
        ("VERSON=1", "VERSON is no setting; write it VERSION=…"),
        ("MLFLOW_HOST=x HOTSERVE_TOKEN=y API_PORT=8081 UV_INDEX_URL=z", ""),
        (r"DATASET=a\ DATASTE=b --jobserver-auth=3,4", ""),
    ],
)
def test_a_misspelt_setting_on_the_line_is_not_passed_over(
    tmp_path: Path, line: str, near: str
) -> None:
    flags = f"s -j2 -- {line}"
    if not near:
        read(tmp_path, MAKEFLAGS=flags)
        return
    with pytest.raises(UsageError, match=f"^{near}$"):
        read(tmp_path, MAKEFLAGS=flags)


def test_paths_count_from_the_current_folder(tmp_path: Path) -> None:
    chosen = read(tmp_path, STACK_HOME="dados", DATASET="../meus.csv", HOTSERVE_TOKEN="segredo")
    assert chosen.home == tmp_path / "dados"
    assert chosen.dataset == str(tmp_path.parent / "meus.csv")
    assert chosen.token == "segredo"
    assert "segredo" not in repr(chosen)
    assert read(tmp_path, DATASET="https://a/b.csv?sig=1").dataset == "https://a/b.csv?sig=1"


def test_a_home_that_the_shell_left_to_us_is_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/casa")
    chosen = read(tmp_path, STACK_HOME="~/dados", DATASET="~/meus.csv")
    assert (str(chosen.home), chosen.dataset) == ("/casa/dados", "/casa/meus.csv")
    nobodys = read(tmp_path, STACK_HOME="~ninguem/dados", DATASET="~ninguem/meus.csv")
    assert nobodys.home == tmp_path / "~ninguem" / "dados"


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"MLFLOW_PORT": "0"}, "MLFLOW_PORT=0: a port is a number from 1 to 65535"),
        ({"MLFLOW_PORT": "65536"}, "MLFLOW_PORT=65536: a port is"),
        ({"SERVE_PORT": "٨٠"}, "SERVE_PORT=٨٠: a port is"),
        ({"SERVE_PORT": "5000"}, "MLFLOW_PORT and SERVE_PORT are both 5000"),
        ({"STACK_HOME": "/a;b%"}, "STACK_HOME=/a;b%: choose a path without % ;"),
        ({"DATASET": 'https://a/b"?sig=secret'}, "DATASET has a quotation mark in it"),
        ({"HOTSERVE_TOKEN": "two words"}, "HOTSERVE_TOKEN must be visible ASCII characters"),
        ({"HOTSERVE_TOKEN": "coração"}, "HOTSERVE_TOKEN must be visible ASCII characters"),
        ({"HOTSERVE_TOKEN_FILE": "/no/such"}, "the token file /no/such can't be read"),
    ],
)
def test_what_cannot_work_is_one_line(
    tmp_path: Path, environment: dict[str, str], complaint: str
) -> None:
    with pytest.raises(UsageError) as raised:
        read(tmp_path, **environment)
    assert complaint in str(raised.value)
    for secret in ("two words", "coração", "secret"):
        assert secret not in str(raised.value)


def test_a_port_in_use_or_not_ours_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"port {port} is in use: .* P={port + 1}$"):
            settings.check_port("P", port)
    settings.check_port("P", port)

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("socket.socket.bind", refuse)
    with pytest.raises(UsageError, match=r"choose one above 1023, make run P=8080$"):
        settings.check_port("P", 80)


def test_a_data_folder_is_one_stacks(tmp_path: Path) -> None:
    chosen = read(tmp_path, STACK_HOME="dados")
    with settings.prepare_home(chosen):
        assert chosen.logs.is_dir()
        with pytest.raises(UsageError, match="another `make run` uses the data folder"):
            settings.prepare_home(chosen)
    settings.prepare_home(chosen).close()
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot be written \(Not a directory\): choose ano"):
        settings.prepare_home(read(tmp_path, STACK_HOME="file"))


def test_a_tool_that_is_missing_is_named_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.check_tools()
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with pytest.raises(UsageError, match=r"setpriv was not found: .* util-linux"):
        settings.check_tools()


def test_the_trainers_own_line_about_a_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("nada\n", encoding="utf-8")
    with pytest.raises(UsageError) as raised:
        settings.check_dataset(read(tmp_path, DATASET="a.csv"))
    assert str(raised.value).startswith(f"dataset {tmp_path / 'a.csv'}: ")
    settings.check_dataset(read(tmp_path))
