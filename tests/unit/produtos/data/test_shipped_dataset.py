"""The data set that ships: what it holds, and the story that the documentation tells with it.

`docs/dataset.md` says all this in tables; each of their rows is computed here and must stand there.
"""

import csv
import re
import statistics
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split

from dataset_source.dirt import GLUED
from produtos.data import dataset
from produtos.data.split import split
from produtos.model import pipeline as model
from tests.support.commands import completed

ROOT = Path(__file__).resolve().parents[4]
GENERATOR = ROOT / "tools" / "generate_dataset.py"
SHIPPED = ROOT / "trainer" / "produtos.csv"
CARD = ROOT / "docs" / "dataset.md"

CATEGORIES = ["brinquedo", "game", "livro", "maquiagem"]
TEST_SIZES = (0.1, 0.2, 0.3, 0.4, 0.5)
WITHOUT_ACCENTS, WITH_ACCENTS = "senhor dos aneis", "senhor dos anéis"
STORY = ["boneca de pano", "halo", WITH_ACCENTS, WITHOUT_ACCENTS]
SHARED_WORDS = (
    "barbie",
    "batman",
    "boneca",
    "harry",
    "jogo",
    "kit",
    "lego",
    "livro",
    "maquiagem",
    "minecraft",
    "paleta",
    "star",
)


@dataclass(frozen=True)
class Row:
    """A row as it stands in the file, stray spaces and all."""

    name: str
    description: str
    category: str

    @property
    def text(self) -> str:
        return f"{self.name} {self.description}"


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def without_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(char for char in decomposed if not unicodedata.combining(char))


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    with SHIPPED.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file, delimiter=";", strict=True)
        assert next(reader) == ["nome", "descricao", "categoria"]
        return [Row(*fields) for fields in reader]


@pytest.fixture(scope="module")
def products() -> dataset.Dataset:
    return dataset.load(str(SHIPPED))


@pytest.fixture(scope="module")
def card() -> str:
    return CARD.read_text(encoding="utf-8")


def table(card: str, heading: str) -> list[str]:
    """The rows of the table below a heading, without its two head lines."""
    section = card.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return [line for line in section.splitlines() if line.startswith("|")][2:]


