"""Training on a table that need not fit into memory: in blocks, each of them read once.

What is to be tested on waits in a file until there is a model.
"""

import json
import pickle
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import IO

from mlflow.entities import Dataset, DatasetInput, InputTag
from sklearn.pipeline import Pipeline
from tqdm import tqdm  # type: ignore[import-untyped]

from produtos.data.dataset import Product, check_categories
from produtos.data.seen import Seen, seen
from produtos.data.split import (
    HOLDOUT,
    TEST,
    TRAIN,
    digest_of,
    in_holdout,
    no_holdout,
    part_of,
    too_few,
)
from produtos.errors import BadInput
from produtos.io.products import Products
from produtos.model import pipeline as model
from produtos.model.counting import MOST_TERMS, TermCounts
from produtos.model.evaluation import Evaluation, evaluate, expected
from produtos.parameters import Parameters
from produtos.runs.training import Trained, texts_of
from produtos.text import normal_form

Texts = tuple[list[str], list[str]]
"""Texts, and the category of each."""

REASONS = ("no_text", "repeated", "in_holdout")
"""Why a product is left out of a run without names, as in `split.Pool`."""

Rows = Mapping[str, Counter[str]]
"""For each part of a split, how many products of each category it has."""


def train(products: Products, parameters: Parameters, most_terms: int = MOST_TERMS) -> Trained:
    """Train and evaluate; nothing is recorded.

    The hold-out is that of `data.split`. Whether a product beside it is tested on is decided by a
    hash, too: the test split is another one than that of a table that is read at once.

    Args:
        products: what has not been read yet; read twice where names are left out.
        parameters: of the run; naive Bayes is what can be counted.
        most_terms: how many terms the model may know.

    Raises:
        BadInput: the table cannot be read, or leaves too little to train or test on.
    """
    untrained = model.build(**parameters.of_model())
    counts = TermCounts(untrained, most_terms)
    rows: Rows = {part: Counter() for part in (TRAIN, TEST, HOLDOUT)}
    digests = dict.fromkeys(rows, 0)
    with tempfile.TemporaryFile() as waiting, seen() as own:
        own_texts = None if parameters.include_names else OwnTexts(products.again(), own)
        for block in own_texts.of(_shown(products)) if own_texts else _shown(products):
            found: dict[str, list[Product]] = {part: [] for part in rows}
            for product in block:
                found[part_of(product, parameters.test_size)].append(product)
            for part, some in found.items():
                rows[part].update(product.category for product in some)
                digests[part] = digest_of(some, digests[part])
            texts = {part: texts_of(some, parameters) for part, some in found.items()}
            counts.add(*texts[TRAIN])
            pickle.dump((texts[TEST], texts[HOLDOUT]), waiting)
        _check(products, parameters, rows, counts.learnable)
        if own_texts and own_texts.holdout != digests[HOLDOUT]:
            raise BadInput(
                "dataset {where}: it has changed while it was read; start again when "
                "nothing writes to it",
                where=products.where,
            )
        pipeline = counts.fit()
        categories = list(products.summary.counts)
        test, holdout = (_evaluate(pipeline, _read(waiting, n), categories) for n in (0, 1))
        to_be_seen = expected(pipeline, (texts for texts, _ in _read(waiting, 1)))
    left_out = own_texts.left_out if own_texts else dict.fromkeys(REASONS, 0)
    return Trained(
        pipeline,
        test,
        holdout,
        to_be_seen,
        products.summary,
        f"{digests[HOLDOUT]:032x}",
        [
            _input(products.where, "produtos", "training", digests[TRAIN], rows[TRAIN]),
            _input(products.where, "holdout", "holdout", digests[HOLDOUT], rows[HOLDOUT]),
        ],
        {
            "rows_train": rows[TRAIN].total(),
            "terms": len(pipeline[0].vocabulary_),
            "terms_forgotten": counts.forgotten,
            **{f"rows_left_out_{reason}": count for reason, count in left_out.items()},
        },
        files={},
    )


class OwnTexts:
    """Products that have a text of their own without their names, as in `data.split.pool_of`.

    Several may have the same. Of those one is kept, and none whose text is also in the hold-out,
    which is read beforehand.

    Args:
        products: what has not been read yet.
        texts: an empty set, for descriptions.

    Attributes:
        left_out: how many products were left out, by reason.
        holdout: the digest of the hold-out.
    """

    def __init__(self, products: Products, texts: Seen) -> None:
        self.left_out = dict.fromkeys(REASONS, 0)
        self.holdout = 0
        self._texts = texts
        for block in _shown(products):
            held_out = list(filter(in_holdout, block))
            self.holdout = digest_of(held_out, self.holdout)
            for product in held_out:
                texts.add(_description(product), "in_holdout")

    def of(self, blocks: Iterable[Sequence[Product]]) -> Iterator[list[Product]]:
        """Those of the blocks that may be used, the hold-out's among them."""
        for block in blocks:
            yield [each for each in block if in_holdout(each) or self._is_kept(each)]

    def _is_kept(self, product: Product) -> bool:
        text = _description(product)
        reason = self._texts.add(text, "repeated") if text else "no_text"
        if reason:
            self.left_out[reason] += 1
        return not reason


def _description(product: Product) -> str:
    return normal_form(product.text(include_name=False))


def _shown(products: Products) -> Iterator[list[Product]]:
    """The blocks, with a bar where somebody sees it."""
    size = products.size or None
    with tqdm(total=size, unit="B", unit_scale=True, disable=None, leave=False) as bar:
        for block in products.blocks():
            yield block
            bar.update(products.position - bar.n)


def _read(waiting: IO[bytes], which: int) -> Iterator[Texts]:
    """The test split (0) or the hold-out (1), block by block."""
    waiting.seek(0)
    with suppress(EOFError):
        while True:
            yield pickle.load(waiting)[which]


def _check(
    products: Products, parameters: Parameters, rows: Rows, learnable: Collection[str]
) -> None:
    """See that there was enough to train on, and to test on.

    Raises:
        BadInput: there was not.
    """
    check_categories(products.summary)
    if not rows[HOLDOUT]:
        raise no_holdout(products.where, products.summary.products)
    beside = rows[TRAIN] + rows[TEST]
    if not rows[TEST] or not beside.keys() <= set(learnable):
        raise too_few(products.where, parameters.test_size, beside.total(), len(beside))


def _evaluate(pipeline: Pipeline, blocks: Iterable[Texts], categories: Sequence[str]) -> Evaluation:
    pairs: Counter[tuple[str, str]] = Counter()
    for texts, truth in blocks:
        if texts:
            pairs.update(zip(truth, pipeline.predict(texts).tolist(), strict=True))
    right, answers = zip(*pairs, strict=True)
    return evaluate(right, answers, categories, list(pairs.values()))


def _input(
    where: str, name: str, purpose: str, digest: int, rows: Mapping[str, int]
) -> DatasetInput:
    """As MLflow makes one of a table in memory."""
    entity = Dataset(
        name=name,
        digest=f"{digest:032x}"[:8],
        source_type="s3" if where.startswith("s3://") else "local",
        source=json.dumps({"uri": where}),
        profile=json.dumps({"num_rows": sum(rows.values())}),
    )
    return DatasetInput(entity, [InputTag("mlflow.data.context", purpose)])
