"""Requests as no client library would send them, and the limits that they are to meet."""

from tests.e2e.raw_http import Answer

BODY_LIMIT = 8 << 20
CONNECTIONS = 20
CONCURRENCY = 6
ENDS = b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
WHOLE_IN_CHUNKS = CHUNKED + b"4\r\nhalo\r\n0\r\n"
"""But for the line that ends it: trailers may follow."""
FOR_THE_PROCESS = b'{"inputs": ["halo%b"]}' % (b" " * 20_001)
"""A text that is too long for the lane."""


def is_error(answer: Answer, status: int) -> str:
    """Check that it is an error as the documentation describes it; returns its message."""
    assert answer.status == status, answer
    fields = answer.json()
    assert {"error_code", "message"} <= set(fields), fields
    assert "Traceback" not in str(fields)
    message: str = fields["message"]
    return message
