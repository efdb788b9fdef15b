"""Whether a version may replace another: both on the same products, and one verdict for all.

The sweep and `promote.py` ask `judge`; what it says is printed, and kept as a tag of the version,
which the web page shows.
"""

import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from operator import eq

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from scipy.stats import binomtest  # type: ignore[import-untyped]

from produtos.data.dataset import Dataset
from produtos.data.split import gaps, holdout_of
from produtos.errors import BadInput
from produtos.language import tr
from produtos.model.evaluation import Evaluation, evaluate
from produtos.model.loaded import LoadedModel
from produtos.parameters import YES
from produtos.registry import registry
from produtos.runs.outcome import HOLDOUT_DIGEST
from produtos.text import normal_form

INCLUDE_NAMES = "include_names"
"""Tag of a version and parameter of a run: which text the model was trained for."""

VERDICT = "comparison"
"""Tag of a version: what came of its last comparison with a version that it was to replace."""

TOLERANCE = 1e-9
"""Sums of the same numbers in another order are not a difference."""


@dataclass(frozen=True)
class Measured:
    """One version on the hold-out.

    Attributes:
        name: such as `version 2`, in the language of the terminal.
        evaluation: its figures.
        right: for each product, whether its answer was right.
        same_holdout: whether the figures it was registered with are of this hold-out.
        categories: all that it may answer with; None if its model does not say.
    """

    name: str
    evaluation: Evaluation
    right: list[bool]
    same_holdout: bool
    categories: frozenset[str] | None


def figures(current: Measured, candidate: Measured) -> list[tuple[str, float, float]]:
    """What counts: its name, and what the current version and the candidate reach."""
    old, new = current.evaluation, candidate.evaluation
    return [(tr("accuracy"), old.accuracy, new.accuracy), ("macro F1", old.f1_macro, new.f1_macro)]


def worse(current: Measured, candidate: Measured) -> list[str]:
    """In what the candidate is worse, in words; empty when it may replace the current version."""
    reasons = [
        tr("{name} {candidate:.4f} is below {current:.4f}").format(
            name=name, candidate=new, current=old
        )
        for name, old, new in figures(current, candidate)
        if new < old - TOLERANCE
    ]
    if current.categories is None or candidate.categories is None:
        return reasons
    # Those that it cannot answer with any more, or writes in another way.
    spelled = {normal_form(category): category for category in candidate.categories}
    return reasons + [
        tr("it writes the category {category} as {other}").format(category=category, other=other)
        if (other := spelled.get(normal_form(category)))
        else tr("it does not know the category {category}").format(category=category)
        for category in sorted(current.categories - candidate.categories)
    ]


def table(current: Measured, candidate: Measured, holdout: str) -> str:
    """Lines for the console; `holdout` says in words which products both were asked for."""
    old = current.evaluation.by_category
    # A category without products in the hold-out has no F1.
    rows = figures(current, candidate) + [
        (f"F1 {category}", old[category]["f1"], new["f1"])
        for category, new in candidate.evaluation.by_category.items()
        if new["products"]
    ]
    width = max(len(name) for name, _, _ in rows)
    heads = f"{current.name:>12}  {candidate.name:>12}  {tr('difference'):>12}"
    right = Counter(zip(current.right, candidate.right, strict=True))
    measured_again = tr(
        "{name} was registered with figures of another hold-out, or with none: it "
        "was measured again on this one"
    )
    only_one_right = tr(
        "only {names} is right on {only_current}, only {names2} on {only_candidate}: "
        "McNemar's exact test p = {mcnemar:.3g}"
    )
    lines = [
        tr("on {holdout}:").format(holdout=holdout),
        *(
            measured_again.format(name=each.name)
            for each in (current, candidate)
            if not each.same_holdout
        ),
        f"{'':<{width}}  {heads}",
        *(
            f"{name:<{width}}  {before:>12.4f}  {after:>12.4f}  {after - before:>+12.4f}"
            for name, before, after in rows
        ),
        only_one_right.format(
            names=current.name,
            only_current=right[True, False],
            names2=candidate.name,
            only_candidate=right[False, True],
            mcnemar=mcnemar(right[True, False], right[False, True]),
        ),
    ]
    return "\n".join(lines)


