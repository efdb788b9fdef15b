import os
import shutil
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from produtos.model.pipeline import build
from produtos.model.stop_words import stop_words, tokenizer
from produtos.text import NLTK_DATA, has_word, normal_form, product_text
from tests.support.commands import completed


def test_a_missing_part_counts_as_empty() -> None:
    assert product_text("O Hobbit", "um livro") == "O Hobbit um livro"
    assert product_text("O Hobbit", None) == "O Hobbit"
    assert product_text(None, "um livro") == "um livro"
    assert product_text("", "") == ""


def test_case_and_white_space_make_no_difference_between_products() -> None:
    assert normal_form("  O\tHobbit \n 7ª ED.") == normal_form("o hobbit 7ª ed.")


def test_two_ways_of_writing_an_accent_are_one() -> None:
    assert normal_form("ane\u0301is") == normal_form("an\u00e9is")


def test_an_accent_makes_another_word() -> None:
    assert normal_form("avó") != normal_form("avô")


@given(st.text())
def test_the_normal_form_of_a_normal_form_is_itself(text: str) -> None:
    once = normal_form(text)
    # Casefolding can take a character apart that composing put together; twice is enough.
    assert normal_form(normal_form(once)) == normal_form(once)


def test_function_words_are_stop_words_and_products_are_not() -> None:
    words = stop_words(strip_accents=False)
    assert {"de", "não", "para", "você", "às"} <= set(words)
    assert not {"livro", "boneca", "halo", "senhor", "anéis", "batom", "jogo"} & set(words)


def test_without_accents_the_list_has_none_either() -> None:
    words = stop_words(strip_accents=True)
    assert "nao" in words
    assert "não" not in words
    assert all(word.isascii() for word in words)


def test_every_listed_word_is_one_token() -> None:
    listed = (NLTK_DATA / "corpora/stopwords/portuguese").read_text("utf-8").split()
    assert all(tokenizer.tokenize(word) == [word] for word in listed)
    assert listed == sorted(set(listed))


def words_read_in(trainer: Path, nltk_data: str = "") -> list[str]:
    """The stop words as a fresh process reads them, with NLTK_DATA set."""
    script = (
        "from produtos.model.stop_words import stop_words; print(*stop_words(strip_accents=True))"
    )
    environment = os.environ | {"PYTHONPATH": str(trainer), "NLTK_DATA": nltk_data}
    ended = completed([sys.executable, "-c", script], env=environment)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.split()


def test_a_list_installed_elsewhere_is_not_looked_at(tmp_path: Path) -> None:
    planted = tmp_path / "nltk_data" / "corpora" / "stopwords"
    planted.mkdir(parents=True)
    (planted / "portuguese").write_text("boneca\n", encoding="utf-8")
    words = words_read_in(NLTK_DATA.parent, str(tmp_path / "nltk_data"))
    assert words == stop_words(strip_accents=True)


def test_a_checkout_that_a_group_may_write_trains_all_the_same(tmp_path: Path) -> None:
    trainer = tmp_path / "trainer"
    for part in ("produtos", "nltk_data"):
        shutil.copytree(NLTK_DATA.parent / part, trainer / part)
    for path in (trainer, *trainer.rglob("*")):
        path.chmod(path.stat().st_mode | stat.S_IWGRP)
    assert words_read_in(trainer) == stop_words(strip_accents=True)


@pytest.mark.parametrize("text", ["", "📚🧸", "O de a", "NÃO para com E", "à, às!", "...", "nao"])
def test_a_text_of_signs_and_function_words_has_no_word(text: str) -> None:
    assert not has_word(text)


@pytest.mark.parametrize("text", ["boneca", "o 2", "📚 livro", "PS5", "É você, avó"])
def test_any_other_token_is_a_word(text: str) -> None:
    assert has_word(text)


def test_a_text_without_a_word_is_one_in_which_the_vectorizer_finds_none() -> None:
    analyze = build("naive_bayes", strip_accents=True)["vectorizer"].build_analyzer()
    for text in (*stop_words(strip_accents=False), "📚", "avó", "é o Ö", "İ", "ﬁm", "x²", "_"):
        assert has_word(text) == bool(analyze(text)), text


def test_characters_without_width_are_not_seen() -> None:
    assert normal_form("bo\u200bneca\ufeff  de\u00a0pano\u00ad") == "boneca de pano"
    assert normal_form("Avo\u0301") == "avó"
