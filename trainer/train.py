#!/usr/bin/env python3
"""One run: `python trainer/train.py --test-size 0.2`, or `mlflow run trainer -P test_size=0.2`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING

from produtos import command
from produtos.errors import BadInput
from produtos.language import tr

if TYPE_CHECKING:
    from produtos.parameters import Parameters
    from produtos.runs.training import Trained


def main() -> None:
    """Read the parameters and the data set, then train, evaluate and record one run."""
    from produtos.parameters import NAIVE_BAYES, Parameters, Parser, add_arguments

    parser = Parser(description=tr("Train, evaluate and record one product classifier."))
    add_arguments(parser, [field.name for field in fields(Parameters)])
    parameters = Parameters(**vars(parser.parse_args()))
    if parameters.streaming and parameters.classifier != NAIVE_BAYES:
        raise BadInput(
            "--streaming: {classifier} needs all texts at once; leave one of the two out",
            classifier=parameters.classifier,
        )
    train = _in_blocks(parameters) if parameters.streaming else _at_once(parameters)

    from produtos.runs import tracking, training, view

    tracker = tracking.connect()
    view.share(tracker)
    run_id = tracking.project_run_id()
    outcome = training.record(tracker, parameters, train, run_id=run_id)
    figures = "  ".join(f"{name} {value:.4f}" for name, value in outcome.metrics.items())
    if outcome.gaps:
        print(tr("these figures cannot tell much: {gaps}").format(gaps=outcome.gaps))
    print(figures)
    print(
        tr("run {run_id}, model models:/{model_id}").format(
            run_id=outcome.run_id, model_id=outcome.model_id
        )
    )
    if address := view.address(tracker):
        print(tr("compare: {address}").format(address=address))


def _at_once(parameters: Parameters) -> Callable[[], Trained]:
    """What trains on a data set that was read, and that is enough to train on."""
    from produtos.data import dataset

    data = dataset.load(parameters.dataset)
    print(f"{data.shown}: {data.summary}", flush=True)

    # The heavy imports come after what can be refused without them.
    from produtos.runs import tracking

    tracking.reach()

    from produtos.data import split
    from produtos.runs import training

    split.split(data, test_size=parameters.test_size, include_names=parameters.include_names)
    return partial(training.train, data, parameters)


def _in_blocks(parameters: Parameters) -> Callable[[], Trained]:
    """What reads a data set that can be read, trains on it, and says what was in it."""
    from produtos.io.products import open_products

    products = open_products(parameters.dataset)

    from produtos.runs import tracking

    tracking.reach()

    from produtos.runs import streaming

    def train() -> Trained:
        trained = streaming.train(products, parameters)
        print(f"{products.where}: {trained.summary}", flush=True)
        return trained

    return train


if __name__ == "__main__":
    command.run(main)
