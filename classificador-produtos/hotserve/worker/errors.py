"""Error answers: JSON with MLflow's two fields, never a stack trace or a path."""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Callable
from typing import Any

from hotserve.ipc.counts import NONE
from hotserve.redaction import Redactor
from hotserve.worker.answer import JSON, Answer

CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    404: "ENDPOINT_NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    413: "REQUEST_TOO_LARGE",
    414: "URI_TOO_LONG",
    415: "UNSUPPORTED_MEDIA_TYPE",
    431: "REQUEST_HEADER_FIELDS_TOO_LARGE",
    500: "INTERNAL_ERROR",
    502: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

LONGEST_MESSAGE = 4_000
"""Characters: MLflow repeats what was sent, however long it is."""


class RequestError(Exception):
    """An answer that is an error.

    `lane` and `version` name the model's process if it is the one that failed.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *headers: tuple[bytes, bytes],
        lane: str = NONE,
        version: str = "",
    ) -> None:
        super().__init__(message)
        self.answer = Answer(status, [JSON, *headers], body(status, message), lane, version)


def body(status: int, message: str) -> bytes:
    """The JSON body of an error answer."""
    return _encoded({"error_code": CODES.get(status, "INTERNAL_ERROR"), "message": message})


def redacted(answer: bytes, status: int, redactor: Redactor) -> bytes:
    """MLflow's error answer made safe: JSON, its fields but without `stack_trace`."""
    try:
        fields = json.loads(answer)
    except ValueError:
        fields = {"message": answer.decode("utf-8", "replace").strip()}
    if not isinstance(fields, dict) or not fields.get("message"):
        return body(status, "the model server gave an error")
    if "error_code" not in fields:
        fields = {"error_code": CODES.get(status, "INTERNAL_ERROR"), **fields}
    fields.pop("stack_trace", None)
    fields["message"] = redactor.text(_short(str(fields["message"])))
    return _encoded(fields)


def _encoded(fields: dict[str, Any]) -> bytes:
    # A lone surrogate in what MLflow repeats has no UTF-8.
    return json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace")


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_MESSAGE else text[:LONGEST_MESSAGE] + "…"


class FaultLog:
    """Reports faults of hotserve's own, each at most once in `interval` seconds."""

    def __init__(self, report: Callable[[str], None], interval: float = 60.0) -> None:
        self._report = report
        self._interval = interval
        self._last: dict[str, float] = {}

    def log(self, fault: Exception, request: str) -> None:
        """Its type and location only: its text may hold what was sent."""
        frame = traceback.extract_tb(fault.__traceback__)[-1]
        where = f"{type(fault).__name__} in {os.path.basename(frame.filename)} line {frame.lineno}"
        now = time.monotonic()
        if now - self._last.get(where, -self._interval) >= self._interval:
            self._last[where] = now
            self._report(f"{where}, {request}")
