"""Error answers: JSON with MLflow's two fields, never a stack trace or a path."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from hotserve.ipc.target import Target

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


class Scrubber:
    """Takes what is nobody's business out of texts that are shown to clients.

    Args:
        folders: their names, and what follows them up to the end of the path, are removed.
    """

    def __init__(self, folders: Iterable[str]) -> None:
        known = {folder.rstrip("/") for folder in folders}
        # The longest first, so that a folder inside another is found whole.
        names = sorted((re.escape(f) for f in known if f.count("/") > 1), key=len, reverse=True)
        system = r"/(?:usr|opt|tmp|home|root|var|srv|mnt|etc|app|work|proc)"
        places = "|".join([*names, rf"{system}(?=/[\w.])"])
        self._path = re.compile(rf"(?<![\w/:.])(?:file://)?(?:{places})(?:/[^\s'\",;:()<>\]]*)?")

    def text(self, text: str) -> str:
        """The text with `…` for each path."""
        return self._path.sub("…", text)

    def error_body(self, status: int, answer: bytes) -> bytes:
        """MLflow's error answer made safe: JSON, its fields but without `stack_trace`."""
        try:
            fields = json.loads(answer)
        except ValueError:
            fields = None
        if not isinstance(fields, dict) or "message" not in fields:
            said = answer.decode("utf-8", "replace").strip() if fields is None else ""
            return body(status, self.text(_short(said)) or "the model server gave an error")
        fields.pop("stack_trace", None)
        fields["message"] = self.text(_short(str(fields["message"])))
        return json.dumps(fields, ensure_ascii=False).encode()


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_MESSAGE else text[:LONGEST_MESSAGE] + "…"
