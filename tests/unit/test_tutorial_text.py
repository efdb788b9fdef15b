"""How a tutorial's page is read, and how what it shows is compared with what was printed."""

import re
from pathlib import Path

import pytest

from tests.e2e.tutorial_text import Command, PageStep, Program, missing_line, read
from tests.support.commands import ROOT, completed

TUTORIALS = ["tutorial.md", "tutorial.pt-BR.md"]
EXERCISES = ["exercises.md", "exercises.pt-BR.md"]
PAGE = """\
# A page

## First

```sh
for n in 1 2; do
  echo $n
done
```

```powershell
foreach ($n in 1, 2) { $n }
```

```text
1
2
```

A table's form:

```text
a;b
```

<!-- exit code: 1 -->

```sh
false
```

<!-- page: promote -->

![a picture](images/a.png)

## Second

```python
# here.py
print(1)
```

<!-- instead -->

```sh
docker compose up
```
"""


def test_commands_their_answers_and_steps_in_the_page_come_in_order(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    tutorial = read(page)
    assert [section.heading for section in tutorial.sections] == ["", "First", "Second"]
    assert tutorial.steps() == [
        Command(
            "for n in 1 2; do\n  echo $n\ndone", ("1", "2"), "foreach ($n in 1, 2) { $n }", code=0
        ),
        Command("false", code=1),
        PageStep("promote"),
        Program("here.py", "# here.py\nprint(1)\n"),
    ]
    assert tutorial.instead == ["docker compose up"]
    assert tutorial.blocks == {"text": ["a;b"]}
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


@pytest.mark.parametrize("name", TUTORIALS)
def test_environment_is_made_before_it_is_activated_with_docker_too(name: str) -> None:
    tutorial = read(ROOT / "docs" / name)
    (instead_of_make_run,) = tutorial.instead
    assert "make env" in instead_of_make_run.splitlines()
    typed = [s.text for s in tutorial.steps() if isinstance(s, Command)]
    assert any("source .venv/bin/activate" in text.splitlines() for text in typed)


PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_can_be_pasted_as_they_are(page: Path) -> None:
    tutorial = read(page)
    commands = [step.text for step in tutorial.steps() if isinstance(step, Command)]
    others = [block for blocks in tutorial.blocks.values() for block in blocks]
    for block in [*commands, *tutorial.powershell, *tutorial.instead, *others]:
        assert not re.search(r"^(\$|>|PS>) ", block, re.M), block


@pytest.mark.parametrize("name", TUTORIALS)
def test_what_is_to_be_replaced_is_named_above_where_it_stands(name: str) -> None:
    text = (ROOT / "docs" / name).read_text("utf-8")
    before, *after = re.split(r"^```sh\n", text, flags=re.M)
    for block in after:
        typed = block.partition("```")[0]
        told = before.rpartition("\n## ")[2]
        for address in re.findall(r"https://gitlab\S+", typed):
            assert f"`{address}`" in told
        before += block


@pytest.mark.parametrize("name", [*TUTORIALS, *EXERCISES])
def test_powershell_asks_for_the_same(name: str) -> None:
    for step in read(ROOT / "docs" / name).steps():
        if isinstance(step, Command):
            assert step.powershell, step.text
            assert trainers_lines(step.powershell) == trainers_lines(step.text)


def trainers_lines(block: str) -> list[str]:
    """What a block has the trainer do, in whatever shell and folder."""
    lines = [line.strip().removeprefix("treinador ") for line in block.splitlines()]
    gone = r'trainer/(?=promote|batch|produtos|sweep|train)|/fora/|"| --env-manager local'
    return [re.sub(gone, "", line) for line in lines if re.match("mlflow|python", line)]


def test_every_target_that_a_page_names_is_listed() -> None:
    listed = completed(["make", "help"], cwd=ROOT, check=True).stdout
    for target in ("env", "run", "up"):
        assert f"  make {target} " in listed
