import http.server
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from produtos.data import source
from produtos.data.dataset import Dataset, check_categories, load, parse
from produtos.errors import BadInput
from produtos.product_model.columns import CATEGORY, TEXT_COLUMNS, fold
from tests.support.tables import LATIN_1, READ, REFUSED, Table
from tests.support.threads import Quiet, serving

HEADER = "nome;descricao;categoria\n"
ENOUGH = "a;;livro\nb;;livro\nc;;game\nd;;game\n"

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a data set; its path."""

    def write(content: str | bytes, name: str = "produtos.csv") -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


TRAINED_ON = [table for table in READ if table.categories]
NOT_TRAINED_ON = [table for table in READ if not table.categories]


@pytest.mark.parametrize("table", TRAINED_ON, ids=str)
def test_a_table_is_read_as_by_every_reader(table: Table) -> None:
    dataset = parse(table.body, "table.csv")
    assert table.categories is not None
    rows = [row for row in zip(table.texts, table.categories, strict=True) if row[1]]
    assert [(p.text(include_name=True), p.category) for p in dataset.products] == rows
    others = set(table.columns) - {CATEGORY, *TEXT_COLUMNS}
    assert {fold(name) for name in dataset.summary.unused} == others


@pytest.mark.parametrize("table", NOT_TRAINED_ON, ids=str)
def test_a_table_without_categories_is_told(table: Table) -> None:
    with pytest.raises(BadInput, match="no header" if not table.columns else "no column categoria"):
        parse(table.body, "table.csv")


@pytest.mark.parametrize("table", [*REFUSED, LATIN_1], ids=str)
def test_a_table_that_cannot_be_read_is_told_as_by_every_reader(table: Table, write: Write) -> None:
    with pytest.raises(BadInput) as refusal:
        load(write(table.body))
    message = str(refusal.value).partition("produtos.csv: ")[2]
    assert re.search(table.complaint, message, re.IGNORECASE)
    assert table.line is None or re.search(rf"\bline {table.line}\b", message)


def test_a_whole_text_may_be_in_one_column(write: Write) -> None:
    dataset = load(write("texto;id;categoria\na;1;livro\nb;2;livro\nc;3;game\nd;4;game\n"))
    assert texts(dataset) == ["a", "b", "c", "d"]
    assert [product.text(include_name=False) for product in dataset.products] == texts(dataset)
    assert dataset.summary.unused == ("id",)
    assert "columns not used: id" in str(dataset.summary)
    assert dataset.summary.report()["columns_not_used"] == ["id"]


def test_products_without_a_word_are_counted(write: Write) -> None:
    dataset = load(write(HEADER + "📚;;livro\nO;de a;livro\nNÃO,;à;game\nbola;;game\n"))
    assert dataset.summary.without_words == 3
    assert "3 without a word" in str(dataset.summary)
    assert dataset.summary.report()["without_words"] == 3


def test_the_console_names_the_largest_categories(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("produtos.data.summary.CATEGORIES_SHOWN", 2)
    dataset = load(write(HEADER + ENOUGH + "e;;game\n"))
    assert dataset.summary.category_counts() == "categories: game 3, livro 2"
    dataset = load(write(HEADER + ENOUGH + "e;;game\nf;;arte\ng;;arte\nh;;arte\ni;;arte\n"))
    assert dataset.summary.category_counts() == "categories: arte 4, game 3, and 1 smaller ones"


def test_an_address_is_named_without_its_secrets() -> None:
    with pytest.raises(BadInput) as refusal:
        load("http://user:SECRET@127.0.0.1:1/x.csv?token=SECRET")
    assert str(refusal.value).startswith("dataset http://127.0.0.1:1/x.csv?token=…: ")
    assert "SECRET" not in str(refusal.value)


def texts(dataset: Dataset) -> list[str]:
    return [product.text(include_name=True) for product in dataset.products]


def test_no_row_with_a_text_and_a_category_is_lost(write: Write) -> None:
    dataset = load(write(HEADER + "Halo;;game\n;um jogo;game\nO Hobbit;um livro;livro\nIt;;livro"))
    assert texts(dataset) == ["Halo", "um jogo", "O Hobbit um livro", "It"]
    assert dataset.summary.rows_read == 4
    assert not dataset.summary.left_out


def test_each_row_left_out_is_counted_with_why_and_where(write: Write) -> None:
    dataset = load(
        write(
            HEADER
            + ENOUGH
            + "; ;livro\n"  # line 6
            + "Sem categoria;x; \n"
            + " B ;;livro\n"  # as line 3, but for case and white space
            + "b;;game\n"
            + "um;campo;a;mais\n"
            + ";;livro\n"
        )
    )
    assert dataset.summary.lines == {
        "no_text": [6, 11],
        "no_category": [7],
        "repeated": [8],
        "conflicting": [9],
        "misshapen": [10],
    }
    assert dataset.summary.rows_read == len(dataset.products) + 6
    assert dataset.summary.report()["rows_dropped"]["repeated"]["rows"] == 1
    assert "2 without a text" in str(dataset.summary)


def test_rows_of_nothing_are_empty_lines(write: Write) -> None:
    """A spreadsheet saves as many of them as were once used."""
    dataset = load(write(HEADER + ENOUGH + ";;\n ; ;\u00a0\n" * 500))
    assert dataset.summary.rows_read == len(dataset.products) == 4


@pytest.mark.parametrize("end", ["\x1a", "\n\x1a\r\n", "\0" * 4])
def test_what_dos_or_a_power_cut_leaves_at_the_end_is_no_row(end: str, write: Write) -> None:
    assert load(write(HEADER + ENOUGH + end)).summary.rows_read == 4


@pytest.mark.parametrize(
    "nothing", ["NULL", "nan", " None ", "\\N", "#N/D", "#REF!", "<NA>", "N/A"]
)
def test_what_programs_write_for_no_category_is_none(nothing: str, write: Write) -> None:
    summary = load(write(HEADER + ENOUGH + f"a;b;{nothing}\nc;d;{nothing}\n")).summary
    assert len(summary.counts) == 2
    assert summary.lines == {"no_category": [6, 7]}


def test_of_merged_cells_the_others_are_told(write: Write) -> None:
    rows = "a;;livro\nb;;\nc;;\nd;;game\ne;;\n"
    with pytest.raises(BadInput, match=r"in the category game, livro; .* 3 without a category"):
        load(write(HEADER + rows))


def test_long_names_are_cut_in_what_is_said(write: Write) -> None:
    rows = "".join(f"{each};;{each * 500}\n" for each in "abcdefg")
    with pytest.raises(BadInput) as refusal:
        load(write(HEADER + rows))
    assert len(str(refusal.value)) < 600


def test_a_header_may_have_line_ends_in_its_names(write: Write) -> None:
    content = 'código\ninterno;"nome\n";"preço\n\n(R$)";categoria\n'
    content = '"' + content.replace(";", '";', 1) + "1;Halo;9,90;game\n2;It;;livro\n"
    content += "3;Elden Ring;9;game\n4;Emma;;livro\nHalo;5;x;y;z\n"
    dataset = load(write(content))
    assert texts(dataset) == ["Halo", "It", "Elden Ring", "Emma"]
    assert dataset.summary.lines == {"misshapen": [10]}
    assert "; columns not used: código interno, preço (R$)" in str(dataset.summary)


@pytest.mark.parametrize("categories", ["📚 🎮", "3★ 3★★"])
def test_categories_may_differ_in_symbols(categories: str) -> None:
    first, second = categories.split()
    rows = f"a;;{first}\nb;;{first}\nc;;{second}\nd;;{second}\n"
    dataset = parse(f"{HEADER}{rows}".encode(), "t")
    check_categories(dataset.summary)
    assert list(dataset.summary.counts) == sorted([first, second])


def test_the_report_names_the_first_fifty_lines_of_each_kind() -> None:
    rows = ENOUGH + "a;;livro\n" * 60
    repeated = parse(f"{HEADER}{rows}".encode(), "t").summary.report()["rows_dropped"]["repeated"]
    assert repeated["rows"] == 60
    assert repeated["lines"] == [*range(6, 56)]


def test_of_equal_texts_the_first_is_kept(write: Write) -> None:
    dataset = load(write(HEADER + "Halo;o jogo;game\nHalo o;jogo;livro\n" + ENOUGH))
    assert dataset.products[0].category == "game"
    assert texts(dataset).count("Halo o jogo") == 1


def test_line_numbers_count_lines_inside_quotes(write: Write) -> None:
    dataset = load(write(HEADER + 'x;"duas\nlinhas";livro\n;;livro\n' + ENOUGH))
    assert dataset.summary.lines == {"no_text": [4]}
    assert dataset.products[0].description == "duas\nlinhas"


def test_a_quote_inside_a_field_and_a_line_end_inside_another_are_one_row(write: Write) -> None:
    dataset = load(write(HEADER + '"dita "a" boa";"duas\nlinhas ""b""";livro\n' + ENOUGH))
    assert texts(dataset)[0] == 'dita a" boa" duas\nlinhas "b"'
    assert dataset.summary.rows_read == 5


