"""hotserve's command line as a program: what is refused with one line, and what its help says."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hotserve import __version__, cli
from hotserve.config import settings as settings_module
from tests.support.commands import completed, program

SERVE = ["mlflow", "models", "serve"]


class Refusal:
    """Runs the command where it is expected to end at once.

    Attributes:
        code: exit code.
        told: what it wrote to stderr.
    """

    def __init__(
        self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str], cache: Path
    ) -> None:
        self._patch = patch
        self._capture = capture
        self._cache = cache
        self.code = 0
        self.told = ""

    def __call__(self, *arguments: str, **environment: str) -> None:
        for variable in list(os.environ):
            if variable.startswith(("MLFLOW_", "HOTSERVE_")):
                self._patch.delenv(variable)
        for variable, value in {"HOTSERVE_CACHE": str(self._cache), **environment}.items():
            self._patch.setenv(variable, value)
        self.code = cli.main(arguments)
        self.told = self._capture.readouterr().err


@pytest.fixture
def refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Refusal:
    return Refusal(monkeypatch, capsys, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "no command to run"),
        (["mlflow", "server"], "must be 'mlflow models serve"),
        (SERVE, "-m/--model-uri"),
        ([*SERVE, "-m", "models:/a/1", "-p", "eighty"], "invalid port value: 'eighty'"),
        ([*SERVE, "-m", "models:/a/1", "-p", "70000"], "invalid port value: '70000'"),
        ([*SERVE, "-m", "models:/a/1", "--env-manager", "nix"], "invalid choice: 'nix'"),
        ([*SERVE, "-m", "models:/a/Prodction"], "'Prodction' is no stage"),
        ([*SERVE, "-m", "models:/a/1/2"], "not a proper models:/ URI"),
        ([*SERVE, "-m", "models:/a@"], "not a proper models:/ URI"),
        ([*SERVE, "-m", "models:/a"], "names no stage, alias or version; use models:/<name>/"),
        ([*SERVE, "-m", "models:/spam"], "names no stage, alias or version"),
        ([*SERVE, "-m", "models://profile/a/1"], "another registry"),
        ([*SERVE, "-m", "model:/a/1"], "'model:' is unknown"),
        ([*SERVE, "-m", "./no-such-folder"], "no MLmodel file"),
        (["--poll-interval", "soon", *SERVE, "-m", "models:/a/1"], "--poll-interval must be"),
        (["--poll-interval", "-1", *SERVE, "-m", "models:/a/1"], "must be a number above 0"),
        (["--max-body", "10MB", *SERVE, "-m", "models:/a/1"], "with k, M or G behind it, not"),
        (["--max-body", "1.5G", *SERVE, "-m", "models:/a/1"], "must be a whole number of bytes"),
        (["--workers", "2.5", *SERVE, "-m", "models:/a/1"], "must be a whole number from 1 to"),
        (["--workers", "100000", *SERVE, "-m", "models:/a/1"], "must be a whole number from 1 to"),
        (["--cors-origins", "shop.example", *SERVE, "-m", "models:/a/1"], "must be origins as"),
        (["--cors-origins", "https://a.example/", *SERVE, "-m", "models:/a/1"], "must be origins"),
        (["--forwarded-allow-ips", "caddy", *SERVE, "-m", "models:/a/1"], "must be addresses or"),
        (["--forwarded-allow-ips", "10.0.0.1/8", *SERVE, "-m", "models:/a/1"], "or networks"),
        (["--keep-versions", "0", *SERVE, "-m", "models:/a/1"], "must be a whole number above 0"),
        (["--cache", "", *SERVE, "-m", "models:/a/1"], "--cache must be a folder, "),
        (["--cache", "~nobody-here/x", *SERVE, "-m", "models:/a/1"], "not '~nobody-here/x'"),
        (["--child-log", "~nobody-here/x", *SERVE, "-m", "models:/a/1"], "--child-log must be a"),
        (["--token-file", "~nobody-here/x", *SERVE, "-m", "models:/a/1"], "whose home is that?"),
        (["--csv", "xml", *SERVE, "-m", "models:/a/1"], "one of auto, text, table"),
        (["--nonsense", *SERVE, "-m", "models:/a/1"], "--nonsense"),
        (["no-such-mlflow", "models", "serve", "-m", "models:/a/1"], "no program 'no-such-mlflow'"),
    ],
)
def test_a_bad_command_line_is_one_line_and_code_2(
    arguments: list[str], told: str, refused: Refusal
) -> None:
    refused(*arguments, MLFLOW_TRACKING_URI="http://127.0.0.1:1")
    assert refused.code == 2
    assert told in refused.told
    assert len(refused.told.splitlines()) == 1


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({}, "MLFLOW_TRACKING_URI is not set"),
        (
            {"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"},
            "must be an http(s) address of an MLflow server, not 'sqlite:…'",
        ),
        ({"MLFLOW_TRACKING_URI": "./mlruns"}, "an MLflow server, not a path or a word"),
        ({"MLFLOW_TRACKING_URI": "http://host:port"}, "must be an http(s) address"),
        ({"MLFLOW_TRACKING_URI": "http://mlflow..svc:5000"}, "must be an http(s) address"),
        ({"MLFLOW_TRACKING_URI": "http://h", "MLFLOW_REGISTRY_URI": "x"}, "MLFLOW_REGISTRY_URI"),
        (
            {"MLFLOW_TRACKING_URI": "https://h", "MLFLOW_TRACKING_SERVER_CERT_PATH": "/nowhere"},
            "MLFLOW_TRACKING_SERVER_CERT_PATH can't be read",
        ),
        (
            {"MLFLOW_TRACKING_URI": "https://h", "MLFLOW_TRACKING_CLIENT_CERT_PATH": "/nowhere"},
            "MLFLOW_TRACKING_CLIENT_CERT_PATH can't be read",
        ),
        (
            {"MLFLOW_TRACKING_URI": "http://h", "HOTSERVE_CACHE": "/proc/nowhere"},
            "cache folder /proc/nowhere",
        ),
        (
            {"MLFLOW_TRACKING_URI": "http://h", "HOTSERVE_CHILD_LOG": "/proc/nowhere"},
            "the folder for the output /proc/nowhere can't be written to (",
        ),
        (
            {"MLFLOW_TRACKING_URI": "http://h", "HOTSERVE_CHILD_LOG": "/proc/nowhere"},
            "name another with --child-log or HOTSERVE_CHILD_LOG",
        ),
        (
            {"MLFLOW_TRACKING_URI": "http://h", "HOTSERVE_CHILD_LOG": __file__},
            "can't be written to (File exists)",
        ),
        ({"MLFLOW_TRACKING_URI": "http://h", "HOTSERVE_WORKERS": "0"}, "HOTSERVE_WORKERS"),
    ],
)
def test_a_bad_variable_is_one_line_and_code_2(
    environment: dict[str, str], told: str, refused: Refusal
) -> None:
    refused(*SERVE, "-m", "models:/a/1", **environment)
    assert refused.code == 2
    assert told in refused.told
    assert len(refused.told.splitlines()) == 1


def test_a_secret_in_the_address_is_not_shown(refused: Refusal) -> None:
    refused(*SERVE, "-m", "models:/a/1", MLFLOW_TRACKING_URI="ftp://user:s3cret@host")
    assert refused.code == 2
    assert "s3cret" not in refused.told


def test_a_port_in_use_is_one_line_and_code_2(refused: Refusal) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused(
            *(*SERVE, "-m", "models:/a/1", "-p", str(port)),
            MLFLOW_TRACKING_URI="http://127.0.0.1:1",
        )
    assert refused.code == 2
    assert refused.told == f"hotserve: can't listen on 127.0.0.1 port {port}: it is in use\n"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as a process that is expected to end by itself."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "HOTSERVE_"))}
    return completed(
        [sys.executable, "-m", "hotserve", *arguments], env=inherited | environment, timeout=120
    )


def test_an_option_that_mlflow_does_not_know_ends_with_code_2(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    result = run(
        *(*SERVE, "-m", "models:/a/1", "-p", str(port), "--bogus"),
        MLFLOW_TRACKING_URI="http://127.0.0.1:1",
        HOTSERVE_CACHE=str(tmp_path),
    )
    assert result.returncode == 2
    assert "--bogus" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_current_folder_that_was_removed_is_one_line_and_code_2(
    refused: Refusal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed = tmp_path / "release-1"
    removed.mkdir()
    monkeypatch.chdir(removed)
    removed.rmdir()
    refused(*SERVE, "-m", "models:/a/1", MLFLOW_TRACKING_URI="http://127.0.0.1:1")
    assert refused.code == 2
    assert refused.told.startswith("hotserve: the current folder was removed;")


def test_what_is_likely_a_mistake_is_told(tmp_path: Path) -> None:
    # It ends, as this program knows no option at all.
    mlflow = program(tmp_path / "mlflow", "exit 2")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    result = run(
        *(str(mlflow), "models", "serve", "-m", "models:/a/1", "-p", str(port), "--bogus"),
        MLFLOW_TRACKING_URI="http://127.0.0.1:1",
        HOTSERVE_CACHE=str(tmp_path / "cache"),
        HOTSERVE_TOKEN="",
        HOTSERVE_WORKER="1",
    )
    assert "HOTSERVE_TOKEN is empty: everybody is answered" in result.stderr
    assert "HOTSERVE_WORKER is no setting; is HOTSERVE_WORKERS meant?" in result.stderr


def test_the_help_of_the_wrapped_command_is_its_own(tmp_path: Path) -> None:
    mlflow = program(tmp_path / "mlflow", 'echo "$@"; echo told >&2; exit 3')
    for arguments in (["--help"], ["-m", "models:/a/1", "-p", "eighty", "--help"]):
        told = run("--workers", "2", str(mlflow), "models", "serve", *arguments)
        assert told.stdout == " ".join(["models", "serve", *arguments]) + "\n"
        assert (told.stderr, told.returncode) == ("told\n", 3)
    told = run("no-such-mlflow", "models", "serve", "--help")
    assert (told.returncode, len(told.stderr.splitlines())) == (2, 1)


def test_no_process_asks_a_proxy_for_what_runs_on_this_machine(tmp_path: Path) -> None:
    mlflow = program(tmp_path / "mlflow", 'echo "$no_proxy $NO_PROXY"')
    given = {"HTTP_PROXY": "http://proxy:3128", "no_proxy": "", "NO_PROXY": ".corp"}
    result = run(str(mlflow), "models", "serve", "--help", **given)
    assert result.stdout == " ".join([".corp,localhost,127.0.0.1,::1"] * 2) + "\n"


def test_help_names_every_option_with_its_default() -> None:
    result = run("--help", XDG_CACHE_HOME="/somewhere")
    assert result.returncode == 0
    told = " ".join(result.stdout.split())
    for option in settings_module.OPTIONS:
        assert option.flag in told
    for text in (
        *("--poll-interval S seconds between two looks at the registry (default 1)", "HOTSERVE_"),
        *("(default /somewhere/hotserve)", f"(default {len(os.sched_getaffinity(0))})"),
        "--access-log a line of JSON for each request on standard output --forwarded-allow-ips IPS",
        "HOTSERVE_TOKEN is one token processes:",
        *("0 stopped", "1 a fault", "2 an option"),
    ):
        assert text in told
    assert run("--version").stdout == f"hotserve {__version__}\n"
