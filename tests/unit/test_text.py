from hypothesis import given
from hypothesis import strategies as st

from produtos.stop_words import NLTK_DATA, stop_words, tokenizer
from produtos.text import normal_form, product_text


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


def test_a_list_installed_elsewhere_is_not_looked_at() -> None:
    import nltk

    nltk.data.path.insert(0, "/nowhere/nltk_data")
    stop_words(strip_accents=True)
    assert nltk.data.path == [str(NLTK_DATA)]
