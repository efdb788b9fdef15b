#!/usr/bin/env python3
"""Ten runs, the best one registered: `python trainer/sweep.py`, or `mlflow run trainer -e sweep`.

`--first` does so only when there is no version yet, and goes on where it was cut off.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from produtos import command


def main() -> None:
    """Read the parameters and the data set, then train, compare, register and place."""
    options = _parse()

    from produtos import check
    from produtos.data import dataset
    from produtos.parameters import Parameters

    common = Parameters(
        strip_accents=options.strip_accents,
        classifier=options.classifier,
        dataset=options.dataset,
    )
    if options.check_only:
        data = dataset.load(common.dataset)
        check.check(data, common)
        print(data.summary())
        return

    if options.first:
        from produtos.registry import registry
        from produtos.runs import first_start, tracking

        # Asks for no experiment: what is served stays, whatever became of the runs.
        client = tracking.reach()
        version = first_start.existing_version(client)
        if version is not None:
            print(
                f"{registry.MODEL_NAME} has a version already: {version.version} "
                f"({version.current_stage}); nothing to train"
            )
            if first_start.is_new_to_all(client, common.dataset):
                print(
                    f"no version was trained on {common.dataset}: sweep.py --dataset trains on "
                    "it, as another version; a stack of its own makes it the first one"
                )
            return

    data = dataset.load(common.dataset)
    print(f"{data.shown}: {data.summary()}", flush=True)
    check.check(data, common)

    from produtos.registry import registry
    from produtos.runs import tracking

    # Before the imports below, which take their time.
    tracker = tracking.connect()

    from produtos.runs import sweep as sweeping

    resumed = first_start.interrupted_attempt(tracker, data, common) if options.first else None
    done = sweeping.sweep(
        tracker,
        data,
        common,
        promote=options.promote,
        say=lambda line: print(line, flush=True),
        resumed=resumed,
        first=options.first,
    )
    print(f"\n{sweeping.table(done.outcomes)}\n")
    placed = done.placed
    print(
        f"best: {done.outcomes[0].parameters.run_name()}, registered as {registry.MODEL_NAME} "
        f"version {placed.version}, {placed.stage}"
    )
    if placed.note:
        print(placed.note)


def _parse() -> argparse.Namespace:
    from produtos.parameters import Parser, add_arguments, parse_yes_or_no

    parser = Parser(description="Train ten classifiers, register the best one, and place it.")
    add_arguments(parser, ["strip_accents", "classifier", "dataset"])
    parser.add_argument(
        "--promote",
        type=parse_yes_or_no,
        nargs="?",
        default=False,
        const=True,
        metavar="sim|não",
        help="move the best one to Production if it is no worse than what is there (default: não)",
    )
    parser.add_argument(
        "--first",
        action="store_true",
        help="only when there is no version yet; goes on where an earlier one was cut off",
    )
    parser.add_argument(
        "--check-only", action="store_true", help="only check the data set, and quickly"
    )
    return parser.parse_args()


if __name__ == "__main__":
    command.run(main)
