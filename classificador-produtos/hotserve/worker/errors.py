"""Error answers: JSON with MLflow's two fields, never a stack trace or a path."""

from __future__ import annotations

import json

from hotserve.ipc.messages import Target
from hotserve.redaction import Redactor

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


class RequestError(Exception):
    """An answer that is an error: status, message, and headers that go with it.

    `target` is the process whose failure it is, if any.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *headers: tuple[bytes, bytes],
        target: Target | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers
        self.target = target


def body(status: int, message: str, code: str | None = None) -> bytes:
    """The JSON body of an error answer."""
    error_code = code or CODES.get(status, "INTERNAL_ERROR")
    return json.dumps({"error_code": error_code, "message": message}, ensure_ascii=False).encode()


LONGEST_MESSAGE = 4_000
"""Characters: MLflow repeats what was sent, however long it is."""


def redacted(answer: bytes, status: int, redactor: Redactor) -> bytes:
    """MLflow's error answer made safe: JSON, its fields but without `stack_trace`."""
    try:
        fields = json.loads(answer)
    except ValueError:
        fields = None
    if not isinstance(fields, dict) or "message" not in fields:
        text = answer.decode("utf-8", "replace").strip() if fields is None else ""
        return body(status, redactor.text(_short(text)) or "the model server gave an error")
    fields.pop("stack_trace", None)
    fields["message"] = redactor.text(_short(str(fields["message"])))
    return json.dumps(fields, ensure_ascii=False).encode()


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_MESSAGE else text[:LONGEST_MESSAGE] + "…"
