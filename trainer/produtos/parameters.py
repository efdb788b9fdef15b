"""The parameters of a run, as a user writes them and as MLflow keeps them."""

import argparse
import difflib
import math
import re
import shlex
import sys
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Never

from produtos.data.source import SHIPPED_NAME
from produtos.errors import without_secrets
from produtos.language import tr

NAIVE_BAYES = "naive_bayes"
LOGISTIC_REGRESSION = "logistic_regression"
CLASSIFIERS = (NAIVE_BAYES, LOGISTIC_REGRESSION)

YES, NO = "sim", "não"


AUTO = "auto"
"""A classifier's own value."""

MOST_WORDS = 5
"""Of a term."""

LARGEST_ALPHA = 1000.0


@dataclass(frozen=True)
class Parameters:
    """What one run is asked to do; the defaults are the project's.

    Attributes:
        alpha: smoothing of naive Bayes, or regularisation (1/C) of logistic regression; None for
            the classifier's own.
        ngrams: so many words in a row are a term at most.
        streaming: whether the data set is read in blocks.
    """

    test_size: float = 0.2
    include_names: bool = True
    strip_accents: bool = True
    classifier: str = NAIVE_BAYES
    dataset: str = SHIPPED_NAME
    alpha: float | None = None
    ngrams: int = 1
    streaming: bool = False

    def written(self) -> dict[str, str]:
        """The same in the user's own words, by name; an address without its secrets."""
        return {
            "test_size": str(self.test_size),
            "include_names": yes_or_no(self.include_names),
            "strip_accents": yes_or_no(self.strip_accents),
            "classifier": self.classifier,
            "dataset": without_secrets(self.dataset),
            "alpha": AUTO if self.alpha is None else f"{self.alpha:g}",
            "ngrams": str(self.ngrams),
            "streaming": yes_or_no(self.streaming),
        }

    def of_model(self) -> dict[str, Any]:
        """What `model.pipeline.build` has to know."""
        names = ("classifier", "strip_accents", "alpha", "ngrams")
        return {name: getattr(self, name) for name in names}

    def logged(self) -> dict[str, str]:
        """Quoted as `mlflow run` does, whose parameters can't be changed: one search finds both."""
        return {name: shlex.quote(value) for name, value in self.written().items()}

    def run_name(self) -> str:
        """What a run is called on the page, which shows the first twelve characters or so."""
        written, usual = self.written(), Parameters().written()
        more = [name for name in ("classifier", "alpha", "ngrams") if written[name] != usual[name]]
        names = ("test_size", "include_names", "strip_accents", *more)
        return " ".join(written[name] for name in names)

    def described(self, names: Collection[str] = ()) -> str:
        """The two parameters of the chapter, those that are named, and what is not as usual."""
        usual = Parameters().written()
        return " ".join(
            f"{name}={value}"
            for name, value in self.written().items()
            if name in names
            or name in ("test_size", "include_names")
            or (name in ("alpha", "ngrams") and value != usual[name])
        )


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
    if not 0 < (value := _number(written)) < 1:
        raise argparse.ArgumentTypeError(
            tr("must be a number between 0 and 1, such as 0.2, not {written!r}").format(
                written=written
            )
        )
    return value


def parse_alpha(written: str) -> float | None:
    """A positive number, or `auto`.

    Raises:
        argparse.ArgumentTypeError: it is neither.
    """
    if written.strip().lower() == AUTO:
        return None
    if not 0 < (value := _number(written)) <= LARGEST_ALPHA:
        raise argparse.ArgumentTypeError(
            tr("must be auto, or a number above 0 and up to {most:g}, not {written!r}").format(
                most=LARGEST_ALPHA, written=written
            )
        )
    return value


def parse_ngrams(written: str) -> int:
    """A number of words.

    Raises:
        argparse.ArgumentTypeError: it is none, or too large.
    """
    value = _number(written)
    if value not in range(1, MOST_WORDS + 1):
        raise argparse.ArgumentTypeError(
            tr("must be a number of words from 1 to {most}, not {written!r}").format(
                most=MOST_WORDS, written=written
            )
        )
    return int(value)


def _number(written: str) -> float:
    try:
        return float(written)
    except ValueError:
        return math.nan


YES_OR_NO: dict[str, Any] = {"type": parse_yes_or_no, "metavar": "sim|não"}
SWITCH: dict[str, Any] = {"nargs": "?", "const": True, **YES_OR_NO}
"""Of an option that can stand alone, too."""


# It asks gettext's own catalog, which knows of no LINGUA.
argparse._ = tr  # type: ignore[attr-defined]

UNKNOWN = tr("unrecognized arguments: %s")
SAID_BY_ARGPARSE = (
    UNKNOWN,
    tr("usage: "),
    tr("options"),
    tr("positional arguments"),
    tr("show this help message and exit"),
    tr("argument %(argument_name)s: %(message)s"),
    tr("the following arguments are required: %s"),
    tr("expected one argument"),
    tr("expected at most one argument"),
    tr("expected at least one argument"),
    tr("ignored explicit argument %r"),
    tr("ambiguous option: %(option)s could match %(matches)s"),
    tr("invalid choice: %(value)r (choose from %(choices)s)"),
)
"""Named here, so that the catalog has them."""


class Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one line."""

    def error(self, message: str) -> Never:
        """Print the one line and end with exit code 2."""
        if found := re.match(f"{re.escape(UNKNOWN % '')}--([^ =]+)", message):
            known = [each[2:] for each in self._option_string_actions if each.startswith("--")]
            for near in difflib.get_close_matches(found[1], known, 1, 0.65):
                message = tr("there is no {option}, but {near}").format(
                    option=f"--{found[1]}", near=f"--{near}"
                )
        print(
            tr("{prog}: {message}; see {prog} --help").format(prog=self.prog, message=message),
            file=sys.stderr,
        )
        raise SystemExit(2)

    def add_switch(self, name: str, meaning: str) -> None:
        """Accept `--name`, as a hand types it, or `--name sim`, as `mlflow run` gives it."""
        self.add_argument(*_spellings(name), default=False, help=meaning, **SWITCH)


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
            **YES_OR_NO,
            "help": tr("whether the text of a product holds its name (default: sim)"),
        },
        "strip_accents": {
            **YES_OR_NO,
            "help": tr("whether words are compared without their accents (default: sim)"),
        },
        "classifier": {"choices": CLASSIFIERS, "help": tr("(default: %(default)s)")},
        "dataset": {
            "metavar": "PATH|URL",
            "help": tr("a CSV file nome;descricao;categoria (default: the one that is shipped)"),
        },
        "alpha": {
            "type": parse_alpha,
            "metavar": "NUMBER",
            "help": tr(
                "smoothing of naive Bayes (auto: 1), or regularisation, 1/C, of logistic "
                "regression (auto: 0.1)"
            ),
        },
        "ngrams": {
            "type": parse_ngrams,
            "metavar": "NUMBER",
            "help": tr("so many words in a row are a term at most (default: %(default)s)"),
        },
        "streaming": {
            **SWITCH,
            "help": tr(
                "read the data set in blocks, never all of it at once; it may be a folder, "
                "Parquet or s3://, too (default: não)"
            ),
        },
    }
    for name in names:
        default = getattr(Parameters, name)
        parser.add_argument(*_spellings(name), dest=name, default=default, **known[name])
