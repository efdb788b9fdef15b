"""Error answers: what a client gets to see, and what only the log does."""

import json
from typing import Any

import pytest

from hotserve.redaction import Redactor
from hotserve.worker import errors
from hotserve.worker.errors import FaultLog, RequestError, redacted

FAILED = "Encountered an unexpected error while evaluating the model. Verify the input."


def shown(answer: object, status: int, folders: tuple[str, ...] = ()) -> tuple[Any, str]:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    safe, stack_trace = redacted(body, status, Redactor(folders))
    return json.loads(safe), stack_trace


def test_an_error_has_a_code_a_message_and_its_headers() -> None:
    answer = RequestError(503, "não há", (b"retry-after", b"1")).answer
    assert (answer.status, answer.lane, answer.version) == (503, "none", "")
    assert answer.headers == [(b"content-type", b"application/json"), (b"retry-after", b"1")]
    assert "não".encode() in answer.body
    assert json.loads(answer.body) == {
        "error_code": "TEMPORARILY_UNAVAILABLE",
        "message": "não há",
    }
    assert json.loads(RequestError(418, "a teapot").answer.body)["error_code"] == "INTERNAL_ERROR"


def test_mlflows_fields_stay_but_paths_go() -> None:
    message = "in /srv/cache/hotserve/a/1/model and '/usr/lib/python3/x.py', see https://a.b/usr/c"
    answer = {"error_code": "BAD_REQUEST", "stack_trace": "Traceback", "message": message, "x": 1}
    fields, stack_trace = shown(answer, 400, ("/srv/cache/hotserve",))
    assert fields == {
        "error_code": "BAD_REQUEST",
        "message": "in … and '…', see https://a.b/usr/c",
        "x": 1,
    }
    assert stack_trace == ""


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"Not for you ", "Not for you"),
        (b"\xff", "\ufffd"),
        (b'"text"', "the model server gave an error"),
        (b"", "the model server gave an error"),
        (b'{"message": ""}', "the model server gave an error"),
        (b'{"message": "\\ud800"}', "?"),
        (b'{"message": 5}', "5"),
    ],
)
def test_every_error_answer_is_json(answer: bytes, message: str) -> None:
    assert shown(answer, 504)[0] == {"message": message, "error_code": "DEADLINE_EXCEEDED"}


def test_a_long_message_is_cut() -> None:
    fields, _ = shown({"message": "a" * errors.LONGEST_MESSAGE}, 400)
    assert fields["message"] == "a" * errors.LONGEST_MESSAGE
    fields, _ = shown({"message": "a" * (errors.LONGEST_MESSAGE + 1)}, 400)
    assert fields["message"] == "a" * errors.LONGEST_MESSAGE + "…"


def test_the_stack_trace_of_a_model_that_raised_is_for_the_log() -> None:
    fields, stack_trace = shown({"message": FAILED, "stack_trace": "Traceback: x"}, 400)
    assert stack_trace == "Traceback: x"
    assert fields["message"].splitlines() == [
        FAILED,
        "The log of hotserve has the model's stack trace.",
    ]
    # Where there is none, the answer does not say so.
    assert shown({"message": FAILED}, 400)[0]["message"] == FAILED


def test_a_500_is_the_models_fault_and_says_where_to_look() -> None:
    fields, stack_trace = shown(b"Internal Server Error", 500)
    first, second = fields["message"].splitlines()
    assert first == "Internal Server Error"
    assert "the output of its process says which" in second
    assert stack_trace == ""


def fault() -> Exception:
    try:
        raise KeyError("boneca secreta")
    except KeyError as error:
        return error


def test_a_fault_is_logged_by_its_location_and_only_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    lines: list[str] = []
    log = FaultLog(lines.append)
    for clock[0] in (1000.0, 1059.9, 1060.0):
        log.log(fault(), "POST /invocations")
        log.log_model("3", "Traceback\n  at predict\n")
    assert lines[0].startswith("a fault of hotserve: KeyError in test_errors.py line ")
    assert lines[0].endswith(", POST /invocations")
    assert "boneca" not in lines[0]
    assert lines[1] == "the model failed (version 3):\nTraceback\n  at predict"
    # A minute later, once more.
    assert lines[2:] == lines[:2]
    log.log_model("", "Traceback")
    assert len(lines) == 4
