"""What a client is told of a body to which the model's server answered 500."""

import pytest

from hotserve.inputs import parse_errors as unreadable

LARGE = b" " * (3 << 20)


@pytest.mark.parametrize("before", [b"", LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"inputs": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"inputs": [' + b"9" * 5_000 + b"]}", "can't be read"),
        (b'{"dataframe_split": {"columns": 5}}', "must be a list of names"),
    ],
    ids=["nested", "number", "columns"],
)
def test_the_whole_body_is_looked_at(before: bytes, body: bytes, told: str) -> None:
    assert told in str(unreadable.why(b"application/json", before + body))


def test_a_body_that_can_be_read_is_not_to_blame() -> None:
    assert unreadable.why(b"application/json", b'{"inputs": ["a"]}') is None
