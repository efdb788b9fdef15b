"""Tables of products as people really have them, and how every reader reads them.

The trainer, batch, the API and its page share no code; these tables hold them to one reading.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Bytes, and what a reader makes of them.

    Attributes:
        name: for the test's name.
        body: the file, or the body of a request.
        columns: every column of the header in its order, folded; empty where there is no header.
        texts: of each product; the trainer leaves out those without a category, too.
        categories: of each product; None where there is no such column, so nothing to train on.
        complaint: for a table that can't be read, a regular expression for what is said of it, in
            any case of letters.
        line: the line that the complaint names.
    """

    name: str
    body: bytes
    columns: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    categories: tuple[str, ...] | None = None
    complaint: str = ""
    line: int | None = None

    def __str__(self) -> str:
        return self.name


COLUMNS = ("nome", "descricao", "categoria")
PRODUCTS = (
    ("batom matte", "longa duração, cor vermelha", "maquiagem"),
    ("carrinho", "de fricção; para meninos | meninas", "brinquedo"),
    ("rímel", 'à prova d\'água, o "clássico"', "maquiagem"),
    ("ioiô", "não contém peças pequenas", "brinquedo"),
)
TEXTS = tuple(f"{name} {description}" for name, description, _ in PRODUCTS)
CATEGORIES = tuple(category for *_, category in PRODUCTS)
NAMES = tuple(name for name, *_ in PRODUCTS)


def written(rows: Sequence[Sequence[str]], separator: str = ";", line_end: str = "\n") -> str:
    """Rows as a CSV writer writes them."""
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=separator, lineterminator=line_end).writerows(rows)
    return file.getvalue()


ROWS = written(PRODUCTS)
WHOLE = written((COLUMNS, *PRODUCTS))


def of_products(name: str, body: str | bytes, columns: Sequence[str] = COLUMNS) -> Table:
    """A table that holds exactly `PRODUCTS`."""
    content = body if isinstance(body, bytes) else body.encode()
    categories = CATEGORIES if "categoria" in columns else None
    return Table(name, content, tuple(columns), TEXTS, categories)


def of_names(name: str, body: str, columns: Sequence[str]) -> Table:
    """A table whose texts are `NAMES`."""
    return Table(name, body.encode(), tuple(columns), NAMES)


def refused(name: str, body: str | bytes, complaint: str, line: int | None = None) -> Table:
    """A table that can't be read."""
    content = body if isinstance(body, bytes) else body.encode()
    return Table(name, content, complaint=complaint, line=line)


def _excel(rows: Sequence[Sequence[str]]) -> str:
    """Each line in one cell, as a spreadsheet saves it that expects another separator."""
    return "".join('"' + line.replace('"', '""') + '"\n' for line in written(rows).splitlines())


_SEPARATORS = {"semicolon": ";", "comma": ",", "tab": "\t", "bar": "|"}
_PARTS = [(name, description) for name, description, _ in PRODUCTS]
_NUMBERED = [(str(number), *product, "19,90") for number, product in enumerate(PRODUCTS, start=7)]

