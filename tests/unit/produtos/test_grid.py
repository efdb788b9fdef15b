import pytest

from produtos.errors import BadInput
from produtos.grid import CHAPTER, grid, parse_grid
from produtos.parameters import Parameters


def test_each_value_with_each_of_the_others() -> None:
    axes = parse_grid("classifier=naive_bayes,logistic_regression alpha=0.1,auto,1 ngrams=1,2")
    common = Parameters(dataset="x.csv", include_names=False)
    runs = grid(common, axes)
    assert len(set(runs)) == len(runs) == 12
    assert {(run.classifier, run.alpha, run.ngrams) for run in runs} == {
        (classifier, alpha, ngrams)
        for classifier in ("naive_bayes", "logistic_regression")
        for alpha in (0.1, None, 1.0)
        for ngrams in (1, 2)
    }
    assert {(run.dataset, run.test_size, run.include_names) for run in runs} == {
        ("x.csv", 0.2, False)
    }


def test_values_are_read_as_the_options_are_and_count_once() -> None:
    axes = parse_grid("include-names=sim,NAO,não test_size=0.3,.3")
    assert axes == {"include_names": [True, False], "test_size": [0.3]}


def test_without_one_it_is_the_chapter_s() -> None:
    assert parse_grid("") is parse_grid("  ") is CHAPTER


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("dataset=a.csv", "--grid dataset=a.csv: write each of test_size, include_names"),
        ("alpha", "--grid alpha: must be auto, or a number above 0"),
        ("alpha=1 alpha=2", "--grid alpha=2: write each of"),
        ("alpha=0", "must be auto, or a number above 0 and up to 1000, not '0'"),
        ("alpha=nan", "must be auto"),
        ("ngrams=0,1", "a number of words from 1 to 5, not '0'"),
        ("ngrams=1.5", "a number of words"),
        ("ngrams=1,", "a number of words from 1 to 5, not ''"),
        ("classifier=svm", "there is no classifier 'svm'; choose naive_bayes or logistic_regre"),
        ("test_size=2", "must be a number between 0 and 1"),
        (f"alpha={','.join(map(str, range(1, 900)))} ngrams=1,2", "1,798 runs; ask for 1,000"),
    ],
)
def test_what_is_none_is_told_in_one_line(written: str, said: str) -> None:
    with pytest.raises(BadInput) as refusal:
        parse_grid(written)
    assert said in str(refusal.value)
