"""Programs speak the language of the terminal, and what they say is in the catalog."""

import os
import re
import sys

import pytest

from tests.support.commands import ROOT, completed

ENGLISH, PORTUGUESE = "must be a number between 0 and 1", "deve ser um número entre 0 e 1"


def said(variables: dict[str, str], *command: str, **more: str) -> str:
    kept = {n: v for n, v in os.environ.items() if n not in ("LINGUA", "LANGUAGE", "LC_ALL")}
    done = completed(
        [sys.executable, *command],
        cwd=ROOT,
        env=kept | {"LC_MESSAGES": "", "LANG": "C.UTF-8"} | variables | more,
        encoding="utf-8",
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, ENGLISH),
        ({"LANG": "pt_BR.UTF-8"}, PORTUGUESE),
        ({"LANG": "pt_PT.UTF-8"}, PORTUGUESE),
        ({"LANG": "de_DE.UTF-8"}, ENGLISH),
        ({"LANG": "pt_BR.UTF-8", "LINGUA": ""}, PORTUGUESE),
        ({"LANG": "pt_BR.UTF-8", "LINGUA": "en"}, ENGLISH),
        ({"LINGUA": "pt"}, PORTUGUESE),
        ({"LANG": "pt_BR.UTF-8", "LC_ALL": "en_US.UTF-8"}, ENGLISH),
        ({"LANG": "pt_BR.UTF-8", "LANGUAGE": "en_US:en:pt_BR:pt"}, ENGLISH),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "de:pt_BR:pt:en"}, PORTUGUESE),
    ],
)
def test_error_is_in_the_language_of_the_terminal(variables: dict[str, str], message: str) -> None:
    assert message in said(variables, "trainer/train.py", "--test-size", "2")


@pytest.mark.parametrize(
    ("language", "message"),
    [("pt", "uma porta é um número de 1 a 65535"), ("en", "a port is a number from 1 to 65535")],
)
def test_make_run_speaks_it_too(language: str, message: str) -> None:
    assert message in said({"LINGUA": language}, "-m", "local", SERVE_PORT="x")


@pytest.mark.parametrize("program", ["train", "sweep", "batch", "promote"])
def test_help_is_translated(program: str) -> None:
    help_in = {
        language: said({"LINGUA": language}, f"trainer/{program}.py", "--help")
        for language in ("pt", "en")
    }
    assert "padrão: " in help_in["pt"]
    assert "default: " in help_in["en"]
    prose = re.compile(r"[a-zà-ú][a-zà-ú,;()]+(?: [a-zà-ú,;()]+){2,}")
    described = help_in["pt"].partition("exemplos:")[0]
    assert not [sentence for sentence in prose.findall(described) if sentence in help_in["en"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--help"], "uso: train.py"),
        (["--nada"], "train.py: argumentos desconhecidos: --nada; veja"),
        (["--alfa", "1"], "train.py: não há --alfa, mas há --alpha; veja"),
        (["--alpha"], "train.py: argumento --alpha: falta o valor; veja"),
        (["--classifier", "svm"], "train.py: argumento --classifier: 'svm' não serve (escolha"),
    ],
)
def test_what_argparse_says_is_translated(arguments: list[str], message: str) -> None:
    assert message in said({"LINGUA": "pt"}, "trainer/train.py", *arguments)


def test_every_message_is_translated() -> None:
    done = completed([sys.executable, "tools/messages.py", "--check"], cwd=ROOT)
    assert done.returncode == 0, done.stderr
