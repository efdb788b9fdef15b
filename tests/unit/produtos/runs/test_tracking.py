"""Reaching the tracking server, the experiment, and how runs end."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from produtos.errors import BadInput, Stopped
from produtos.runs import tracking
from produtos.runs.tracking import Tracker, running


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.setenv(name, "")
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def tracker(client: MlflowClient) -> Tracker:
    return Tracker(client, client.create_experiment("aqui"))


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A server that answers everybody with the same bytes, and closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def refusal(uri: str) -> str:
    """What is said of a tracking server at an address."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        with pytest.raises(BadInput) as raised:
            tracking.reach()
    finally:
        mlflow.set_tracking_uri(before)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


PLAIN = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"


def test_nobody_there_is_said_without_the_password() -> None:
    port = closed_port()
    assert refusal(f"http://ana:segredo@127.0.0.1:{port}") == (
        f"no tracking server answers at http://127.0.0.1:{port} (connection refused); start it, or "
        "set MLFLOW_TRACKING_URI to its address"
    )


def test_an_address_without_http_is_said_so() -> None:
    assert refusal("localhost:5000").endswith(
        "write http:// in front, MLFLOW_TRACKING_URI=http://localhost:5000"
    )


@pytest.mark.parametrize(
    ("scheme", "answer", "reason"),
    [
        ("https", PLAIN, "(it does not speak TLS: write http:// instead of https://)"),
        ("http", b"", "(it ended the connection: does it want https://?)"),
        ("http", FORBIDDEN, "403"),
    ],
)
def test_a_server_of_another_kind(scheme: str, answer: bytes, reason: str) -> None:
    with answering(answer) as port:
        message = refusal(f"{scheme}://127.0.0.1:{port}")
    assert reason in message
    assert "proxy" not in message


def test_a_refusal_by_a_proxy_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(FORBIDDEN) as port:
        monkeypatch.setenv("http_proxy", f"http://ana:segredo@127.0.0.1:{port}")
        message = refusal("http://mlflow.intranet:5000")
        assert f"403 != 200, by the proxy http://127.0.0.1:{port});" in message
        assert "segredo" not in message
        monkeypatch.setenv("no_proxy", "mlflow.intranet")
        assert "proxy" not in refusal("http://mlflow.intranet:5000")


def test_the_first_question_is_asked_once_and_patience_is_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "4")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    seen = {}

    def ask(*_: object, **__: object) -> None:
        seen.update({name: value for name, value in os.environ.items() if "HTTP_REQUEST" in name})
        raise TimeoutError("timed out")

    monkeypatch.setattr(MlflowClient, "search_experiments", ask)
    assert "(no answer within 5 s)" in refusal("http://127.0.0.1:9")
    assert seen["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"
    assert seen["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "5"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "4"
    assert "MLFLOW_HTTP_REQUEST_TIMEOUT" not in os.environ


def test_where_a_project_came_from_is_shown_without_its_secrets(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = tracker.client.create_run(tracker.experiment_id).info.run_id
    typed = {
        "mlflow.source.name": "https://ana:segredo@git.example/p.git#trainer",
        "mlflow.source.git.repoURL": "https://oauth2:segredo@git.example/p.git",
        "note": "ask https://wiki.example/?page=2",
    }
    for name, value in typed.items():
        tracker.client.set_tag(run_id, name, value)
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    tracking.reach()
    kept = tracker.client.get_run(run_id).data.tags
    assert kept["mlflow.source.name"] == "https://git.example/p.git#trainer"
    assert kept["mlflow.source.git.repoURL"] == "https://git.example/p.git"
    assert kept["note"] == typed["note"]


class Client:
    """As much of MLflow's client as hiding a secret takes."""

    def __init__(self, source: str, **parameters: str) -> None:
        tags = {"mlflow.source.name": source}
        self.run = SimpleNamespace(data=SimpleNamespace(tags=tags, params=parameters))

    def get_run(self, run_id: str) -> SimpleNamespace:
        assert run_id == "1a"
        return self.run

    def set_tag(self, run_id: str, name: str, value: str) -> None:
        assert run_id == "1a"
        self.run.data.tags[name] = value


Hide = Callable[..., tuple[str, str]]


@pytest.fixture
def hide(capsys: pytest.CaptureFixture[str]) -> Hide:
    """Where the project came from, as it is shown afterwards, and what is said."""

    def hide(source: str, **parameters: str) -> tuple[str, str]:
        client = Client(source, **parameters)
        tracking._hide_credentials(client, "1a")  # type: ignore[arg-type]
        return client.run.data.tags["mlflow.source.name"], capsys.readouterr().err

    return hide


def test_where_a_project_came_from_is_shown_without_its_password(hide: Hide) -> None:
    assert hide("https://ana:SECRET@host/p.git#trainer") == ("https://host/p.git#trainer", "")
    assert hide("/home/ana/p", dataset="https://host/x?t=$TOKEN") == ("/home/ana/p", "")


def test_a_parameter_that_mlflow_recorded_with_a_secret_is_warned_of(hide: Hide) -> None:
    _, said = hide("/p", test_size="0.2", dataset="https://ana:SECRET@host/x.csv?t=SECRET")
    assert "recorded dataset as it was typed" in said
    assert "https://host/x.csv?t=…, delete the run 1a" in said
    assert "SECRET" not in said
    assert said.count("\n") == 1


def test_the_experiment_of_the_trainer_is_made_once(client: MlflowClient) -> None:
    assert tracking.experiment_of(client) is None
    made = tracking.connect()
    found = client.get_experiment_by_name("classificador-produtos")
    assert found is not None
    assert found.experiment_id == made.experiment_id
    there = tracking.experiment_of(client)
    assert there is not None
    assert there.experiment_id == made.experiment_id
    assert tracking.connect().experiment_id == made.experiment_id


def test_an_experiment_of_ones_own(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", tracker.experiment_id)
    assert tracking.connect().experiment_id == tracker.experiment_id
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "123456")
    with pytest.raises(BadInput, match="there is no experiment 123456; set MLFLOW_EXPERIMENT_ID"):
        tracking.connect()
    # The name counts before the number.
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "aqui")
    assert tracking.connect().experiment_id == tracker.experiment_id
    run_id = tracker.client.create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    assert tracking.connect().experiment_id == "0"


def test_a_deleted_experiment_is_said_with_how_to_have_it_back(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "aqui")
    tracker.client.delete_experiment(tracker.experiment_id)
    restore = f"mlflow experiments restore --experiment-id {tracker.experiment_id}"
    with pytest.raises(BadInput, match=restore):
        tracking.connect()
    tracker.client.restore_experiment(tracker.experiment_id)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, "FINISHED"),
        (ValueError(), "FAILED"),
        (Stopped(15), "KILLED"),
        (BadInput("a"), "FAILED"),
    ],
)
@pytest.mark.parametrize("resumed", [False, True])
def test_no_run_stays_running(
    tracker: Tracker, error: BaseException | None, status: str, resumed: bool
) -> None:
    run_id = None
    if resumed:
        run_id = tracker.client.create_run(tracker.experiment_id).info.run_id
        tracker.client.set_terminated(run_id, "KILLED")
    with (
        pytest.raises(type(error)) if error else nullcontext(),
        running(tracker, "um", run_id=run_id, tags={"a": "b"}) as run,
    ):
        assert tracker.client.get_run(run.info.run_id).info.status == "RUNNING"
        if error:
            raise error
    ended = tracker.client.get_run(run.info.run_id)
    assert ended.info.status == status
    assert (ended.info.run_name, ended.data.tags["a"]) == ("um", "b")
    if resumed:
        assert run.info.run_id == run_id


