"""Places of a class, on a real store."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from produtos.errors import BadInput
from produtos.registry import classroom
from produtos.registry.classroom import Place
from produtos.registry.registry import STUDENT
from tests.support.threads import Quiet, serving

LIST = ["Ana Lúcia", "", "  # quem falta", "João  (noite)", "Zé # o da frente"]


@pytest.fixture(autouse=True)
def _left_as_it_was(client: MlflowClient) -> Iterator[None]:
    before = {model.name for model in client.search_registered_models()}
    yield
    for model in client.search_registered_models():
        if model.name not in before:
            client.delete_registered_model(model.name)


def test_a_list_is_one_name_a_line_and_a_place_has_a_name_that_an_address_can_have() -> None:
    assert classroom.read(LIST) == [
        Place("Ana Lúcia", "ana-lucia"),
        Place("João (noite)", "joao-noite"),
        Place("Zé", "ze"),
    ]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["Ana", "Bia", "ana"], "line 3, ana: Ana has the place ana already"),
        (["Ana", "李"], "line 2, 李: a name needs a letter"),
        (["", "# ninguém"], "no name in the list"),
    ],
)
def test_a_list_that_is_no_good_is_told_by_its_line(lines: list[str], told: str) -> None:
    with pytest.raises(BadInput, match=told):
        classroom.read(lines)


def test_everybody_has_an_experiment_and_a_registered_model_and_keeps_them(
    client: MlflowClient,
) -> None:
    made = classroom.make(client, classroom.read(LIST))
    assert [client.get_experiment(place.experiment_id).name for place in made] == [
        place.name for place in made
    ]
    assert client.get_registered_model("ana-lucia").tags == {STUDENT: "Ana Lúcia"}
    again = classroom.make(client, classroom.read([*LIST, "Bia"]))
    assert again[:3] == made
    assert [place.student for place in classroom.places()] == [
        *("Ana Lúcia", "Bia", "João (noite)", "Zé"),
    ]


def test_one_that_was_cut_off_can_be_repeated(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_: object) -> None:
        raise BadInput("the connection broke")

    with monkeypatch.context() as broken:
        broken.setattr(client, "create_registered_model", cut_off)
        with pytest.raises(BadInput, match="broke"):
            classroom.make(client, [Place("Ana", "ana")])
    classroom.make(client, [Place("Ana", "ana")])
    assert [place.name for place in classroom.places()] == ["ana"]


def test_what_is_there_and_no_place_is_left_alone_and_nothing_is_made(client: MlflowClient) -> None:
    wanted = [Place("Ana", "ana"), Place("Outro", "outro")]
    client.create_registered_model("outro")
    with pytest.raises(BadInput, match="Outro: the name outro is taken"):
        classroom.make(client, wanted)
    client.delete_registered_model("outro")
    client.create_experiment("outro")
    with pytest.raises(BadInput, match="Outro: the name outro is taken"):
        classroom.make(client, wanted)
    assert classroom.places() == []
    assert client.get_experiment_by_name("ana") is None


def test_how_far_somebody_is(client: MlflowClient) -> None:
    (place,) = classroom.make(client, [Place("Ana", "ana")])
    nothing = classroom.Progress("Ana", 0, 0, None, 0, None, None, "")
    assert classroom.progress(client, place, "") == nothing
    for figure, status in ((0.9, "FINISHED"), (0.95, "FINISHED"), (None, "FAILED")):
        run = client.create_run(place.experiment_id)
        if figure is not None:
            client.log_metric(run.info.run_id, classroom.BEST, figure)
        client.set_terminated(run.info.run_id, status)
    for _ in range(2):
        client.create_model_version("ana", "/nowhere")
    assert classroom.progress(client, place, "")[:6] == ("Ana", 3, 1, 0.95, 2, None)
    with pytest.warns(FutureWarning):
        client.transition_model_version_stage("ana", "2", "Production")
    assert classroom.progress(client, place, "").production == "2"


@contextmanager
def api_that_says(answer: str) -> Iterator[str]:
    """The address of an API that answers one request with that, and nothing more."""

    def answers() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(f"HTTP/1.0 {answer}".encode())

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answers, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    ("answer", "version", "error"),
    [
        ('200 OK\r\n\r\n{"version": "2"}', "2", ""),
        ('200 OK\r\n\r\n{"version": null, "last_error": {"message": "no"}}', None, "no"),
        ('200 OK\r\nContent-Length: 99\r\n\r\n{"version": "2"}', None, ""),
        ('404 No\r\n\r\n{"version": "2"}', None, ""),
    ],
)
def test_what_the_api_says_of_a_model_or_was_cut_off_saying(
    client: MlflowClient, answer: str, version: str | None, error: str
) -> None:
    with api_that_says(answer) as api:
        found = classroom.progress(client, Place("Ana", "ana"), api)
    assert (found.answers, found.error) == (version, error)


@pytest.mark.parametrize(
    ("answer", "is_the_class_s"), [("200 OK", True), ("401 Unauthorized", True), ("404 No", False)]
)
def test_the_api_of_one_model_is_not_that_of_a_class(answer: str, *, is_the_class_s: bool) -> None:
    with api_that_says(f"{answer}\r\n\r\n") as api:
        assert classroom.api_answers(api) == is_the_class_s


@pytest.mark.parametrize("token", ["class-token", ""])
def test_the_api_is_asked_with_its_token_whatever_stands_in_netrc(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, token: str
) -> None:
    shown: list[str | None] = []

    class Api(Quiet):
        def do_GET(self) -> None:
            shown.append(self.headers["Authorization"])
            self.send_response(200)
            self.end_headers()

    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ana password segredo\n", "utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOTSERVE_TOKEN", token)
    with serving(HTTPServer(("127.0.0.1", 0), Api)) as port:
        assert classroom.api_answers(f"http://127.0.0.1:{port}")
    assert shown == [f"Bearer {token}" if token else None]