def line(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


# The generator


def test_the_generator_makes_the_file_that_ships() -> None:
    # -S: without installed packages, since it must run before there is an environment.
    done = completed([sys.executable, "-S", str(GENERATOR), "--check"])
    assert done.returncode == 0, done.stderr


def test_check_tells_a_changed_file(tmp_path: Path) -> None:
    tools, shipped = tmp_path / "tools", tmp_path / "trainer" / SHIPPED.name
    tools.mkdir()
    shipped.parent.mkdir()
    (tools / GENERATOR.name).write_bytes(GENERATOR.read_bytes())
    (tools / "dataset_source").symlink_to(GENERATOR.parent / "dataset_source")
    command = [sys.executable, str(tools / GENERATOR.name)]
    shipped.write_bytes(SHIPPED.read_bytes() + b"Halo;;game\n")
    checked = completed([*command, "--check"])
    assert checked.returncode == 1
    assert "run python tools/generate_dataset.py" in checked.stderr
    subprocess.run(command, check=True, capture_output=True)
    assert shipped.read_bytes() == SHIPPED.read_bytes()


# What is in the file


def test_rows_and_categories(rows: list[Row]) -> None:
    assert len(rows) >= 4000
    counts = Counter(row.category for row in rows)
    assert sorted(counts) == CATEGORIES
    assert max(counts.values()) - min(counts.values()) < 0.02 * len(rows)
    assert SHIPPED.stat().st_size < 2_000_000


def test_a_quarter_of_the_descriptions_is_empty(rows: list[Row]) -> None:
    empty = sum(not row.description.strip() for row in rows) / len(rows)
    assert 0.22 < empty < 0.3


def test_some_rows_are_exact_duplicates(rows: list[Row]) -> None:
    assert 0.02 < 1 - len(set(rows)) / len(rows) < 0.06


def test_names_and_descriptions_are_mostly_unique(rows: list[Row]) -> None:
    different = set(rows)
    names = {" ".join(words(row.name)) for row in different}
    descriptions = [row.description for row in different if row.description]
    assert len(names) > 0.95 * len(different)
    assert len(set(descriptions)) > 0.97 * len(descriptions)


def test_only_booksellers_write_aneis_with_its_accent_every_time(rows: list[Row]) -> None:
    found = Counter(
        (word, row.category)
        for row in rows
        for word in words(row.text)
        if without_accents(word) == "aneis"
    )
    assert found["anéis", "livro"] > 50
    assert found["aneis", "livro"] == 0
    assert found["aneis", "brinquedo"] > 25


# What a classifier makes of it

Products = tuple[list[str], list[str]]


def chapters_way(rows: list[Row], *, include_names: bool = True) -> Products:
    """Texts and categories as in the chapter: no description, no row; duplicates left in."""
    described = [row for row in rows if row.description]
    texts = [row.text if include_names else row.description for row in described]
    return texts, [row.category for row in described]


def everything_once(products: dataset.Dataset) -> Products:
    texts = [product.text(include_name=True) for product in products.products]
    return texts, [product.category for product in products.products]


def try_out(
    data: Products, *, strip_accents: bool, test_size: float, seed: int = 10, classifier: str = ""
) -> tuple[float, list[str]]:
    """Accuracy on the test split, and the answers to the four texts of the story."""
    train, test, wanted_train, wanted = train_test_split(
        *data, test_size=test_size, random_state=seed
    )
    pipeline = model.build(classifier or "naive_bayes", strip_accents=strip_accents)
    pipeline.fit(train, wanted_train)
    return pipeline.score(test, wanted), [str(answer) for answer in pipeline.predict(STORY)]


@pytest.mark.parametrize("test_size", TEST_SIZES)
def test_not_trivial_and_not_hopeless(
    rows: list[Row], products: dataset.Dataset, test_size: float
) -> None:
    chapter, _ = try_out(chapters_way(rows), strip_accents=False, test_size=test_size)
    kept, _ = try_out(everything_once(products), strip_accents=True, test_size=test_size)
    nameless, _ = try_out(
        chapters_way(rows, include_names=False), strip_accents=False, test_size=test_size
    )
    assert 0.93 <= chapter <= 0.99
    assert 0.93 <= kept <= 0.995
    assert 0.8 < nameless < chapter - 0.03


@pytest.mark.parametrize("seed", [10, 0, 1])
@pytest.mark.parametrize("test_size", [0.1, 0.3, 0.5])
def test_the_story_of_the_missing_accent(
    rows: list[Row], products: dataset.Dataset, test_size: float, seed: int
) -> None:
    for data in (chapters_way(rows), everything_once(products)):
        _, plain = try_out(data, strip_accents=False, test_size=test_size, seed=seed)
        _, stripped = try_out(data, strip_accents=True, test_size=test_size, seed=seed)
        assert plain == ["brinquedo", "game", "livro", "brinquedo"]
        assert stripped == ["brinquedo", "game", "livro", "livro"]


def test_the_story_with_logistic_regression(products: dataset.Dataset) -> None:
    for test_size in (0.1, 0.5):
        _, answers = try_out(
            everything_once(products),
            strip_accents=True,
            test_size=test_size,
            classifier="logistic_regression",
        )
        assert answers == ["brinquedo", "game", "livro", "livro"]


def holdout_f1(products: dataset.Dataset, classifier: str) -> float:
    parts = split(products, test_size=0.1, include_names=True)
    pipeline = model.build(classifier, strip_accents=True)
    pipeline.fit(
        [product.text(include_name=True) for product in parts.train],
        [product.category for product in parts.train],
    )
    answers = pipeline.predict(
        [product.text(include_name=True) for product in parts.holdout.products]
    )
    wanted = [product.category for product in parts.holdout.products]
    return float(f1_score(wanted, answers, average="macro"))


@pytest.mark.parametrize(
    ("classifier", "least"), [("naive_bayes", 0.965), ("logistic_regression", 0.975)]
)
def test_the_best_model_can_be_good(
    products: dataset.Dataset, classifier: str, least: float
) -> None:
    assert holdout_f1(products, classifier) >= least


# The data card


def count_table(rows: list[Row], products: dataset.Dataset) -> list[str]:
    lines = []
    for category in [*CATEGORIES, "all"]:
        of_it = [row for row in rows if category in (row.category, "all")]
        different = sum(category in (p.category, "all") for p in products.products)
        lengths = [len(words(row.description)) for row in of_it if row.description.strip()]
        lines.append(
            line(
                category,
                f"{len(of_it):,}",
                f"{different:,}",
                f"{len(of_it) - len(lengths):,}",
                f"{statistics.median(len(words(row.name)) for row in of_it):.0f}",
                f"{statistics.median(lengths):.0f}",
                f"{max(lengths):,}",
            )
        )
    return lines


def words_without_their_accent(rows: list[Row]) -> set[str]:
    """Words of five letters or more that mostly have an accent, written without it."""
    frequency = Counter(word for row in rows for word in words(row.text))
    return {
        bare
        for word, count in frequency.items()
        if (bare := without_accents(word)) != word
        and len(bare) >= 5
        and count >= 5 * frequency[bare]
    }


def dirt_table(rows: list[Row]) -> list[str]:
    bare = words_without_their_accent(rows)
    headings = re.compile(f"\\s*({'|'.join(GLUED)})[A-ZÀ-Ý]")
    conditions: dict[str, Callable[[Row], bool]] = {
        "rows without a description": lambda row: not row.description,
        "names with a space before or after": lambda row: row.name != row.name.strip(),
        "rows with a run of spaces inside a text": lambda row: any(
            re.search(r"\S\s{2,}\S", part) for part in (row.name, row.description)
        ),
        "rows with a no-break space": lambda row: "\xa0" in row.text,
        "names in upper case": lambda row: row.name.isupper(),
        "names in lower case": lambda row: row.name.islower(),
        "rows with a word that lost its accent": lambda row: not bare.isdisjoint(words(row.text)),
        "descriptions with a heading stuck to the first word": lambda row: bool(
            headings.match(row.description)
        ),
        "rows without a space between two sentences": lambda row: bool(
            re.search(r"[a-zà-ÿ][.!:][A-ZÀ-Ý]", row.text)
        ),
        "rows with a quote or a semicolon in a text": lambda row: bool(re.search('[";]', row.text)),
    }
    repeated = line("rows that repeat another row exactly", f"{len(rows) - len(set(rows)):,}")
    return [
        repeated,
        *(line(what, f"{sum(map(holds, rows)):,}") for what, holds in conditions.items()),
    ]


def shared_words_table(rows: list[Row]) -> list[str]:
    lines = []
    for word in SHARED_WORDS:
        cells = Counter(row.category for row in set(rows) if word in words(row.text))
        assert len(cells) > 2, f"{word} is not shared by three categories"
        lines.append(line(f"`{word}`", *(f"{cells[category]:,}" for category in CATEGORIES)))
    return lines


def accuracy_table(rows: list[Row], products: dataset.Dataset) -> list[str]:
    lines = []
    for size in TEST_SIZES:
        nameless = chapters_way(rows, include_names=False)
        figures = (
            try_out(chapters_way(rows), strip_accents=False, test_size=size)[0],
            try_out(everything_once(products), strip_accents=True, test_size=size)[0],
            try_out(nameless, strip_accents=False, test_size=size)[0],
        )
        lines.append(line(size, *(f"{figure:.3f}" for figure in figures)))
    return lines


def story_table(rows: list[Row], products: dataset.Dataset) -> list[str]:
    _, plain = try_out(chapters_way(rows), strip_accents=False, test_size=0.2)
    _, stripped = try_out(everything_once(products), strip_accents=True, test_size=0.2)
    return [line(f"`{text}`", *both) for text, *both in zip(STORY, plain, stripped, strict=True)]


def test_the_card_counts_what_is_there(
    card: str, rows: list[Row], products: dataset.Dataset
) -> None:
    assert table(card, "How much there is") == count_table(rows, products)


def test_the_card_counts_the_dirt(card: str, rows: list[Row]) -> None:
    assert table(card, "What is dirty, on purpose") == dirt_table(rows)


def test_the_card_counts_the_shared_words(card: str, rows: list[Row]) -> None:
    assert table(card, "Words that several categories share") == shared_words_table(rows)


def test_the_card_gives_the_accuracies(
    card: str, rows: list[Row], products: dataset.Dataset
) -> None:
    assert table(card, "What a plain classifier makes of it") == accuracy_table(rows, products)


def test_the_card_tells_the_story(card: str, rows: list[Row], products: dataset.Dataset) -> None:
    assert table(card, "The story it tells") == story_table(rows, products)


def test_no_figure_of_the_card_goes_unchecked(card: str) -> None:
    """Figures stand in the tables above, or in code; prose has none."""
    prose = re.sub(r"```.*?```", "", card, flags=re.DOTALL)
    prose = re.sub(r"`[^`]*`|^\|.*$|Apache-2\.0|UTF-8", "", prose, flags=re.MULTILINE)
    assert re.findall(r"\d[\d.,]*", prose) == []