@pytest.mark.parametrize("seconds", [0, 0.5])
@pytest.mark.parametrize("call", ["create_run", "set_terminated"])
def test_a_signal_while_a_run_begins_or_ends_leaves_none_running(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch, call: str, seconds: float
) -> None:
    real = getattr(MlflowClient, call)
    others = tracker.client.create_run(tracker.experiment_id).info.run_id
    at_the_server: list[threading.Timer] = []

    def stopped_before_the_answer(client: MlflowClient, *args: object, **more: object) -> None:
        monkeypatch.undo()
        if call == "create_run":
            at_the_server.append(threading.Timer(seconds, real, (client, *args), more))
            at_the_server[0].start()
        raise Stopped(15)

    def parent_and_child() -> None:
        with running(tracker, "pai"):
            monkeypatch.setattr(MlflowClient, call, stopped_before_the_answer)
            with running(tracker, "um"):
                pass

    with pytest.raises(Stopped):
        parent_and_child()
    for timer in at_the_server:
        timer.join()
    found = tracker.client.search_runs([tracker.experiment_id])
    status = {run.info.run_id: run.info.status for run in found}
    assert status.pop(others) == "RUNNING"
    assert list(status.values()) == ["KILLED", "KILLED"]


def test_a_server_that_is_gone_hides_no_error(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience: list[int] = []

    def fail(*_: object) -> None:
        patience.append(int(os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]))
        raise OSError("gone")

    monkeypatch.setattr(MlflowClient, "set_terminated", fail)
    with pytest.raises(ValueError, match="first"), running(tracker, "um"):
        raise ValueError("first")
    # A run and its parent, within the seconds that a container has to stop.
    assert 2 * sum(patience) < 20


def test_parameters_that_mlflow_run_logged_stay_as_they_are(tracker: Tracker) -> None:
    made = tracker.client.create_run(tracker.experiment_id)
    tracker.client.log_param(made.info.run_id, "test_size", "0.30")
    run = tracker.client.get_run(made.info.run_id)
    parameters = {"test_size": "0.3", "classifier": "naive_bayes"}
    tracking.log(tracker, run, parameters=parameters, metrics={"rows": 3}, tags={"t": "u"})
    data = tracker.client.get_run(run.info.run_id).data
    assert data.params == {"test_size": "0.30", "classifier": "naive_bayes"}
    assert (data.metrics, data.tags["t"]) == ({"rows": 3}, "u")


@pytest.mark.parametrize("uri", ["sqlite:////no/such.db", "/no/such", "file:///no/such%20one"])
def test_a_registry_that_is_not_there_is_not_made(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlflow.get_registry_uri", lambda: uri)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(BadInput, match=f"^there are no models in {uri}, which does not exist"):
        tracking.reach_registry()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with pytest.raises(BadInput, match=r"^MLFLOW_TRACKING_URI is not set, and there are no models"):
        tracking.reach_registry()
