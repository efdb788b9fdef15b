"""hotserve's own lines on standard error."""

import json
import logging
import re
from collections.abc import Iterator

import pytest

from hotserve import log


@pytest.fixture(autouse=True)
def logger_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(log.logger, "handlers", [])
    monkeypatch.setattr(log.logger, "propagate", True)
    yield
    log.logger.setLevel(logging.NOTSET)


def test_lines_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    log.to_stderr("text")
    log.logger.info("serving %s", "é")
    log.logger.debug("not this")
    line = capsys.readouterr().err
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d hotserve: serving é\n", line)


def test_lines_for_a_collector(capsys: pytest.CaptureFixture[str]) -> None:
    log.to_stderr("json")
    log.logger.warning("a\nb")
    try:
        raise ValueError("x")
    except ValueError:
        log.logger.exception("it failed")
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.pop("time"))
    assert first == {"level": "warning", "message": "a\nb"}
    assert (second["level"], second["message"]) == ("error", "it failed")
    assert second["fault"].endswith("ValueError: x")
