"""Two registered versions on the same products: figures, category by category, and a test."""

from dataclasses import dataclass

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from scipy.stats import binomtest  # type: ignore[import-untyped]

from produtos.data.dataset import Dataset
from produtos.data.split import holdout_digest, holdout_of
from produtos.model.evaluation import Evaluation, evaluate
from produtos.parameters import YES
from produtos.registry.promotion import INCLUDE_NAMES
from produtos.registry.version_answers import answers_of
from produtos.runs.outcome import HOLDOUT_DIGEST

TOLERANCE = 1e-9
"""Sums of the same numbers in another order are not a difference."""


@dataclass(frozen=True)
class Measured:
    """One version on the hold-out.

    Attributes:
        version: its number.
        evaluation: its figures.
        right: for each product, whether its answer was right.
        same_holdout: whether the figures it was registered with are of this hold-out.
    """

    version: str
    evaluation: Evaluation
    right: list[bool]
    same_holdout: bool


@dataclass(frozen=True)
class Comparison:
    """A candidate beside the version that has the place it is to get.

    Attributes:
        current: the version that is there.
        candidate: the one that is to replace it.
        only_current: products that only `current` gets right.
        only_candidate: products that only `candidate` gets right.
    """

    current: Measured
    candidate: Measured
    only_current: int
    only_candidate: int

    @property
    def p_value(self) -> float:
        """How likely a difference at least as large is between two equally good models.

        McNemar's exact test: of the products on which just one is right, half would fall to each.
        Source: Q. McNemar, Psychometrika 12 (1947), 153-157; the exact form is the two-sided
        binomial test.
        """
        disputed = self.only_current + self.only_candidate
        if not disputed:
            return 1.0
        return float(binomtest(self.only_candidate, disputed, 0.5).pvalue)

    @property
    def worse(self) -> list[str]:
        """The figures by which the candidate is worse, in words; none when it may replace."""
        pairs = (
            ("accuracy", self.candidate.evaluation.accuracy, self.current.evaluation.accuracy),
            ("macro F1", self.candidate.evaluation.f1_macro, self.current.evaluation.f1_macro),
        )
        return [
            f"{name} {candidate:.4f} is below {current:.4f}"
            for name, candidate, current in pairs
            if candidate < current - TOLERANCE
        ]

    def table(self) -> str:
        """Lines for the console."""
        old, new = self.current.evaluation, self.candidate.evaluation
        rows = [("accuracy", old.accuracy, new.accuracy), ("macro F1", old.f1_macro, new.f1_macro)]
        rows += [
            (f"F1 {category}", old.by_category[category]["f1"], new.by_category[category]["f1"])
            for category in new.categories
        ]
        width = max(len(name) for name, _, _ in rows)
        names = [f"version {each.version}" for each in (self.current, self.candidate)]
        lines = [f"{'':<{width}}  {names[0]:>12}  {names[1]:>12}  {'difference':>12}"]
        lines += [
            f"{name:<{width}}  {before:>12.4f}  {after:>12.4f}  {after - before:>+12.4f}"
            for name, before, after in rows
        ]
        lines.append(
            f"only {names[0]} is right on {self.only_current}, only {names[1]} on "
            f"{self.only_candidate}: McNemar's exact test p = {self.p_value:.3g}"
        )
        return "\n".join(lines)


def compare(current: Measured, candidate: Measured) -> Comparison:
    """Put two versions, measured on the same products, side by side."""
    pairs = list(zip(current.right, candidate.right, strict=True))
    return Comparison(
        current,
        candidate,
        only_current=pairs.count((True, False)),
        only_candidate=pairs.count((False, True)),
    )


def measure(client: MlflowClient, dataset: Dataset, version: ModelVersion) -> Measured:
    """Let a version answer for the hold-out of a data set.

    It is given what it was trained for: without names if its run left them out.

    Raises:
        BadInput: its model cannot be loaded, or does not classify texts.
    """
    holdout = holdout_of(dataset)
    truth = [product.category for product in holdout]
    with_name = _include_names(client, version) == YES
    texts = [product.text(include_name=with_name) for product in holdout]
    answers = answers_of(version, texts)
    return Measured(
        version=str(version.version),
        evaluation=evaluate(truth, answers, dataset.categories),
        right=[answer == category for answer, category in zip(answers, truth, strict=True)],
        same_holdout=_tag(client, version, HOLDOUT_DIGEST) == holdout_digest(holdout),
    )


def _include_names(client: MlflowClient, version: ModelVersion) -> str:
    """As the version says, or the run that it was made of: the web page sets no tags."""
    if INCLUDE_NAMES in version.tags:
        return str(version.tags[INCLUDE_NAMES])
    return _of_run(client, version, "params").get(INCLUDE_NAMES, YES)


def _tag(client: MlflowClient, version: ModelVersion, name: str) -> str | None:
    if name in version.tags:
        return str(version.tags[name])
    return _of_run(client, version, "tags").get(name)


def _of_run(client: MlflowClient, version: ModelVersion, kind: str) -> dict[str, str]:
    if not version.run_id:
        return {}
    try:
        values: dict[str, str] = getattr(client.get_run(version.run_id).data, kind)
    except MlflowException:
        return {}
    return values
