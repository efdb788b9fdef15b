"""One line for people on stderr for each thing worth telling."""

from __future__ import annotations

import logging
import sys

logger = logging.getLogger("hotserve")


def to_stderr() -> None:
    """Send hotserve's lines to stderr, each with the time."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        logging.Formatter("%(asctime)s hotserve: %(message)s", datefmt="%Y-%m-%d %H:%M:%S")
    )
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
