"""How a tutorial's page is read, and how what it shows is compared with what was printed."""

import subprocess
from pathlib import Path

import pytest

from tests.e2e.tutorial_text import Command, PageStep, missing_line, read

ROOT = Path(__file__).resolve().parents[2]
PAGE = """\
# A page

## First

```console
$ for n in 1 2; do
>   echo $n
> done
1
2
$ true
```

<!-- page: promote -->

![a picture](images/a.png)

## Second

```sh
docker compose up
```
"""


def test_commands_their_answers_and_steps_in_the_page_come_in_order(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    tutorial = read(page)
    assert [section.heading for section in tutorial.sections] == ["First", "Second"]
    assert tutorial.steps() == [
        Command("for n in 1 2; do\n  echo $n\ndone", ("1", "2")),
        Command("true"),
        PageStep("promote"),
    ]
    assert tutorial.blocks == {"sh": ["docker compose up"]}
    assert tutorial.pictures == ["images/a.png"]


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        (["a", "c"], "a\nb\nc"),
        (["…", "c"], "b\nc"),
        (["ready after 63 s"], "ready after 4 s"),
        (["acuracia 0.9862  1.6 s"], "acuracia 0.9801  12.3 s"),
        (["MLflow …"], "MLflow at home"),
    ],
)
def test_same_as_shown(shown: list[str], printed: str) -> None:
    assert missing_line(tuple(shown), printed) is None


@pytest.mark.parametrize(
    ("shown", "printed", "missing"),
    [
        (["a", "b"], "b\na", "b"),
        (["version 2"], "version 3", "version 2"),
        (["acuracia 0.98"], "acuracia 0.71", "acuracia 0.98"),
        (["livro"], "senhor;livro", "livro"),
    ],
)
def test_not_as_shown(shown: list[str], printed: str, missing: str) -> None:
    assert missing_line(tuple(shown), printed) == missing


@pytest.mark.parametrize("name", ["tutorial.md", "tutorial.pt-BR.md"])
def test_environment_is_made_before_it_is_activated_with_docker_too(name: str) -> None:
    tutorial = read(ROOT / "docs" / name)
    instead_of_make_run = tutorial.blocks["sh"]
    assert "make env" in instead_of_make_run
    assert "source .venv/bin/activate" in [
        s.text for s in tutorial.steps() if isinstance(s, Command)
    ]


def test_every_target_that_a_page_names_is_listed() -> None:
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for target in ("env", "run", "up"):
        assert f"  make {target} " in listed
