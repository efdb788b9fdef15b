"""How many requests a worker takes on, and how many bytes of their bodies."""

import ctypes

import pytest

from hotserve.worker.admission import BODIES, Admission
from hotserve.worker.errors import RequestError


def refused(admission: Admission, message: str, size: int = 0) -> None:
    with pytest.raises(RequestError, match=message) as error, admission.request() as add:
        add(size)
    assert error.value.answer.status == 503
    assert (b"retry-after", b"1") in error.value.answer.headers


def test_as_many_requests_as_are_allowed() -> None:
    admission = Admission(2, 100)
    with admission.request(), admission.request():
        refused(admission, "2 requests are under way")
    with admission.request(), admission.request():
        pass


def test_as_many_bytes_as_are_allowed() -> None:
    admission = Admission(10, 100)
    with admission.request() as first, admission.request() as second:
        first(100)
        for _ in range(BODIES - 1):
            second(100)
        refused(admission, "other large requests", 1)
        # What was refused holds nothing.
        refused(admission, "other large requests", 1)
    with admission.request() as add:
        add(BODIES * 100)


def test_a_request_that_fails_gives_its_room_back() -> None:
    admission = Admission(1, 100)
    refused(admission, "other large requests", BODIES * 100 + 1)
    with admission.request() as add:
        add(BODIES * 100)


def test_memory_is_given_back_after_large_bodies_once(monkeypatch: pytest.MonkeyPatch) -> None:
    trimmed: list[int] = []

    class Library:
        malloc_trim = trimmed.append

    monkeypatch.setattr(ctypes, "CDLL", lambda _: Library)
    admission = Admission(10, 1 << 22)
    with admission.request() as add:
        add(1 << 20)
    admission.release_memory()
    assert trimmed == []
    with admission.request() as add:
        add(1 << 20)
        add(1)
        admission.release_memory()
        assert trimmed == []
    with admission.request() as add:
        add(1)
        admission.release_memory()
        assert trimmed == []
    admission.release_memory()
    admission.release_memory()
    assert trimmed == [0]


def test_another_c_library_has_nothing_to_give_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    admission = Admission(10, 1 << 22)
    with admission.request() as add:
        add(1 << 21)
    admission.release_memory()
