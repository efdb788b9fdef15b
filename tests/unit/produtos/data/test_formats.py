import json

import pytest

from produtos.data.formats import decode, encoded_twice, not_csv, wide_encoding
from produtos.errors import BadInput

HEADER = "nome;descricao;categoria\nBoneca de pano;para crianças;brinquedo\n"


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"PK\x03\x04\x14\x00\xe7", "as .xlsx and .ods are"),
        (b"\xd0\xcf\x11\xe0\xa1", "an .xls file"),
        (b"%PDF-1.7", "a PDF"),
        (b"\xef\xbb\xbf\r\n <!DOCTYPE HTML><title>Entrar", "a web page"),
        (b"<html>", "a web page"),
        (b'<table border="1"><tr><td>nome</td>', "as some .xls are, as CSV"),
        (b"MIME-Version: 1.0\r\nX-Document-Type: Workbook", "as some .xls are, as CSV"),
        (b'<?xml version="1.0"?><Workbook>', "this is XML, as Excel 2003"),
        (json.dumps([{"nome": "x"}]).encode(), "this is JSON"),
        (json.dumps({"nome": ["x"]}, indent=1).encode(), "this is JSON"),
        (b'["boneca de pano"]', "this is JSON"),
    ],
)
def test_a_file_that_is_no_csv_is_told_by_its_first_bytes(start: bytes, message: str) -> None:
    assert message in (not_csv(start) or "")


@pytest.mark.parametrize(
    "start", [HEADER.encode(), b"", b"[Novo] boneca", b"{Oferta} boneca", b"<3 boneca", b"%50"]
)
def test_what_may_be_a_table_or_texts_is_let_through(start: bytes) -> None:
    assert not_csv(start) is None


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_characters_are_told_with_and_without_a_mark(encoding: str) -> None:
    assert wide_encoding(HEADER.encode(encoding)) == encoding
    assert wide_encoding(("\ufeff" + HEADER).encode(encoding)) == encoding[:6]


@pytest.mark.parametrize("start", [b"", HEADER.encode(), HEADER.encode("utf-8-sig"), b"nome\0;x"])
def test_utf_8_has_no_wide_characters(start: bytes) -> None:
    assert wide_encoding(start) is None


@pytest.mark.parametrize("text", ["não", "coração é", "AÇÃO", "São João", "3ª edição", "“aspas”"])
def test_a_text_that_was_encoded_twice_is_seen(text: str) -> None:
    assert encoded_twice(text.encode().decode("cp1252", "replace"))
    assert not encoded_twice(text)


@pytest.mark.parametrize("encoding", ["cp1252", "mac_roman", "cp850"])
@pytest.mark.parametrize("line_end", ["\n", "\r", "\r\n"])
def test_where_a_text_was_encoded_twice_is_told_and_what_it_was(
    encoding: str, line_end: str
) -> None:
    text = line_end.join(["nome;descricao;categoria", "a;b;livro", "c;d;livro", "ioiô;é;livro"])
    content = text.encode().decode(encoding).encode()
    with pytest.raises(BadInput, match=r"encoded twice at line 4 \('.*' for 'ô'\)"):
        decode(content)


@pytest.mark.parametrize("line_end", ["\n", "\r", "\r\n"])
def test_the_line_of_another_encoding_is_told(line_end: str) -> None:
    text = line_end.join(["nome;descricao;categoria", "a;b;livro", "ioiô;c;livro"])
    with pytest.raises(BadInput, match=r"not UTF-8 at line 3, .*the line is 'ioiô;c;livro'"):
        decode(text.encode("latin-1"))


@pytest.mark.parametrize(
    "text", ["AMANHÃ…", "“MAÇÔ", "MAÇÃ\u00a0VERDE", "Ângela Ã", "ROMà– doce", "€ 5, 20 ° C"]
)
def test_letters_that_may_stand_together_are_no_sign_of_it(text: str) -> None:
    assert not encoded_twice(text)
