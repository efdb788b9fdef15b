"""Texts and files are read as the server and the trainer read them."""

import re
from base64 import b64encode

from tests.e2e.watched_page import Watched
from tests.support.products import products
from tests.support.tables import LATIN_1, TABLES, TEXTS

SAME_AS_THE_SERVER = [
    "boneca, de pano; azul",
    "um\r\n\r\ndois\rtrês\n",
    '"entre ""aspas"", um"\ndois "aspas" no meio',
    '"um", "dois"',
    "\ufefftexto\num, com vírgula",
    "nome;descricao\nboneca;de pano\n;só descrição\nhalo\n",
    'Nome,Descricao\nboneca,"de pano, azul\nem duas linhas"\n',
    "descricao;texto\nnão conta;conta",
    "nome;preco;descrição\nBoneca;9,90;de pano\n",
    "sku\tnome\n1\tHalo",
    'nome;descricao\n "a";"b"x"y\n',
    "  um  \n\tdois",
    'boneca\n"\nhalo',
    '"\nboneca',
]
"""Bodies of text/csv; what a program sends and what a person pastes mean the same."""
READ = """async ([content, isFile]) => {
  const { read, readFile, Unreadable } = await import("/page/products.js");
  const { speak, words } = await import("/page/words.js");
  try {
    if (!isFile) return read(content).texts;
    const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
    return read(await readFile(new Blob([bytes]))).texts;
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return ["pt-BR", "en"].map((language) => {
      speak(language);
      return words("unreadable")[error.kind](error.line, error.detail);
    });
  }
}"""
"""The texts that the page makes of a text or a file, or what it says of it in two languages."""


def test_a_text_is_read_as_the_server_reads_it(watched: Watched) -> None:
    for sample in SAME_AS_THE_SERVER:
        expected = products(sample.encode()).texts()
        assert watched.page.evaluate(READ, [sample, False]) == expected


def test_a_column_of_the_model_is_found(watched: Watched) -> None:
    def texts(sample: str) -> object:
        return watched.page.evaluate(
            "async sample => (await import('/page/products.js')).read(sample, ['Review']).texts",
            sample,
        )

    for sample in (
        "id;review\n1;good, cheap\n",
        "REVIEW \ngood, cheap",
        "nome\tReview\nx\tgood, cheap",
    ):
        assert texts(sample) == products(sample.encode(), ["Review"]).texts() == ["good, cheap"]


def test_a_file_is_read_as_everybody_reads_it(watched: Watched) -> None:
    for table in TABLES:
        read = watched.page.evaluate(READ, [b64encode(table.body).decode(), True])
        if table is LATIN_1 or not table.complaint:
            assert tuple(read) == (table.texts or TEXTS), table
        elif "empty" not in table.complaint:
            _, english = read
            assert re.search(PAGE_COMPLAINTS.get(table.name, table.complaint), english, re.I), table
            assert table.line is None or str(table.line) in english, table


PAGE_COMPLAINTS = {
    "known names, and none a text": "none of the columns .* is a text",
    "line ends lost by curl -d": "is a header .* no text",
    "line ends of a large table lost": "is a header .* no text",
    "a header and no rows": "is a header .* no text",
    "latin-1 in a row": "in UTF-8, but for line",
    "report lines with empty fields": "header is in line 3",
    "too many fields": "more fields",
}
"""What the page says in other words than programs do."""
