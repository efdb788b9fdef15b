"""What hotserve reads from its command line and its variables."""

from pathlib import Path

import pytest

from hotserve.config import settings as settings_module
from hotserve.config.errors import UsageError
from hotserve.config.settings import Settings
from tests.support.commands import ROOT

SERVE = ["mlflow", "models", "serve"]


def read(*arguments: str, **environment: str) -> Settings:
    return settings_module.read(arguments, environment)


@pytest.mark.parametrize(
    "model", [["-m", "models:/a/1"], ["--model-uri", "models:/a/1"], ["--model-uri=models:/a/1"]]
)
@pytest.mark.parametrize("port", [["-p", "8080"], ["--port", "8080"], ["--port=8080"], ["-p8080"]])
def test_every_way_to_write_mlflows_options_is_understood(
    model: list[str], port: list[str]
) -> None:
    command = read(*SERVE, *model, *port, "--host", "0.0.0.0").command
    assert (command.model_uri, command.port, command.host) == ("models:/a/1", 8080, "0.0.0.0")


def test_the_wrapped_command_gets_a_private_port_and_every_other_option() -> None:
    command = read(
        *(*SERVE, "-m", "models:/a/1", "-p", "8080", "-h", "0.0.0.0"),
        *("--env-manager", "local", "-w", "2", "--install-mlflow"),
    ).command
    assert command.serve("/cache/model", 40001) == [
        *(*SERVE, "-m", "/cache/model", "-p", "40001", "-h", "127.0.0.1", "-t", "60"),
        *("--env-manager", "local", "-w", "2", "--install-mlflow"),
    ]


@pytest.mark.parametrize(
    ("options", "unknown"),
    [
        (["-w", "2", "--env-manager", "uv", "--no-conda", "--install-mlflow"], ()),
        (["--enable-mlserver", "-w", "2"], ("--enable-mlserver",)),
    ],
)
def test_only_options_that_hotserve_does_not_know_are_for_mlflow_to_check(
    options: list[str], unknown: tuple[str, ...]
) -> None:
    assert read(*SERVE, "-m", "models:/a/1", *options).command.unknown == unknown


def test_the_program_may_be_more_than_a_word() -> None:
    command = read("python", "-m", *SERVE, "-m", "models:/a/1").command
    assert command.program == ("python", "-m", "mlflow")


def test_mlflows_variables_count_where_no_option_is_given() -> None:
    variables = {
        "MLFLOW_HOST": "0.0.0.0",
        "MLFLOW_PORT": "7000",
        "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT": "9",
    }
    command = read(*SERVE, "-m", "models:/a/1", **variables).command
    assert (command.host, command.port, command.timeout) == ("0.0.0.0", 7000, 9)
    command = read(*SERVE, "-m", "models:/a/1", "-p", "8080", **variables).command
    assert command.port == 8080


def test_own_settings_come_from_options_before_variables_before_defaults() -> None:
    command = [*SERVE, "-m", "models:/a/1"]
    assert read(*command).poll_interval == 1
    assert read(*command, HOTSERVE_POLL_INTERVAL="3").poll_interval == 3
    given = read("--poll-interval", "0.5", *command, HOTSERVE_POLL_INTERVAL="3")
    assert given.poll_interval == 0.5
    assert read("--max-body", "10k", *command).max_body == 10240
    assert read(*command, XDG_CACHE_HOME="/somewhere").cache == Path("/somewhere/hotserve")


@pytest.mark.parametrize(("cores", "most"), [(1, 64), (16, 64), (48, 192)])
def test_workers_are_no_more_than_a_machine_can_use(
    cores: int, most: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(cores))
    command = [*SERVE, "-m", "models:/a/1"]
    assert read(*command).workers == cores
    assert read("--workers", str(most), *command).workers == most
    with pytest.raises(UsageError, match=f"from 1 to {most}, not '{most + 1}'"):
        read("--workers", str(most + 1), *command)
    with pytest.raises(SystemExit):
        read("--help")
    assert f"at most {most} on this machine" in " ".join(capsys.readouterr().out.split())


def test_a_variable_that_is_almost_a_setting_is_told() -> None:
    meant = {
        "HOTSERVE_TOKENS": "HOTSERVE_TOKEN",
        "HOTSERVE_TOKENFILE": "HOTSERVE_TOKEN_FILE",
        "HOTSERVE_WORKER": "HOTSERVE_WORKERS",
        "HOTSERVE_MAXBODY": "HOTSERVE_MAX_BODY",
    }
    # What Kubernetes sets for a service called hotserve is no mistake, nor what is right.
    others = ("HOTSERVE_PORT", "HOTSERVE_SERVICE_HOST", "HOTSERVE_PORT_8080_TCP", "HOTSERVE_CSV")
    assert settings_module.misspelt(dict.fromkeys((*meant, *others, "TOKEN"), "x")) == meant


def test_the_folder_for_the_output_may_be_below_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    command = [*SERVE, "-m", "models:/a/1"]
    assert read(*command, HOTSERVE_CHILD_LOG="~/logs").log_folder == Path("/home/somebody/logs")
    assert read("--child-log", "-", *command).log_folder is None
    assert read(*command).log_folder is None


def test_the_documentation_lists_every_setting_as_it_is_declared() -> None:
    machine = {
        "cores": "one per core",
        "processes": "one per GB",
        "memory": "three quarters",
        "most_workers": "four per core (64 if that is more)",
        "cache_home": "~/.cache",
    }
    rows = [
        f"| `{option.flag}` | {option.default or 'none'} | {option.meaning} |\n".format_map(machine)
        for option in settings_module.OPTIONS
    ]
    table = "| option | default | meaning |\n| --- | --- | --- |\n" + "".join(rows)
    documentation = ROOT / "docs" / "hotserve.md"
    assert table in documentation.read_text("utf-8"), f"the table should be:\n{table}"


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("", ()),
        ("*", ("*",)),
        ("https://shop.example", ("https://shop.example",)),
        ("http://localhost:3000, https://a.b", ("http://localhost:3000", "https://a.b")),
    ],
)
def test_the_origins_that_may_ask(text: str, origins: tuple[str, ...]) -> None:
    settings = settings_module.read([*SERVE, "-m", "models:/a/1"], {"HOTSERVE_CORS_ORIGINS": text})
    assert settings.cors_origins == origins


@pytest.mark.parametrize(
    ("text", "networks"),
    [
        ("", ()),
        ("*", ("0.0.0.0/0", "::/0")),
        ("10.0.0.1, 192.168.0.0/16", ("10.0.0.1/32", "192.168.0.0/16")),
        ("::1", ("::1/128",)),
    ],
)
def test_the_proxies_that_are_believed(text: str, networks: tuple[str, ...]) -> None:
    given = {"HOTSERVE_FORWARDED_ALLOW_IPS": text}
    settings = settings_module.read([*SERVE, "-m", "models:/a/1"], given)
    assert settings.forwarded_allow_ips == networks