def test_quotes_columns_in_any_order_and_a_byte_order_mark(write: Write) -> None:
    dataset = load(
        write(
            "\ufeffcategoria;Nome ;extra;descricao\r\n"
            'livro;"It; a coisa";1;"o ""medo"""\r\nlivro;b;2;\r\ngame;c;3;\r\ngame;d;4;\r\n'
        )
    )
    assert texts(dataset)[0] == 'It; a coisa o "medo"'
    assert dataset.categories == ["game", "livro"]


@pytest.mark.parametrize("first", ["sep=;\r\n", "\ufeffsep=;\r\n", '"sep=;"\n', "\nSEP=;\n"])
def test_the_line_that_tells_excel_the_delimiter_is_no_header(write: Write, first: str) -> None:
    dataset = load(write(first + HEADER + ENOUGH + ";;game\n"))
    assert texts(dataset) == ["a", "b", "c", "d"]
    assert list(dataset.summary.left_out) == ["no_text"]


def test_columns_that_are_empty_in_every_row_do_no_harm(write: Write) -> None:
    rows = ENOUGH.replace("\n", ";;\n")
    for header in (HEADER, HEADER.replace("\n", ";;\n")):
        dataset = load(write(header + rows + "e;;game;; \n"))
        assert dataset.summary.rows_read == len(dataset.products) == 5


