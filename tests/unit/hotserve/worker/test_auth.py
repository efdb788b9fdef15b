"""Tokens: where they come from, what is refused, and who is let in."""

from pathlib import Path

import pytest

from hotserve.config import settings as settings_module
from hotserve.config.errors import UsageError
from hotserve.config.tokens import Client, read_tokens
from hotserve.worker.answer import Headers
from hotserve.worker.auth import Auth
from hotserve.worker.errors import RequestError

COMMAND = ["mlflow", "models", "serve", "-m", "models:/a/1"]


def bearer(*values: str) -> Headers:
    return [(b"host", b"h"), *((b"authorization", value.encode()) for value in values)]


def test_nothing_set_is_open() -> None:
    assert read_tokens({}, "") is None
    assert read_tokens({"HOTSERVE_TOKEN": ""}, "") is None


def test_a_variable_or_a_file_with_several(tmp_path: Path) -> None:
    assert read_tokens({"HOTSERVE_TOKEN": "abre-te"}, "") == {"abre-te": Client()}
    file = tmp_path / "tokens"
    file.write_text("# the one that goes in May\n velho \r\n\nana.lima@loja \tnovo\n")
    tokens = {"velho": Client(), "novo": Client("ana.lima@loja")}
    assert read_tokens({}, str(file)) == tokens
    settings = settings_module.read(COMMAND, {"HOTSERVE_TOKEN_FILE": str(file)})
    assert settings.tokens == tokens
    assert settings_module.read(["--token-file", str(file), *COMMAND], {}).tokens == tokens
    assert "velho" not in repr(settings)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", ""),
        (b"\n \n# none\n", ""),
        (b"\xff\xfe", ""),
        ("ana ok\nsegredo\xe3o".encode(), ", line 2:"),
        (b"# three\nana 1 segredo\n", ", line 2:"),
        (b"a/b segredo\n", ", line 1:"),
        (b"segredo-that-is-32-characters-long ana\n", ", line 1:"),
        (b"ana segredo\nbia segredo\n", ", line 2: a line above has this token"),
    ],
)
def test_a_file_without_a_usable_token_is_refused_in_one_line(
    tmp_path: Path, content: bytes, line: str
) -> None:
    file = tmp_path / "tokens"
    file.write_bytes(content)
    with pytest.raises(UsageError) as error:
        read_tokens({}, str(file))
    told = str(error.value)
    assert f"{file}{line}" in told
    assert len(told.splitlines()) == 1
    assert "segredo" not in told


def test_what_can_not_be_meant_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("novo\n")
    for variables, path, told in (
        ({"HOTSERVE_TOKEN": "a"}, str(file), "both given"),
        ({"HOTSERVE_TOKEN": " "}, "", "visible ASCII"),
        ({"HOTSERVE_TOKEN": "one two"}, "", "visible ASCII"),
        ({"HOTSERVE_TOKEN": "não"}, "", "visible ASCII"),
        ({}, str(tmp_path / "nowhere"), "No such file"),
        ({}, str(tmp_path), "Is a directory"),
    ):
        with pytest.raises(UsageError, match=told):
            read_tokens(variables, path)
    with pytest.raises(UsageError, match="names no file"):
        settings_module.read(["--token-file", "", *COMMAND], {})


def test_who_is_let_in() -> None:
    auth = Auth({"velho": Client(), "novo": Client("ana")})

    def challenge(headers: Headers) -> bytes:
        assert auth.client(headers, "m") is None
        with pytest.raises(RequestError) as error:
            auth.require(headers, "m")
        assert error.value.answer.status == 401
        return dict(error.value.answer.headers)[b"www-authenticate"]

    for shown in ("Bearer novo", "bearer novo", "BEARER  novo "):
        assert auth.client(bearer(shown), "m") == auth.require(bearer(shown), "m"), shown
        assert auth.client(bearer(shown), "m") == Client("ana"), shown
    assert auth.client(bearer("Bearer velho"), "m") == Client()
    assert auth.require(bearer("Bearer velho"), "m") == Client()
    for nothing in ([], ["Basic bm92bzpub3Zv"], ["novo"]):
        assert challenge(bearer(*nothing)) == b"Bearer"
    for wrong in ("Bearer", "Bearer nov", "Bearer novoo", "Bearer velho novo", "Bearer \xe9"):
        assert challenge(bearer(wrong)) == b'Bearer error="invalid_token"', wrong


def test_without_a_token_everybody_is_let_in() -> None:
    for headers in ([], bearer("Bearer novo")):
        assert Auth(None).client(headers, "m") == Auth(None).require(headers, "m") == Client()


def test_tokens_that_change_count_at_once() -> None:
    auth = Auth({"velho": Client()})
    auth.use({"novo": Client("ana")})
    assert auth.client(bearer("Bearer novo"), "m") == Client("ana")
    assert auth.client(bearer("Bearer velho"), "m") is None
    auth.use({})
    for headers in ([], bearer("Bearer novo"), bearer("Bearer "), bearer("Bearer")):
        assert auth.client(headers, "m") is None


def test_tokens_that_are_good_for_some_models(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    lines = ("ana um  models:/aluno-ana\tmodels:/t%C3%AAnis%20*", "dois models:/prova-*", "tres")
    file.write_text("\n".join(lines))
    tokens = read_tokens({}, str(file))
    assert tokens == {
        "um": Client("ana", ("aluno-ana", "tênis *")),
        "dois": Client("", ("prova-*",)),
        "tres": Client(),
    }
    auth = Auth(tokens)
    for token, good, bad in (
        ("um", ["aluno-ana", "tênis 3"], ["aluno-ana2", "aluno", "prova-1"]),
        ("dois", ["prova-1"], ["aluno-ana"]),
        ("tres", ["aluno-ana", "x"], []),
    ):
        headers = bearer(f"Bearer {token}")
        for model in good:
            assert auth.client(headers, model) == auth.require(headers, model) == tokens[token]
        for model in bad:
            assert auth.client(headers, model) is None
            with pytest.raises(RequestError) as error:
                auth.require(headers, model)
            assert error.value.answer.status == 403
        # What is of no model.
        assert auth.require(headers, "") == tokens[token]
    file.write_text("ana um models:/a/b\n")
    with pytest.raises(UsageError, match="line 1: write a token"):
        read_tokens({}, str(file))
