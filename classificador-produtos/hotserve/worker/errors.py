"""Error answers: JSON with MLflow's two fields, never a stack trace or a path."""

import json
import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from hotserve.ipc.counts import NONE
from hotserve.redaction import Redactor
from hotserve.worker.answer import JSON, Answer, encoded

CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
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

_MODEL_FAILED = "unexpected error while evaluating the model"
"""How MLflow's message says that `predict` raised."""

_FAULT_SECONDS = 60.0

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
    return encoded({"error_code": CODES.get(status, "INTERNAL_ERROR"), "message": message})


def redacted(answer: bytes, status: int, redactor: Redactor) -> tuple[bytes, str]:
    """MLflow's error answer made safe: JSON, its fields but without `stack_trace`.

    Returns:
        The body, and the stack trace of a model that failed.
    """
    try:
        fields = json.loads(answer)
    except ValueError:
        fields = {"message": answer.decode("utf-8", "replace").strip()}
    if not isinstance(fields, dict) or not fields.get("message"):
        fields = {"message": "the model server gave an error"}
    fields.setdefault("error_code", CODES.get(status, "INTERNAL_ERROR"))
    stack_trace = fields.pop("stack_trace", None) or ""
    message = str(fields["message"])
    if len(message) > LONGEST_MESSAGE:
        message = message[:LONGEST_MESSAGE] + "…"
    fields["message"] = redactor.text(message)
    if _MODEL_FAILED not in fields["message"]:
        # What can't be parsed has one, too, and is the client's to mend.
        stack_trace = ""
    if stack_trace:
        fields["message"] += "\nThe log of hotserve has the model's stack trace."
    elif status == 500:
        fields["message"] += (
            "\nThe model failed, or its answer can't be sent as JSON; "
            "the output of its process says which."
        )
    return encoded(fields), stack_trace


@dataclass(slots=True)
class FaultLog:
    """Reports faults, of hotserve and of the model, each at most once in `_FAULT_SECONDS`."""

    report: Callable[[str], None]
    _last: dict[str, float] = field(default_factory=dict)

    def log(self, fault: Exception, request: str) -> None:
        """Report a fault of ours: type and location, as its text may hold what was sent."""
        frame = traceback.extract_tb(fault.__traceback__)[-1]
        where = f"{type(fault).__name__} in {os.path.basename(frame.filename)} line {frame.lineno}"
        self._log(where, f"a fault of hotserve: {where}, {request}")

    def log_model(self, version: str, stack_trace: str) -> None:
        """Report that `predict` raised."""
        self._log("", f"the model failed (version {version or '-'}):\n{stack_trace.strip()}")

    def _log(self, kind: str, text: str) -> None:
        now = time.monotonic()
        if now - self._last.get(kind, -_FAULT_SECONDS) >= _FAULT_SECONDS:
            self._last[kind] = now
            self.report(text)
