"""The parameters of a run, as a user writes them and as MLflow keeps them."""

import argparse
import math
import shlex
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Never

from produtos.data.source import SHIPPED_NAME
from produtos.errors import without_secrets
from produtos.language import tr

NAIVE_BAYES = "naive_bayes"
LOGISTIC_REGRESSION = "logistic_regression"
CLASSIFIERS = (NAIVE_BAYES, LOGISTIC_REGRESSION)

YES, NO = "sim", "não"


@dataclass(frozen=True)
class Parameters:
    """What one run is asked to do; the defaults are the project's."""

    test_size: float = 0.2
    include_names: bool = True
    strip_accents: bool = True
    classifier: str = NAIVE_BAYES
    dataset: str = SHIPPED_NAME
    streaming: bool = False

    def logged(self) -> dict[str, str]:
        """The same in the user's own words, by name; an address without its secrets.

        Quoted as `mlflow run` does, whose parameters can't be changed: one search finds both.
        """
        written = {
            "test_size": str(self.test_size),
            "include_names": yes_or_no(self.include_names),
            "strip_accents": yes_or_no(self.strip_accents),
            "classifier": self.classifier,
            "dataset": without_secrets(self.dataset),
            "streaming": yes_or_no(self.streaming),
        }
        return {name: shlex.quote(value) for name, value in written.items()}

    def run_name(self) -> str:
        """What a run is called on the page, which shows the first twelve characters or so."""
        return f"{self.test_size} {yes_or_no(self.include_names)} {yes_or_no(self.strip_accents)}"

    def described(self) -> str:
        """The two parameters of the chapter, with their names."""
        return f"test_size={self.test_size} include_names={yes_or_no(self.include_names)}"


TEST_SIZES = (0.1, 0.2, 0.3, 0.4, 0.5)


def grid(common: Parameters) -> list[Parameters]:
    """The ten runs of a sweep: every test size of the chapter, with and without names."""
    return [
        replace(common, include_names=include_names, test_size=test_size)
        for include_names, test_size in product((True, False), TEST_SIZES)
    ]


def yes_or_no(value: bool) -> str:
    """`sim` or `não`."""
    return YES if value else NO


def parse_yes_or_no(written: str) -> bool:
    """`sim` or `não`, in any case, the accent not needed.

    Raises:
        argparse.ArgumentTypeError: it is neither.
    """
    # Composed, since a terminal may send the accent as a character of its own.
    word = unicodedata.normalize("NFC", written).strip().casefold()
    if word not in (YES, NO, "nao"):
        raise argparse.ArgumentTypeError(
            tr("must be sim or não, not {written!r}").format(written=written)
        )
    return word == YES


def parse_test_size(written: str) -> float:
    """A number between 0 and 1, both excluded.

    Raises:
        argparse.ArgumentTypeError: it is not.
    """
    try:
        value = float(written)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(
            tr("must be a number between 0 and 1, such as 0.2, not {written!r}").format(
                written=written
            )
        )
    return value


class Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one line."""

    def error(self, message: str) -> Never:
        """Print the one line and end with exit code 2."""
        print(
            tr("{prog}: {message}; see {prog} --help").format(prog=self.prog, message=message),
            file=sys.stderr,
        )
        raise SystemExit(2)

    def add_switch(self, name: str, meaning: str) -> None:
        """Accept `--name`, as a hand types it, or `--name sim`, as `mlflow run` gives it."""
        self.add_argument(
            *_spellings(name),
            nargs="?",
            const=True,
            default=False,
            type=parse_yes_or_no,
            metavar="sim|não",
            help=meaning,
        )


def _spellings(name: str) -> list[str]:
    """Of an option: as a command line has it, and as `mlflow run -P` does."""
    return list(dict.fromkeys([f"--{name.replace('_', '-')}", f"--{name}"]))


def add_arguments(parser: argparse.ArgumentParser, names: Sequence[str]) -> None:
    """Let `parser` accept some of the parameters, spelt as under `mlflow run -P` or with dashes."""
    known: dict[str, dict[str, Any]] = {
        "test_size": {
            "type": parse_test_size,
            "metavar": "NUMBER",
            "help": tr("part of the products to test on, between 0 and 1 (default: %(default)s)"),
        },
        "include_names": {
            "type": parse_yes_or_no,
            "metavar": "sim|não",
            "help": tr("whether the text of a product holds its name (default: sim)"),
        },
        "strip_accents": {
            "type": parse_yes_or_no,
            "metavar": "sim|não",
            "help": tr("whether words are compared without their accents (default: sim)"),
        },
        "classifier": {"choices": CLASSIFIERS, "help": tr("(default: %(default)s)")},
        "dataset": {
            "metavar": "PATH|URL",
            "help": tr("a CSV file nome;descricao;categoria (default: the one that is shipped)"),
        },
        "streaming": {
            "nargs": "?",
            "const": True,
            "type": parse_yes_or_no,
            "metavar": "sim|não",
            "help": tr(
                "read the data set in blocks, never all of it at once; it may be a folder, "
                "Parquet or s3://, too (default: não)"
            ),
        },
    }
    for name in names:
        default = getattr(Parameters, name)
        parser.add_argument(*_spellings(name), dest=name, default=default, **known[name])
