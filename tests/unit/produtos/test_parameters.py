import argparse
import unicodedata
from dataclasses import fields

import pytest

from produtos.grid import grid
from produtos.parameters import (
    Parameters,
    Parser,
    add_arguments,
    parse_test_size,
    parse_yes_or_no,
)

ALL = [field.name for field in fields(Parameters)]


def parse(*arguments: str) -> Parameters:
    parser = Parser(prog="train.py")
    add_arguments(parser, ALL)
    return Parameters(**vars(parser.parse_args(arguments)))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *(("sim", True), ("SIM", True), ("não", False), ("nao", False), ("Não", False)),
        (unicodedata.normalize("NFD", "não"), False),
    ],
)
def test_yes_and_no(written: str, meant: bool) -> None:
    assert parse_yes_or_no(written) is meant


@pytest.mark.parametrize("written", ["", "yes", "talvez", "true", "0"])
def test_neither_yes_nor_no(written: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="must be sim or não"):
        parse_yes_or_no(written)


@pytest.mark.parametrize("written", ["0", "1", "-0.1", "1.5", "nan", "inf", "abc", "0,3", ""])
def test_no_test_size(written: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="number between 0 and 1"):
        parse_test_size(written)


def test_what_is_left_out_is_the_projects_default() -> None:
    assert parse() == Parameters(0.2, True, True, "naive_bayes", "produtos.csv")


def test_dashes_and_underscores_are_the_same() -> None:
    wanted = Parameters(test_size=0.3, include_names=False, strip_accents=False)
    assert parse("--test-size", "0.3", "--include-names=não", "--strip-accents", "nao") == wanted
    assert parse("--test_size=0.3", "--include_names", "não", "--strip_accents=não") == wanted


def test_parameters_are_logged_as_mlflow_run_logs_them() -> None:
    assert parse("--include-names", "nao").logged() == {
        "test_size": "0.2",
        "include_names": "'não'",
        "strip_accents": "sim",
        "classifier": "naive_bayes",
        "dataset": "produtos.csv",
        "alpha": "auto",
        "ngrams": "1",
        "streaming": "'não'",
    }
    assert parse("--alpha", "0.10", "--ngrams=2", "--streaming").logged().items() >= {
        ("alpha", "0.1"),
        ("ngrams", "2"),
        ("streaming", "sim"),
    }


def test_an_address_is_logged_without_its_secrets() -> None:
    logged = parse("--dataset", "https://maria:SECRET@host/x.csv?token=SECRET").logged()
    assert logged["dataset"] == "'https://host/x.csv?token=…'"


def test_names_of_the_runs_of_a_sweep_differ_where_a_page_cuts_them_off() -> None:
    both = [grid(Parameters(strip_accents=strips)) for strips in (True, False)]
    names = [each.run_name()[:12] for runs in both for each in runs]
    assert len(set(names)) == 20
    assert Parameters(test_size=0.25, include_names=False).run_name() == "0.25 não sim"
    other = Parameters(classifier="logistic_regression", alpha=0.5, ngrams=2)
    assert other.run_name() == "0.2 sim sim logistic_regression 0.5 2"
    assert other.described() == "test_size=0.2 include_names=sim alpha=0.5 ngrams=2"
    assert (
        Parameters().described(["classifier"]).endswith("include_names=sim classifier=naive_bayes")
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--test-size", "2"], "number between 0 and 1"),
        (["--classifier", "svm"], "'svm' (choose from 'naive_bayes', 'logistic_regression')"),
        (["--alpha", "-1"], "must be auto, or a number above 0"),
        (["--ngrams", "9"], "a number of words from 1 to 5"),
        (["--nada"], "unrecognized arguments: --nada"),
        (["--includ-names=não"], "there is no --includ-names, but --include-names"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parse(*arguments)
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert message in said
    assert said.endswith("; see train.py --help\n")


def test_the_ten_runs_differ_only_in_the_chapters_two_parameters() -> None:
    runs = grid(Parameters(classifier="logistic_regression", dataset="x.csv"))
    assert {(run.test_size, run.include_names) for run in runs} == {
        (size, names) for size in (0.1, 0.2, 0.3, 0.4, 0.5) for names in (True, False)
    }
    assert len(runs) == 10
    assert {(run.classifier, run.dataset) for run in runs} == {("logistic_regression", "x.csv")}
