import pytest

from produtos.data.source import without_secrets


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("/home/maria/a?b=c.csv", "/home/maria/a?b=c.csv"),
        ("http://host:8000/@maria/x.csv", "http://host:8000/@maria/x.csv"),
        ("https://user:SECRET@host/x.csv", "https://host/x.csv"),
        ("https://SECRET@host:8000/x.csv", "https://host:8000/x.csv"),
        ("https://user:SEC@RET@host/x.csv", "https://host/x.csv"),
        ("https://user:SEC/RET@host/x.csv", "https://host/x.csv"),
        ("https://user:SEC?RET#X@host/x.csv", "https://host/x.csv"),
        ("mysql+pymysql://user:SECRET@host/db", "mysql+pymysql://host/db"),
        (
            "https://host/x.csv?X-Amz-Signature=SECRET&token=SECRET#SECRET",
            "https://host/x.csv?X-Amz-Signature=…&token=…",
        ),
        ("https://host/x?SECRET", "https://host/x?…"),
        ("https://host/x#SECRET", "https://host/x?…"),
        ("https://user:SECRET@host:80?a=SECRET@b", "https://host:80?a=…"),
    ],
)
def test_an_address_is_shown_without_what_may_be_a_secret(address: str, shown: str) -> None:
    assert without_secrets(address) == shown
