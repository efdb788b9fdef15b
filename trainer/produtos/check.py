"""Whether a sweep can be trained on a data set: `python -m produtos.check PATH`, in `trainer`.

Tells in a fraction of a second, before a server is started: without pandas and MLflow, and without
scikit-learn unless a category is so rare that only the splits themselves can tell.
"""

import sys
from collections import Counter
from collections.abc import Sequence

from produtos import command
from produtos.data.dataset import Dataset, load
from produtos.data.split import gaps, holdout_of, pool_of, split
from produtos.grid import grid
from produtos.language import tr
from produtos.parameters import Parameters

_SURE = 50
"""With so many products with a word of each category beside the hold-out, no split can fail."""


def check(dataset: Dataset, runs: Sequence[Parameters]) -> None:
    """Try what every run of a sweep will do to the data set before it trains.

    Raises:
        BadInput: for one of them the data set is too small.
    """
    splits = dict.fromkeys((each.include_names, each.test_size) for each in runs)
    rarest = min(
        min(pool_of(dataset, include_names=include_names).learnable.values())
        for include_names in dict.fromkeys(include_names for include_names, _ in splits)
    )
    if rarest >= _SURE:
        return
    for include_names, test_size in splits:
        split(dataset, test_size=test_size, include_names=include_names)


def main() -> None:
    """Check the data set named on the command line, and print what is in it."""
    dataset = load(sys.argv[1] if len(sys.argv) > 1 else None)
    check(dataset, grid(Parameters()))
    summary = dataset.summary
    print(summary)
    print(summary.category_counts())
    held_out = Counter(product.category for product in holdout_of(dataset).products)
    if missing := gaps("hold-out", {each: held_out[each] for each in dataset.categories}):
        print(tr("figures will not tell much: {missing}").format(missing=missing))


if __name__ == "__main__":
    command.run(main)