def test_the_header_may_be_written_as_in_portuguese(write: Write) -> None:
    dataset = load(write("NOME;Descri\u00e7\u00e3o;categoria\nHalo;um jogo;game\n" + ENOUGH))
    assert texts(dataset)[0] == "Halo um jogo"


def test_categories_with_differences_that_nobody_sees_are_one(write: Write) -> None:
    rows = "a;;jogo eletr\u00f4nico\nb;;jogo  eletro\u0302nico \nc;;livro\nd;;livro\n"
    assert load(write(HEADER + rows)).categories == ["jogo eletr\u00f4nico", "livro"]


def test_blank_lines_are_not_rows(write: Write) -> None:
    assert load(write(HEADER + "\n" + ENOUGH + "\n  \n")).summary.rows_read == 4


def test_a_quote_inside_a_field_is_just_a_character(write: Write) -> None:
    dataset = load(write(HEADER + 'Tela 5" nova;"dita "a" boa";game\n' + ENOUGH))
    assert texts(dataset)[0].startswith('Tela 5" nova')
    assert len(dataset.products) == 5


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "empty"),
        (HEADER.encode() + b"bo\xe7a;x;livro\n", "not UTF-8 at line 2, byte offset 27"),
        (
            "\nnome;descricao;preço\na;b;1\n",
            (
                "the header at line 2 has no column categoria; there are: nome, descricao, preço; "
                "it must be nome;descricao;categoria"
            ),
        ),
        ("preço;categoria\n1;b\n", "no column nome and no column descricao; there are: preço"),
        ("descrição;nome;descricao;categoria\n", "header at line 1 has descricao twice"),
        ("a;b;livro\nc;d;game\n", "no header: line 1 is a;b;livro; the first line must be nome"),
        (HEADER, "nothing left"),
        (HEADER + ";;livro\na;b;\n", "1 without a text, 1 without a category"),
        (HEADER + "a;;livro\nb;;livro\n", "every product is of one category, livro"),
        (HEADER + "a;;livro\nb;;livro\nc;d;e;game\n", "left out: 1 with too many fields"),
        (HEADER + "a;;livro\nb;;livro\nc;;game\n", "only one product in the category game"),
        (HEADER + ENOUGH + "e;;Livro\nf;;Livro\n", "case or accents only (Livro, livro)"),
        (HEADER + ENOUGH + "e;;g\u00e1me\nf;;g\u00e1me\n", "accents only (game, g\u00e1me)"),
        (b"PK\x03\x04\x14\x00\xe7", "as .xlsx and .ods are, not a CSV; save the sheet as CSV"),
        (b"\x1f\x8b\x08", "gzipped; unpack it"),
        (b"PAR1\x15", "a Parquet file; give a CSV"),
        (
            HEADER.encode() + "boné;não;livro\n".encode("latin-1") + b"\xe9;;livro\nf;;game\n",
            (
                "not UTF-8 at line 2, byte offset 28 (0xe9; in Windows-1252 the line is "
                "'boné;não;livro'); save the file as UTF-8"
            ),
        ),
        (
            (HEADER + "é;;livro\né2;;livro\n").encode() + b"\xe9;;livro\n",
            (
                "at line 4, byte offset 46 (0xe9; in Windows-1252 the line is 'é;;livro'); "
                "write this line again, as UTF-8"
            ),
        ),
        (
            (HEADER + "é;;livro\n" * 3).encode() + b"\xe9;;livro\n\xe3;;livro\n",
            "write this line and 1 more again, as UTF-8",
        ),
        (
            HEADER + "a;nÃ£o;livro\n",
            "encoded twice at line 2 ('Ã£' for 'ã'): it was UTF-8 and was read as something else",
        ),
        (HEADER + ENOUGH + HEADER, "the header is there again at line 6; delete that line"),
        ("Loja\n\n" + HEADER, "the header is at line 3; delete the lines above it"),
        (HEADER.encode("utf-16"), "Excel calls Unicode text; save the sheet as CSV, UTF-8"),
        ("\n<!DOCTYPE html><html><body>Entrar</body>", "a web page, not a CSV"),
        (HEADER + 'a;;livro\nb;"aberta;livro\nc;;game\n', "line 3 is never closed"),
        (HEADER + ENOUGH + 'e;;game;"aberta', "line 6 is never closed"),
        # A quote far below is not the one that closes it.
        (HEADER + 'a;;livro\n"b;;livro\n' + ENOUGH + '"e; f";;game\n', "line 3 is never closed"),
        (HEADER + '"b;;livro\n' + ENOUGH + 'tela 5" nova;"a; b";game\n', "line 2 is never closed"),
        (HEADER + 'a "b";"c "d" e";game\n"f;;game\n' + ENOUGH, "line 3 is never closed"),
    ],
)
def test_what_cannot_be_trained_on_is_told_in_one_line(
    write: Write, content: str | bytes, said: str
) -> None:
    path = write(content)
    with pytest.raises(BadInput) as refusal:
        load(path)
    message = str(refusal.value)
    assert said in message
    assert path in message
    assert "\n" not in message


