"""How a version's process is started: MLflow's command, or the server that it would start."""

import sys
from pathlib import Path

import pytest

from hotserve.config import mlflow_command
from hotserve.config.mlflow_command import parse

PIP_SCRIPT = "#!/usr/bin/python3\nimport sys\nfrom mlflow.cli import cli\nsys.exit(cli())\n"
LOCAL = ("--env-manager", "local")


def script(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def python_of(program: Path) -> str | None:
    return parse([str(program), "models", "serve", "-m", "x"], {}).python()


def test_the_python_of_a_program_lies_beside_it_or_in_its_first_line(tmp_path: Path) -> None:
    python = script(tmp_path / "env" / "python3")
    program = script(tmp_path / "env" / "mlflow")
    assert python_of(program) == str(python)
    link = tmp_path / "bin" / "mlflow"
    link.parent.mkdir()
    link.symlink_to(program)
    assert python_of(link) == str(python)
    alone = tmp_path / "alone"
    assert python_of(script(alone / "a", "#!/usr/bin/python3 -I\n")) == "/usr/bin/python3"
    assert python_of(script(alone / "b", "#!/bin/sh\n")) is None
    assert python_of(script(alone / "c", "import mlflow\n")) is None
    assert python_of(alone / "not-there") is None


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors:\n  python_function:\n    env: {}\n")
    return folder


def started(program: str | Path, model: Path, *options: str, **variables: str) -> list[str]:
    line = [*str(program).split(), "models", "serve", "-m", "models:/a/1", "-t", "7", *options]
    return parse(line, variables).serve(str(model), 40001)


def test_in_this_environment_the_server_has_no_parent_that_waits(
    tmp_path: Path, model: Path
) -> None:
    server = [str(mlflow_command._SERVER), str(model), "40001", "7"]
    assert Path(server[0]).is_file()
    python = f"{sys.executable} -m mlflow"
    assert started(python, model, *LOCAL) == [sys.executable, *server, "1"]
    assert started(python, model, "--no-conda", "-w", "3") == [sys.executable, *server, "3"]
    workers = started(python, model, *LOCAL, MLFLOW_MODELS_WORKERS="2")
    assert workers == [sys.executable, *server, "2"]
    pip = script(tmp_path / "alone" / "mlflow", PIP_SCRIPT)
    assert started(pip, model, *LOCAL) == ["/usr/bin/python3", *server, "1"]


def test_files_are_fetched_by_mlflow_without_its_command_line(tmp_path: Path) -> None:
    def fetched(program: str | Path) -> list[str]:
        return parse([*str(program).split(), "models", "serve", "-m", "x"], {}).download("u", "/d")

    assert mlflow_command._FETCH.is_file()
    script_of_ours = [str(mlflow_command._FETCH), "u", "/d"]
    assert fetched(f"{sys.executable} -m mlflow") == [sys.executable, *script_of_ours]
    pip = script(tmp_path / "mlflow", PIP_SCRIPT)
    assert fetched(pip) == ["/usr/bin/python3", *script_of_ours]
    for other in ("ddtrace-run mlflow", script(tmp_path / "other" / "mlflow")):
        command = [*str(other).split(), "artifacts", "download", "-u", "u", "-d", "/d"]
        assert fetched(other) == command


@pytest.mark.parametrize(
    ("program", "options"),
    [
        ("python -m mlflow", ()),
        ("python -m mlflow", ("--env-manager", "uv")),
        ("python -m mlflow", (*LOCAL, "--an-option-of-tomorrow")),
        ("python -m other", LOCAL),
        ("ddtrace-run mlflow", LOCAL),
        ("python -I -m mlflow", LOCAL),
    ],
)
def test_everything_else_is_mlflows_own_command(
    model: Path, program: str, options: tuple[str, ...]
) -> None:
    assert started(program, model, *options) == [
        *program.split(),
        *("models", "serve", "-m", str(model), "-p", "40001", "-h", "127.0.0.1", "-t", "7"),
        *options,
    ]


def test_a_script_around_mlflow_and_a_model_of_r_are_left_to_mlflow(
    tmp_path: Path, model: Path
) -> None:
    script(tmp_path / "python")
    wrapper = script(tmp_path / "mlflow", '#!/bin/sh\nexec env A=1 /usr/bin/mlflow "$@"\n')
    assert started(wrapper, model, *LOCAL)[0] == str(wrapper)
    assert started("python -m mlflow", tmp_path / "gone", *LOCAL)[:3] == ["python", "-m", "mlflow"]
    (model / "MLmodel").write_text("flavors:\n  crate:\n    version: 0.1.0\n")
    assert started("python -m mlflow", model, *LOCAL)[:3] == ["python", "-m", "mlflow"]
