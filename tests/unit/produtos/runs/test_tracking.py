from collections.abc import Callable
from types import SimpleNamespace

import pytest

from produtos.errors import BadInput
from produtos.runs import tracking


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


def test_a_tracking_server_that_is_not_there_is_told_without_a_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ana:SECRET@127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://ana:SECRET@127.0.0.1:2")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(BadInput) as refusal:
        tracking.reach()
    said = str(refusal.value)
    assert said.startswith("no tracking server answers at http://127.0.0.1:1 (connection refused")
    assert ", by the proxy http://127.0.0.1:2); start it" in said
    assert "SECRET" not in said
