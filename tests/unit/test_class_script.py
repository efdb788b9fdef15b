"""`make class` in containers: whom it asks, and the tokens that it gives."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.commands import ROOT, completed
from tests.support.fake_docker import FakeDocker

ANSWERS = """\
  "compose config --services") printf '%s\\n' $SERVICES ;;
  *) cat ;;
"""
SHEET = "# Ana\n`curl -H 'Authorization: Bearer {token|ana-lucia|yours}' -d '{}'`\n"


@pytest.fixture
def docker(tmp_path: Path) -> FakeDocker:
    return FakeDocker(tmp_path, ANSWERS)


def classroom(docker: FakeDocker, services: str, *arguments: str) -> list[str]:
    """What is run, in no order: the parts of a pipe begin together."""
    script = ROOT / "deploy" / "classroom.sh"
    done = docker.run(script, *arguments, given="Ana\n", SERVICES=services)
    assert (done.returncode, done.stdout) == (0, "Ana\n")
    return sorted(re.findall(r" (trainer .*|accounts .*|tokens .*)", docker.calls.read_text()))


def test_the_sheets_of_a_team_get_passwords_and_tokens(docker: FakeDocker) -> None:
    assert classroom(docker, "mlflow accounts tokens", "--address", "https://room:5000") == [
        "accounts python -m server.accounts class",
        "tokens class",
        "trainer python classroom.py --logins --address https://room:5000",
    ]


@pytest.mark.parametrize(
    ("services", "argument"), [("mlflow accounts tokens", "--status"), ("mlflow", "--address=x")]
)
def test_without_logins_and_for_the_list_the_trainer_is_enough(
    docker: FakeDocker, services: str, argument: str
) -> None:
    assert classroom(docker, services, argument) == [f"trainer python classroom.py {argument}"]


def tokens_sh(tokens: Path, *arguments: str, text: str = "") -> str:
    """What the script says of this file; it has to succeed."""
    script = (ROOT / "deploy" / "team" / "tokens.sh").read_text("utf-8")
    script = script.replace("/var/lib/hotserve/tokens", str(tokens))
    run = ["sh", "-c", script, "tokens.sh", *arguments]
    env = os.environ | {"HOTSERVE_TOKEN": "of-nobody"}
    done = completed(run, env=env, input=text, check=True)
    return done.stdout


def test_the_dot_of_a_name_is_no_other_letter(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("ana-s abc\n")
    assert tokens_sh(tokens, "add", "ana.s").strip() in tokens.read_text()
    tokens_sh(tokens, "remove", "ana.s")
    assert tokens.read_text() == "ana-s abc\n"


def test_of_several_at_the_same_time_none_is_lost(tmp_path: Path) -> None:
    tokens, names = tmp_path / "tokens", [f"client-{number}" for number in range(20)]
    tokens.write_text("first abc\n")
    with ThreadPoolExecutor(len(names)) as pool:
        said = list(pool.map(lambda name: tokens_sh(tokens, "add", name).strip(), names))
    given = {f"{name} {token}" for name, token in zip(names, said, strict=True)}
    assert set(tokens.read_text().splitlines()) == {"first abc", *given}


def test_a_token_is_for_the_own_model_and_is_said_once(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("first abc\n")

    def filled() -> str:
        return tokens_sh(tokens, "class", text=SHEET)

    sheet = filled()
    first, line = tokens.read_text().splitlines()
    assert first == "first abc"
    assert (match := re.fullmatch(r"ana-lucia (\w{40}) models:/ana-lucia", line))
    assert sheet == SHEET.replace("{token|ana-lucia|yours}", match[1])
    assert filled() == SHEET.replace("{token|ana-lucia|yours}", "yours")
    assert tokens.read_text().splitlines() == [first, line]
