"""One hotserve that is patient and one that is not, for all files of this folder."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.hotserve_limits.by_hand import BODY_LIMIT, CONCURRENCY, CONNECTIONS
from tests.e2e.hotserve_models import save, text_model
from tests.e2e.hotserve_process import PATIENCE, Hotserve, running_hotserve
from tests.e2e.raw_http import RawConnection


@contextlib.contextmanager
def limited(home: Path, *options: str) -> Iterator[Hotserve]:
    """With one worker, its lane open, and nothing more to find out."""
    folder = save(text_model(), home / "model")
    given = ("--workers", "1", *options)
    # For the process, too, a large body is a lot of work.
    more = ("--timeout", "30")
    with running_hotserve(folder, home, options=given, more=more) as server:
        server.wait_for_verdicts()
        assert server.model()["lane"]["state"] == "open"
        yield server


@pytest.fixture(scope="package")
def hotserve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hotserve]:
    """One that waits longer for its clients than any test takes."""
    limits = (
        *("--max-body", str(BODY_LIMIT), "--max-connections", str(CONNECTIONS)),
        *("--max-concurrency", str(CONCURRENCY)),
    )
    patience = ("--read-timeout", str(PATIENCE), "--idle-timeout", str(PATIENCE))
    with limited(tmp_path_factory.mktemp("limits"), *limits, *patience) as server:
        yield server


@pytest.fixture(scope="package")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hotserve]:
    """One that does not."""
    patience = ("--read-timeout", "2", "--idle-timeout", "4")
    with limited(tmp_path_factory.mktemp("impatient"), *patience) as server:
        yield server


@pytest.fixture
def connection(hotserve: Hotserve) -> Iterator[RawConnection]:
    with RawConnection(hotserve.url) as connection:
        yield connection


@pytest.fixture(autouse=True)
def goes_on(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test the same worker answers, and the log has no word about it."""
    name = "impatient" if "impatient" in request.fixturenames else "hotserve"
    hotserve: Hotserve = request.getfixturevalue(name)
    worker = hotserve.workers()[0].pid
    log = hotserve.log.read_text()
    yield
    assert hotserve.predict("halo").json() == {"predictions": ["game"]}
    assert hotserve.workers()[0].pid == worker
    assert hotserve.log.read_text() == log