READ = (
    *(
        of_products(f"separated by {name}", written((COLUMNS, *PRODUCTS), separator))
        for name, separator in _SEPARATORS.items()
    ),
    *(
        of_products(f"no category, {name}", written((COLUMNS[:2], *_PARTS), separator), COLUMNS[:2])
        for name, separator in _SEPARATORS.items()
    ),
    *(
        of_products(
            f"other columns, {name}",
            written((("id", *COLUMNS, "Preço"), *_NUMBERED), separator),
            ("id", *COLUMNS, "preco"),
        )
        for name, separator in _SEPARATORS.items()
    ),
    of_products(
        "columns in another order",
        written([row[::-1] for row in (COLUMNS, *PRODUCTS)]),
        COLUMNS[::-1],
    ),
    of_products("line ends of Windows", written((COLUMNS, *PRODUCTS), line_end="\r\n")),
    of_products("line ends of old Macs", written((COLUMNS, *PRODUCTS), line_end="\r")),
    of_products("no line end at the end", WHOLE.rstrip("\n")),
    of_products("the end of a DOS file", written((COLUMNS, *PRODUCTS), line_end="\r\n") + "\x1a"),
    of_products("zeros at the end", f"{WHOLE}\n\0\0\0\0\n"),
    of_products("a byte order mark", "\ufeff" + WHOLE),
    of_products("two byte order marks", "\ufeff\ufeff" + WHOLE),
    of_products("sep= line", "sep=;\r\n" + WHOLE),
    of_products("sep= line in quotes", '"sep=;"\n' + WHOLE),
    of_products("sep= line in upper case", "SEP=;\n" + WHOLE),
    of_products("sep= line with a comma", "sep=,\n" + written((COLUMNS, *PRODUCTS), ",")),
    of_products("sep= line, filled up", "sep=;;;\n" + WHOLE),
    of_products("a mark before sep=", "\ufeffsep=;\n" + WHOLE),
    of_products("a mark after sep=", "sep=;\n\ufeff" + WHOLE),
    of_products("a mark before and after sep=", "\ufeffsep=;\n\ufeff" + WHOLE),
    of_products("empty lines above", "\n  \r\n\t\n" + WHOLE),
    of_products("a mark, empty lines, sep=, empty lines", "\ufeff\n\nsep=;\n\n" + WHOLE),
    of_products("empty lines between", WHOLE.replace("\n", "\n\n \n")),
    of_products("lines of separators only", WHOLE.replace("\n", "\n;;\n", 1) + ";;\n"),
    of_products("upper case", "NOME;DESCRICAO;CATEGORIA\n" + ROWS),
    of_products("accents", "Nome;Descrição;Categoria\n" + ROWS),
    of_products("accents apart", "nome;descric\u0327a\u0303o;categoria\n" + ROWS),
    of_products("blanks around names", " nome ; descricao;\tcategoria \n" + ROWS),
    of_products("no-break spaces around names", "\u00a0nome;descricao\u00a0;categoria\n" + ROWS),
    of_products("no-break spaces inside names", "no\u00a0me;descri\u202fcao;categoria\n" + ROWS),
    of_products("zero-width inside names", "no\u200bme;descri\u2060cao;cate\u00adgoria\n" + ROWS),
    of_products("a mark inside names", "nome;\ufeffdescricao;catego\ufeffria\n" + ROWS),
    of_products("wide letters", "ｎｏｍｅ;descricao;categoria\n" + ROWS),
    of_products("names in quotes", '"nome";"descricao";"categoria"\n' + ROWS),
    of_products("a mark before a quote", '\ufeff"nome";"descricao";"categoria"\n' + ROWS),
    of_products(
        "every field in quotes",
        "".join(
            ";".join('"' + field.replace('"', '""') + '"' for field in row) + "\n"
            for row in (COLUMNS, *PRODUCTS)
        ),
    ),
    of_products(
        "empty columns at the end",
        written([(*row, "", "") for row in (COLUMNS, *PRODUCTS)]),
    ),
    of_products(
        "rows with an empty tail", "nome;descricao;categoria\n" + ROWS.replace("\n", ";;\n")
    ),
    of_products(
        "a name of two lines",
        written([(*COLUMNS, "preço\n(R$)"), *((*row, "9,90") for row in PRODUCTS)]),
        (*COLUMNS, "preco (r$)"),
    ),
    of_products(
        "a name of two lines before the others",
        written([("código\r\n(loja)", *COLUMNS), *(("7", *row) for row in PRODUCTS)], ","),
        ("codigo (loja)", *COLUMNS),
    ),
    of_products("each line in quotes", _excel((COLUMNS, *PRODUCTS))),
    of_products("each line but the header in quotes", ";".join(COLUMNS) + "\n" + _excel(PRODUCTS)),
    of_products(
        "texto before nome and descricao",
        written([("nome", "texto", "descricao"), *(("x", text, "y") for text in TEXTS)]),
        ("nome", "texto", "descricao"),
    ),
    of_names("one column", "nome\n" + "\n".join(NAMES), ("nome",)),
    of_names(
        "one column and an id",
        written([("id", "texto"), *(("7", n) for n in NAMES)]),
        ("id", "texto"),
    ),
    of_names("informacao", "Informação\n" + "\n".join(NAMES), ("informacao",)),
    Table(
        "one column, commas and all",
        b"texto\nbatom, matte; 2 | 3\ncarrinho\tazul\n",
        ("texto",),
        ("batom, matte; 2 | 3", "carrinho\tazul"),
    ),
    Table(
        "one column, a control character in a text",
        b"texto\nbatom\x1fmatte\n",
        ("texto",),
        ("batom\x1fmatte",),
    ),
    Table(
        "a text of two lines",
        b'nome;descricao\nbatom;"cor\nvermelha"\ncarrinho;azul\n',
        ("nome", "descricao"),
        ("batom cor\nvermelha", "carrinho azul"),
    ),
    Table(
        "rows without a text",
        "id;nome;descricao;categoria\n1;batom;matte;maquiagem\n2;;;maquiagem\n3; ; ;\n"
        "4;;longa duração;maquiagem\n5;ioiô;;brinquedo\n6;peteca\n".encode(),
        ("id", *COLUMNS),
        ("batom matte", "longa duração", "ioiô", "peteca"),
        ("maquiagem", "maquiagem", "brinquedo", ""),
    ),
    Table(
        "only emoji",
        "nome;descricao;categoria\n📚;;livro\n🧸🧸;;brinquedo\n📚📚;;livro\n🧸;;brinquedo\n".encode(),
        COLUMNS,
        ("📚", "🧸🧸", "📚📚", "🧸"),
        ("livro", "brinquedo", "livro", "brinquedo"),
    ),
    Table(
        "no header",
        "batom matte, longa duração; cor\n\ncarrinho | nome\n".encode(),
        texts=("batom matte, longa duração; cor", "carrinho | nome"),
    ),
    Table("no header, marks", "\ufeff\ufeffbatom\ncarrinho".encode(), texts=("batom", "carrinho")),
    Table(
        "no header, the end of a DOS file",
        b"batom\ncarrinho\n\x1a\r\n",
        texts=("batom", "carrinho"),
    ),
    Table("no header, sep=", b"sep=;\nbatom\ncarrinho", texts=("batom", "carrinho")),
    Table(
        "no header, capitals that end in Ã",
        "MAÇÃ – FUJI\nIRMÃ”\n".encode(),
        texts=("MAÇÃ – FUJI", "IRMÃ”"),
    ),
)
"""Tables that are read."""

