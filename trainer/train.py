#!/usr/bin/env python3
"""One run: `python trainer/train.py --test-size 0.2`, or `mlflow run trainer -P test_size=0.2`."""

from produtos import command
from produtos.language import tr


def main() -> None:
    """Read the parameters and the data set, then train, evaluate and record one run."""
    from produtos.parameters import Parameters, Parser, add_arguments

    parser = Parser(description=tr("Train, evaluate and record one product classifier."))
    add_arguments(parser, ["test_size", "include_names", "strip_accents", "classifier", "dataset"])
    parameters = Parameters(**vars(parser.parse_args()))

    from produtos.data import dataset

    data = dataset.load(parameters.dataset)
    print(f"{data.shown}: {data.summary()}", flush=True)

    # The heavy imports come after what can be refused without them.
    from produtos.runs import tracking

    tracking.reach()

    from produtos.data import split
    from produtos.runs import training, view

    split.split(data, test_size=parameters.test_size, include_names=parameters.include_names)
    tracker = tracking.connect()
    view.share(tracker)
    name = parameters.run_name()
    with tracking.running(tracker, name, run_id=tracking.project_run_id()) as run:
        outcome = training.train_and_record(tracker, run, data, parameters)
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


if __name__ == "__main__":
    command.run(main)
