#!/usr/bin/env python3
"""Ten runs, the best one registered: `python trainer/sweep.py`, or `mlflow run trainer -e sweep`.

`--first` does so only when there is no version yet, and goes on where it was cut off.
"""

import argparse
from contextlib import nullcontext

from produtos import command
from produtos.language import tr
from produtos.spark.master import add_options, master_of

PARAMETERS = ["strip_accents", "classifier", "dataset", "alpha", "ngrams"]
"""What all runs share, unless the grid has it."""


def main() -> None:
    """Read the parameters and the data set, then train, compare, register and promote."""
    options = _parse()

    from produtos import check
    from produtos.data import dataset
    from produtos.grid import grid, parse_grid
    from produtos.parameters import Parameters

    axes = parse_grid(" ".join(options.grid))
    common = Parameters(**{name: getattr(options, name) for name in PARAMETERS})
    if options.first and not options.check_only and _is_made(common.dataset):
        return
    data = dataset.load(common.dataset)
    shown = "" if options.check_only else f"{data.shown}: "
    print(f"{shown}{data.summary}", flush=True)
    check.check(data, grid(common, axes))
    if options.check_only:
        return

    from produtos.registry import first_start, promotion, registry
    from produtos.runs import tracking

    # Before the import below, which takes its time.
    tracker = tracking.connect()

    from produtos.runs import sweep as sweeping
    from produtos.runs import view
    from produtos.runs.sweep_on_spark import TRIES
    from produtos.spark.session import running

    master = master_of(options)
    view.share(tracker)
    resumed = first_start.interrupted_sweep(tracker, data, common, axes) if options.first else None
    with (
        running(master, tries=TRIES) if master else nullcontext() as spark,
        sweeping.sweep(
            tracker,
            data,
            common,
            resumed=resumed,
            first=options.first,
            spark=spark,
            axes=axes,
        ) as done,
    ):
        version = promotion.register(tracker.client, data, done, first=options.first)
        stage, verdict = promotion.choose_stage(
            tracker.client, data, version, promote=options.promote
        )
    print(f"\n{sweeping.table(done.outcomes, axes)}\n")
    print(
        tr("best: {described}, registered as {model} version {version}, {stage}").format(
            described=done.outcomes[0].parameters.described(axes),
            model=registry.MODEL_NAME,
            version=version.version,
            stage=stage,
        )
    )
    if not options.first and (address := view.address(tracker)):
        print(tr("compare: {address}").format(address=address))
    if done.outcomes[0].gaps:
        print(tr("its figures cannot tell much: {gaps}").format(gaps=done.outcomes[0].gaps))
    if verdict is not None:
        table = f"{verdict.table}\n" if verdict.table else ""
        line = verdict.text
        if not verdict.allowed:
            line = tr(
                "not promoted: {text}; promote.py --version {version} --force moves it all the same"
            ).format(text=line, version=version.version)
        print(f"{table}{line}")


def _is_made(source: str) -> bool:
    """Whether there is a version already; says which."""
    from produtos.registry import first_start, registry
    from produtos.runs import tracking

    # Asks for no experiment: what is served stays, whatever became of the runs.
    client = tracking.reach()
    version = first_start.existing_version(client)
    if version is None:
        return False
    print(
        tr("{model} has a version already: {version} ({current_stage}); nothing to train").format(
            model=registry.MODEL_NAME,
            version=version.version,
            current_stage=version.current_stage,
        )
    )
    if first_start.is_untrained(client, source):
        print(
            tr(
                "no version was trained on {source}: sweep.py --dataset trains on it, as "
                "another version; a stack of its own makes it the first one"
            ).format(source=source)
        )
    return True


def _parse() -> argparse.Namespace:
    from produtos.parameters import Parser, add_arguments

    parser = Parser(description=tr("Train ten classifiers, register the best one, and promote it."))
    add_arguments(parser, PARAMETERS)
    parser.add_argument(
        "--grid",
        nargs="+",
        default=[],
        metavar="NAME=VALUE,VALUE",
        help=tr(
            "in place of the ten runs each value of a parameter with each of the others, such as "
            "classifier=naive_bayes,logistic_regression alpha=0.1,1 ngrams=1,2"
        ),
    )
    best = tr("move the best one to Production if it is no worse than what is there (default: não)")
    parser.add_switch("promote", best)
    first = tr("only when there is no version yet; goes on where an earlier one was cut off")
    parser.add_argument("--first", action="store_true", help=first)
    check_only = tr("only check the data set, and quickly")
    parser.add_argument("--check-only", action="store_true", help=check_only)
    add_options(parser)
    return parser.parse_args()


if __name__ == "__main__":
    command.run(main)
