"""What the tests of the manager's parts share."""

import logging

import pytest

from hotserve.log import logger


@pytest.fixture
def log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> pytest.LogCaptureFixture:
    """What is logged, from INFO on."""
    monkeypatch.setattr(logger, "propagate", True)
    caplog.set_level(logging.INFO, "hotserve")
    return caplog
