"""What is taken out of texts that people get to see."""

import pytest

from hotserve.redaction import without_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at http://host:5000/a/b, see it", "at http://host:5000/a/b, see it"),
        ("mysql://ana:pw@db/x and http://token@h", "mysql://…@db/x and http://…@h"),
        ("('https://h/x?Signature=a&y=b', 3)", "('https://h/x?…', 3)"),
        ("is it ana@host? or a?b=c", "is it ana@host? or a?b=c"),
        ("http://ana:p@w@host/x", "http://…@host/x"),
        ("http://host/a@b", "http://host/a@b"),
    ],
)
def test_an_address_is_shown_without_its_secrets(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