@dataclass(frozen=True)
class Verdict:
    """Whether a candidate may replace the version in a stage.

    Attributes:
        allowed: whether it may.
        text: the same in one line, with why.
        table: what that rests on; empty if the two could not be compared.
    """

    allowed: bool
    text: str
    table: str = ""

    def save(self, client: MlflowClient, candidate: ModelVersion) -> None:
        """Keep it where the web page shows it."""
        client.set_model_version_tag(candidate.name, candidate.version, VERDICT, self.text)


def judge(
    client: MlflowClient, dataset: Dataset, candidate: ModelVersion, stage: str
) -> Verdict | None:
    """Compare a version with the one in a stage; None when there is no other one in it.

    That takes its time: if somebody has put another version there meanwhile, with that one.
    """
    current = registry.in_stage(client, stage)
    while current is not None and current.version != candidate.version:
        verdict = _verdict(client, dataset, candidate, current, stage)
        before, current = current, registry.in_stage(client, stage)
        if current is not None and current.version == before.version:
            return verdict
    return None


def _verdict(
    client: MlflowClient,
    dataset: Dataset,
    candidate: ModelVersion,
    current: ModelVersion,
    stage: str,
) -> Verdict:
    new = tr("version {version}").format(version=candidate.version)
    old = tr("version {version} in {stage}").format(version=current.version, stage=stage)
    try:
        before, now = (measure(client, dataset, each) for each in (current, candidate))
        if not any((*before.right, *now.right)):
            raise BadInput(
                "neither is right on any product of {shown}; give the data set that they were "
                "trained for, --dataset PATH",
                shown=dataset.shown,
            )
    except BadInput as error:
        # Somebody else's model, or one whose files are gone: no ground to replace it on.
        text = tr("{new} cannot be compared with {old}: {error}")
        return Verdict(False, text.format(new=new, old=old, error=error))
    reasons = worse(before, now)
    verdict = tr("{new} is worse than {old}") if reasons else tr("{new} is no worse than {old}")
    text = verdict.format(new=new, old=old)
    if reasons:
        text += f" ({'; '.join(reasons)})"
    missing = gaps("hold-out", before.evaluation.counts)
    if missing:
        text += tr("; its figures cannot tell much: {missing}").format(missing=missing)
    holdout = tr("the hold-out of {shown}, {products:,} products").format(
        shown=dataset.shown, products=len(before.right)
    )
    return Verdict(not reasons, text, table(before, now, holdout))


def measure(client: MlflowClient, dataset: Dataset, version: ModelVersion) -> Measured:
    """Let a version answer for the hold-out of a data set.

    It is given what it was trained for: without names if its run left them out.

    Raises:
        BadInput: its model cannot be loaded, or does not classify texts.
    """
    holdout = holdout_of(dataset)
    recorded = _recorded(client, version)
    name = tr("version {version}").format(version=version.version)
    with_name = recorded.get(INCLUDE_NAMES, YES) == YES
    texts = [product.text(include_name=with_name) for product in holdout.products]
    truth = [product.category for product in holdout.products]
    with tempfile.TemporaryDirectory(prefix="modelo-") as folder:
        model = LoadedModel(f"models:/{version.name}/{version.version}", name, folder)
        answers = model.answers(texts)
    return Measured(
        name,
        evaluate(truth, answers, dataset.categories),
        right=list(map(eq, answers, truth)),
        same_holdout=recorded.get(HOLDOUT_DIGEST) == holdout.digest,
        categories=model.categories(),
    )


def _recorded(client: MlflowClient, version: ModelVersion) -> dict[str, str]:
    """What a version says of itself, and for the rest its run: the web page sets no tags."""
    recorded: dict[str, str] = {}
    if version.run_id:
        with suppress(MlflowException):
            run = client.get_run(version.run_id)
            recorded = run.data.params | run.data.tags
    return recorded | version.tags


def mcnemar(only_current: int, only_candidate: int) -> float:
    """How likely a difference at least as large is between two equally good models.

    McNemar's exact test: of the products on which just one is right, half would fall to each.
    Source: Q. McNemar, Psychometrika 12 (1947), 153-157; the exact form is the two-sided
    binomial test.
    """
    disputed = only_current + only_candidate
    return float(binomtest(only_candidate, disputed, 0.5).pvalue) if disputed else 1.0