def test_a_path_that_is_not_there_or_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        load(str(tmp_path / "nada.csv"))
    with pytest.raises(BadInput, match="this is a folder"):
        load(str(tmp_path))
    with pytest.raises(BadInput, match="only paths and http"):
        load("s3://bucket/produtos.csv")


@pytest.fixture
def web(write: Write) -> Iterator[str]:
    """An HTTP server with one data set, at /produtos.csv."""
    folder = Path(write(HEADER + ENOUGH)).parent

    class Handler(Quiet, http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

    with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}"


def test_a_data_set_is_read_over_http(web: str) -> None:
    assert texts(load(f"{web}/produtos.csv")) == ["a", "b", "c", "d"]


def test_an_address_that_is_wrong_is_told_in_one_line(web: str) -> None:
    with pytest.raises(BadInput, match="answered 404"):
        load(f"{web}/nada.csv")


@pytest.mark.parametrize(
    "address", ["http://[bad", "http://host:porta/a.csv", "HTTP://", "http://a b/c d"]
)
def test_what_is_no_address_is_told_in_one_line(address: str) -> None:
    with pytest.raises(BadInput) as refusal:
        load(address)
    message = str(refusal.value)
    assert message.startswith(f"dataset {address}: ")
    assert "\n" not in message


def test_a_server_that_is_down_is_told_in_one_line(web: str) -> None:
    del web
    with pytest.raises(BadInput, match="refused"):
        load("http://127.0.0.1:1/produtos.csv")


def test_a_file_that_is_too_large_is_refused(
    web: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(HEADER + ENOUGH)
    monkeypatch.setattr(source, "LARGEST", 20)
    for where in (path, f"{web}/produtos.csv"):
        with pytest.raises(BadInput, match="more than 20 bytes"):
            load(where)


def test_the_shipped_file_stands_for_its_name_in_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert source.location("produtos.csv") == source.location(None) == str(source.SHIPPED)
    (tmp_path / "produtos.csv").touch()
    assert source.location("produtos.csv") == str(tmp_path / "produtos.csv")
