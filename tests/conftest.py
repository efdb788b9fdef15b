"""What holds for every test."""

import os
import signal
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

# The same examples on every machine, and no limit to the time of one: what fails is a fault, never
# luck or a busy machine. `--hypothesis-profile=default` tries others.
settings.load_profile("ci")

# What the tests look for is said in English, whatever the terminal's language.
os.environ["LINGUA"] = "en"

# With what `make test` passes on, each `make` of a test would say which folder it enters.
for name in ("MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"):
    os.environ.pop(name, None)

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # So it is for a job in the background, and for all that it starts: no Ctrl-C would end them.
    signal.signal(signal.SIGINT, signal.default_int_handler)


if not hasattr(sys.modules["__main__"], "__file__"):
    # Such is a process of xdist. pyspark, where it was installed for other tests, takes it for one
    # of its doctests, and ends it.
    sys.modules["pyspark.sql.connect"] = None  # type: ignore[assignment]

_ENVIRONMENT = dict(os.environ)


class ByServer(LoadFileScheduling):  # type: ignore[misc]
    """The files of a folder of tests/e2e have servers in common: one process runs them all."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        folder = file.rpartition("/")[0]
        return folder if folder.startswith("tests/e2e/") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """What `--dist loadfile` means here."""
    return ByServer(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="module", autouse=True)
def environment_as_it_was() -> Iterator[None]:
    """Each file leaves the environment as the first one found it.

    `mlflow.set_experiment` writes MLFLOW_EXPERIMENT_ID there, and the commands that the next file
    starts would look for that experiment on a server of their own. What several files share is made
    before the first of them begins, so that it is no use to keep what was there then.
    """
    yield
    # pytest takes its own variable away again when the test is over.
    test = os.environ["PYTEST_CURRENT_TEST"]
    os.environ.clear()
    os.environ.update(_ENVIRONMENT, PYTEST_CURRENT_TEST=test)


@pytest.fixture(autouse=True)
def signals_as_they_were() -> Iterator[None]:
    """Each test leaves signals as it found them: what is ignored here, all that is started ignores.

    `make run` ignores Ctrl-C while it stops its services.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
