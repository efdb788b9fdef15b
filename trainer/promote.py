#!/usr/bin/env python3
"""Move a version, if it is no worse: `python trainer/promote.py --version 2 --to Production`."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from produtos import command

REFUSED = 1
"""Exit code when the version is worse than the one that it would replace."""


def main() -> None:
    """Read the command line, compare, and move or refuse."""
    from produtos.parameters import Parser, add_arguments, parse_yes_or_no

    parser = Parser(description="Move a version of the registered model to a stage.")
    parser.add_argument(
        "--version", default="", metavar="NUMBER", help="which version to move (not a roll-back)"
    )
    parser.add_argument(
        "--to",
        default="Production",
        metavar="Production|Staging|None|Archived",
        help="(default: Production)",
    )
    parser.add_argument("--reason", default="", help="why; kept with the version")
    for name, help_text in (
        ("force", "move it even if it is worse"),
        ("rollback", "go back to the version that was there before"),
        ("dry-run", "say what would be done, and do nothing"),
    ):
        # `mlflow run -P force=sim` gives a word, a hand on the keyboard just the flag.
        spellings = dict.fromkeys([f"--{name}", f"--{name.replace('-', '_')}"])
        parser.add_argument(
            *spellings,
            nargs="?",
            const=True,
            default=False,
            type=parse_yes_or_no,
            metavar="sim|não",
            help=help_text,
        )
    add_arguments(parser, ["dataset"])
    given = parser.parse_args()
    _check(given)
    if given.rollback:
        _roll_back(given)
    else:
        _promote(given)


def _check(given: argparse.Namespace) -> None:
    from produtos.errors import BadInput

    stages = {stage.casefold(): stage for stage in ("None", "Staging", "Production", "Archived")}
    stage = stages.get(given.to.strip().casefold())
    if stage is None:
        raise BadInput(f"--to {given.to}: must be Production, Staging, None or Archived")
    given.to = stage
    if given.rollback and given.version:
        raise BadInput("--rollback finds the version by itself; leave --version out")
    if not given.rollback and not (given.version.isascii() and given.version.isdigit()):
        said = f"--version {given.version}" if given.version else "no version is given"
        raise BadInput(f"{said}: name one by its number, such as --version 2, or use --rollback")


def _roll_back(given: argparse.Namespace) -> None:
    from produtos.registry import stage_change
    from produtos.runs import tracking

    client = tracking.reach_registry()
    if given.dry_run:
        leaving, coming = stage_change.plan_roll_back(client, given.to)
        print(f"would put version {coming.version} back into {given.to}, for {leaving.version}")
        return
    leaving, coming = stage_change.roll_back(client, given.to, given.reason)
    print(f"version {coming.version} is back in {given.to}; version {leaving.version} is archived")


def _promote(given: argparse.Namespace) -> None:
    from produtos.data import dataset
    from produtos.errors import BadInput
    from produtos.registry import registry, stage_change
    from produtos.runs import tracking

    number = str(int(given.version))
    data = dataset.load(given.dataset) if given.to in stage_change.SERVED else None
    client = tracking.reach_registry()
    version = stage_change.find(client, number)
    current = registry.in_stage(client, given.to) if data else None
    forced = False
    if data is not None and current is not None and current.version != version.version:
        # Imports scikit-learn: only when there is something to compare.
        from produtos.registry import comparison as holdouts

        print(f"on the hold-out of {data.where}:", flush=True)
        before = holdouts.measure(client, data, current)
        after = holdouts.measure(client, data, version)
        for each in (before, after):
            if not each.same_holdout:
                print(
                    f"version {each.version} was registered with figures of another hold-out, or "
                    "with none: it was measured again on this one"
                )
        comparison = holdouts.compare(before, after)
        print(comparison.table(), flush=True)
        if not (any(before.right) or any(after.right) or given.force):
            raise BadInput(
                f"neither version is right on any product of {data.where}: give the data set that "
                "they were trained for, --dataset PATH; --force moves it all the same"
            )
        if comparison.worse and not given.force:
            print(
                f"promote.py: refused: version {number} is worse than version {current.version} "
                f"in {given.to} ({', '.join(comparison.worse)}); --force moves it all the same",
                file=sys.stderr,
            )
            raise SystemExit(REFUSED)
        forced = bool(comparison.worse)
    others = [
        str(each.version)
        for each in registry.versions(client)
        if data is not None and each.current_stage == given.to and each.version != version.version
    ]
    if given.dry_run:
        stays = version.current_stage == given.to
        doing = (
            f"leave version {number} in"
            if stays
            else f"move version {number} from {version.current_stage} to"
        )
        print(f"would {doing} {given.to}{_archived(others, 'would be')}")
        return
    stage_change.move(client, version, given.to, given.reason, forced=forced)
    print(_said(number, str(version.current_stage), given.to, others))


def _said(number: str, was: str, stage: str, replaced: list[str]) -> str:
    if was == stage:
        return f"version {number} was in {stage} already{_archived(replaced)}"
    said = f"version {number} moved from {was} to {stage}{_archived(replaced)}"
    if was in ("Production", "Staging"):
        said += f"; no version is in {was} now"
    return said


def _archived(numbers: list[str], verb: str = "") -> str:
    if not numbers:
        return ""
    which = "version" if len(numbers) == 1 else "versions"
    verb = verb or ("is" if len(numbers) == 1 else "are")
    return f"; {which} {', '.join(numbers)} {verb} archived"


if __name__ == "__main__":
    command.run(main)
