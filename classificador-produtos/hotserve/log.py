"""One line on stderr for each thing worth telling: for people, or as JSON for a collector."""

import json
import logging
import sys
from datetime import UTC, datetime

FORMATS = ("text", "json")

logger = logging.getLogger("hotserve")


def to_stderr(kind: str) -> None:
    """Send hotserve's lines to stderr, each with the time, in one of `FORMATS`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Json()
        if kind == "json"
        else logging.Formatter("%(asctime)s hotserve: %(message)s", datefmt="%Y-%m-%d %H:%M:%S")
    )
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


class Once:
    """Logs a line, and not again until another one, or none, was to be logged."""

    def __init__(self) -> None:
        self._last = ""

    def info(self, text: str) -> None:
        """Log the line; an empty text is none."""
        if text and text != self._last:
            logger.info("%s", text)
        self._last = text


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["fault"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