_TWICE = WHOLE.encode().decode("cp1252").encode()
_PACKED = "ã".encode() + b"\xff"
"""What is packed is full of bytes that in other files mean another encoding, or two."""
_XLS = bytes.fromhex(
    "d0cf11e0a1b11ae1 00000000000000000000000000000000 3e000300feff09000600000000000000"
    "00000000010000000100000000000000001000000200000001000000feffffff0000000000000000"
)
_LATIN = "ioiô;não contém peças pequenas;brinquedo\n".encode("latin-1")

REFUSED = (
    refused("a column named twice", "nome;descricao;Nome \na;b;c\n", "twice", 1),
    refused(
        "a column named twice, below a sep= line", "sep=;\nnome;nome;categoria\na;b;c\n", "twice", 2
    ),
    refused("a header repeated in the middle", WHOLE + WHOLE, "header", 6),
    refused("the same with a mark", WHOLE + "\ufeff" + WHOLE, "header", 6),
    refused("the same in another order", WHOLE + "descricao;categoria;nome\na;b;c\n", "header", 6),
    refused("the same in another case", WHOLE + WHOLE.replace("nome;", "NOME;"), "header", 6),
    refused(
        "report lines above the header",
        "Relatório de produtos\nGerado em 2026\n\n" + WHOLE,
        "header",
        4,
    ),
    refused("report lines with empty fields", "Relatório;;\nLoja;Centro;\n" + WHOLE, "header", 3),
    refused(
        "known names, and none a text", "categoria;preço\nlivro;1\n", "none of .* text|nome", 1
    ),
    refused("line ends lost by curl -d", WHOLE.replace("\n", ""), "--data-binary|line ends"),
    refused(
        "line ends of a large table lost",
        "nome;descricao;preço" + "".join(f"ioiô {n};de pau {n};3,{n}" for n in range(1000)),
        "--data-binary|line ends",
    ),
    refused(
        "a header and no rows", "nome;descricao;categoria\n", "no rows|no products|nothing left"
    ),
    refused("empty", "", "empty"),
    refused("nothing but blanks", "\ufeff\r\n  \n", "empty"),
    refused("a JSON object", '{"inputs": ["boneca de pano"]}', "JSON"),
    refused("a JSON list", '[\n  {"nome": "boneca", "categoria": "brinquedo"}\n]\n', "JSON"),
    refused("lines of JSON", '{"nome": "boneca"}\n{"nome": "ioiô"}\n', "JSON"),
    refused("a web page", "<!DOCTYPE html>\n<html><body>404</body></html>", "web page"),
    refused(
        "a web page in lower case", "\n<html lang=pt>\n<p>nome;descricao</p></html>", "web page"
    ),
    refused("a spreadsheet", b"PK\x03\x04\x14\x00\x06\x00\x08\x00" + _PACKED, r"xlsx|zip"),
    refused("an old spreadsheet", _XLS, r"xls|spreadsheet"),
    refused("a gzipped file", b"\x1f\x8b\x08\x00" + _PACKED, "zip"),
    refused("UTF-16 with a mark", WHOLE.encode("utf-16"), "UTF-16"),
    refused("UTF-16 without a mark", WHOLE.encode("utf-16-le"), "UTF-16"),
    refused("UTF-16 without a mark, big end first", WHOLE.encode("utf-16-be"), "UTF-16"),
    refused("UTF-32 with a mark", WHOLE.encode("utf-32"), "UTF-32"),
    refused("UTF-32 without a mark", WHOLE.encode("utf-32-le"), "UTF-32"),
    refused("UTF-32 without a mark, big end first", WHOLE.encode("utf-32-be"), "UTF-32"),
    refused("latin-1 in a row", WHOLE.encode() + _LATIN, "not UTF-8", 6),
    refused("text encoded twice", _TWICE, "twice", 2),
    refused("a row encoded twice", WHOLE + "bonÃ©;de algodÃ£o;roupa\n", "twice", 6),
    refused("no header, a line encoded twice", "boneca\nnÃ£o contÃ©m peÃ§as\n", "twice", 2),
)
"""Tables that can't be read."""

BAD_ROWS = (
    refused(
        "a quote never closed",
        'nome;descricao;categoria\na;b;c\nd;"e;f\ng;h;i\n',
        "never closed",
        3,
    ),
    refused("too many fields", "nome;descricao;categoria\na;b;c;d\n", "4 fields|too many", 2),
)
"""Tables with a row that can't be read: batch lists such a row and reads on."""

LATIN_1 = refused("latin-1", WHOLE.encode("cp1252"), "not UTF-8", 2)
"""Refused by all but the page, which has a person in front of it who sees what was read."""

TABLES = (*READ, *REFUSED, *BAD_ROWS, LATIN_1)
