"""The script that makes `.venv`, with a Python that only writes down what it is asked for."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.environment_says import MESSAGES
from local.settings import ROOT
from tests.support.commands import completed, program

PYTHON = """\
#!/bin/bash
case "$*" in
  "-m venv"*)
    echo venv >>calls
    read -r _ <go
    rm -rf .venv
    mkdir -p .venv/bin
    cp "$0" .venv/bin/python
    echo "VIRTUAL_ENV='$PWD/.venv'" >.venv/bin/activate
    ;;
  "-m local"*) exec REAL "$@" ;;
  "-m pip"*) echo pip >>calls; printf '#!/bin/bash\\necho uv >>calls\\n' >.venv/bin/uv
    chmod +x .venv/bin/uv ;;
esac
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the script reads, in a folder where nothing is made yet."""
    folder = tmp_path / "com espaço"
    for name in (
        "local/__init__.py",
        "local/environment.sh",
        "local/environment_says.py",
        "local/language.py",
        "trainer/produtos/locale/pt/LC_MESSAGES/produtos.mo",
        "requirements.txt",
        "requirements-dev.txt",
        "requirements-local.txt",
        "trainer/requirements.txt",
        "classificador-produtos/requirements.txt",
        "classificador-produtos/pyproject.toml",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "python").write_text(PYTHON.replace("REAL", sys.executable), encoding="utf-8")
    (folder / "python").chmod(0o755)
    os.mkfifo(folder / "go")
    return folder


def start(project: Path, kind: str = "run") -> subprocess.Popen[str]:
    """The script, as `make env` calls it."""
    return subprocess.Popen(
        [project / "local" / "environment.sh", kind],
        env={**os.environ, "PYTHON": str(project / "python")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_what_fails_is_told_in_the_language_of_the_terminal(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINGUA", "pt")
    python = (project / "python").read_text(encoding="utf-8")
    fails = python.replace('"-m pip"*)', '"-m pip"*) exit 1 ;;\n  "-m uv"*)')
    (project / "python").write_text(fails, encoding="utf-8")
    first = start(project)
    (project / "go").write_text("\n")
    _, said = first.communicate()
    assert first.returncode == 2
    assert said == "make: não foi possível instalar uv; veja as linhas acima\n"


def test_packages_go_into_the_environment_whatever_the_shell_has_for_another_one(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("PIP_TARGET", "PIP_PREFIX", "UV_SYSTEM_PYTHON", "UV_PYTHON", "UV_TARGET", "UV_PREFIX")
    for name in names:
        monkeypatch.setenv(name, "/elsewhere")
    monkeypatch.setenv("PIP_USER", "1")
    python = (project / "python").read_text("utf-8")
    (project / "python").write_text(python.replace("uv >>calls", 'uv; env >>"seen"'), "utf-8")
    script = start(project)
    (project / "go").write_text("\n")
    assert script.wait(30) == 0
    seen = (project / "seen").read_text("utf-8").splitlines()
    assert seen.count("PIP_USER=0") == 2
    assert [line for line in seen if line.partition("=")[0] in names] == []


def test_all_that_the_script_says_has_its_words() -> None:
    script = (ROOT / "local" / "environment.sh").read_text(encoding="utf-8")
    said = set(re.findall(r"\b(?:say|fail) ([a-z-]+)", script))
    assert {"making", "not-installed"} <= said <= MESSAGES.keys()


def test_two_terminals_make_the_environment_once(project: Path) -> None:
    first = start(project)
    with (project / "go").open("w") as go:  # Opened: the first is in the middle of its work.
        second = start(project)
        assert second.stderr is not None
        assert "waiting for another make" in second.stderr.readline()
        go.write("\n")
    assert (first.wait(), second.wait()) == (0, 0)
    assert (project / "calls").read_text().split() == ["venv", "pip", "uv", "uv"]


def test_what_is_there_for_development_is_enough_for_make_run(project: Path) -> None:
    for_development = start(project, "dev")
    (project / "go").write_text("\n")
    assert for_development.wait() == 0
    (project / "calls").unlink()
    assert start(project).wait() == 0
    assert not (project / "calls").exists()

    with (project / "trainer" / "requirements.txt").open("a") as changed:
        changed.write("# another\n")
    assert start(project).wait() == 0
    assert (project / "calls").read_text().split() == ["uv", "uv"]


@pytest.mark.timeout(60)
def test_a_project_that_was_moved_gets_its_environment_anew(project: Path, tmp_path: Path) -> None:
    def made(folder: Path) -> list[str]:
        (folder / "calls").write_text("")
        process = start(folder)
        # It opens the pipe only if it makes something.
        with os.fdopen(os.open(folder / "go", os.O_RDWR), "r+b", buffering=0) as go:
            go.write(b"\n")
            assert process.wait() == 0
        return (folder / "calls").read_text().split()

    assert made(project)[0] == "venv"
    assert made(project) == []
    (tmp_path / "atalho").symlink_to(project)
    assert made(tmp_path / "atalho") == []
    (tmp_path / "atalho").unlink()
    assert made(project.rename(tmp_path / "movida"))[0] == "venv"


def test_it_says_what_it_does_and_how_much(project: Path) -> None:
    (project / "go").unlink()
    (project / "go").write_text("\n")
    done = completed(
        [project / "local" / "environment.sh", "run"],
        env={**os.environ, "PYTHON": str(project / "python")},
    )
    assert done.returncode == 0, done.stderr
    making, first, installing, installed = done.stdout.splitlines()
    assert making.startswith("making the environment in .venv with ")
    assert first == "first its installer, uv"
    assert re.fullmatch(r"installing \d+ pinned packages \(run\); .*", installing)
    assert re.fullmatch(r"\d+ packages installed in \d+ s", installed)


def test_a_bundle_of_another_kind_of_machine_is_refused_with_what_to_do(project: Path) -> None:
    (project / "wheels").mkdir()
    (project / "wheels" / "made-for").write_text("python3.11 pdp11\n")
    process = start(project)
    _, said = process.communicate()
    assert process.returncode == 2
    assert said.startswith("make: this bundle was made on pdp11, and this machine is ")
    assert not (project / "calls").exists()


def test_a_mac_is_told_to_use_docker(project: Path, tmp_path: Path) -> None:
    uname = program(tmp_path / "bin" / "uname", "echo Darwin")
    done = completed(
        [project / "local" / "environment.sh", "run"],
        env={**os.environ, "PATH": f"{uname.parent}:{os.environ['PATH']}"},
    )
    assert done.returncode == 2
    assert done.stderr.startswith("make: this needs Linux, and here is Darwin: use Docker")
    assert not (project / ".venv").exists()
