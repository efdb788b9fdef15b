#!/usr/bin/env python3
"""Move a version, if it is no worse: `python trainer/promote.py --version 2 --to Production`."""

import argparse
import sys

from produtos import command

REFUSED = 1
"""Exit code when the version is worse than the one that it would replace."""


def main() -> None:
    """Read the command line, compare, and move or refuse."""
    from produtos.parameters import Parser, add_arguments

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
    parser.add_switch("force", "move it even if it is worse")
    parser.add_switch("rollback", "go back to the version that was there before")
    parser.add_switch("dry_run", "say what would be done, and do nothing")
    add_arguments(parser, ["dataset"])
    given = parser.parse_args()
    _check(given)
    (_roll_back if given.rollback else _promote)(given)


def _check(given: argparse.Namespace) -> None:
    from produtos.errors import BadInput
    from produtos.registry.reference import stage_named

    written, given.to = given.to, stage_named(given.to)
    if given.to is None:
        raise BadInput(f"--to {written}: must be Production, Staging, None or Archived")
    if given.rollback and given.version:
        raise BadInput("--rollback finds the version by itself; leave --version out")
    if not given.rollback and not (given.version.isascii() and given.version.isdigit()):
        option = f"--version {given.version}" if given.version else "no version is given"
        raise BadInput(f"{option}: name one by its number, such as --version 2, or use --rollback")


def _roll_back(given: argparse.Namespace) -> None:
    from produtos.registry import stage_change
    from produtos.runs import tracking

    client = tracking.reach_registry()
    if given.dry_run:
        leaving, returning = stage_change.plan_roll_back(client, given.to)
        print(f"would put version {returning.version} back into {given.to}, for {leaving.version}")
        return
    leaving, returning = stage_change.roll_back(client, given.to, given.reason)
    print(
        f"version {returning.version} is back in {given.to}; version {leaving.version} is archived"
    )


def _promote(given: argparse.Namespace) -> None:
    from produtos.data import dataset
    from produtos.errors import BadInput
    from produtos.registry import reference, registry, stage_change
    from produtos.runs import tracking

    stage = given.to
    data = dataset.load(given.dataset) if stage in registry.SERVED else None
    client = tracking.reach_registry()
    version = reference.find(client, given.version)
    number, was = str(version.version), str(version.current_stage)
    replaced = [
        str(each.version)
        for each in registry.versions(client)
        if data is not None and each.current_stage == stage and each.version != version.version
    ]
    forced = False
    if data is not None and replaced:
        # Imports scikit-learn: only when there is something to compare.
        from produtos.registry.comparison import judge

        verdict = judge(client, data, version, stage)
        if verdict is not None:
            if not given.dry_run:
                verdict.save(client, version)
            if verdict.comparison:
                print(verdict.comparison.table(), flush=True)
            if not verdict.allowed and not given.force:
                line = f"{verdict.text}; --force moves it all the same"
                if verdict.comparison is None:
                    raise BadInput(line)
                print(f"promote.py: refused: {line}", file=sys.stderr)
                raise SystemExit(REFUSED)
            print(verdict.text)
            forced = not verdict.allowed
    if given.dry_run:
        how = (
            f"leave version {number} in" if was == stage else f"move version {number} from {was} to"
        )
        print(f"would {how} {stage}{_archived(replaced, 'would be')}")
        return
    stage_change.move(client, version, stage, given.reason, forced=forced)
    if was == stage:
        print(f"version {number} was in {stage} already{_archived(replaced)}")
    else:
        left = f"; no version is in {was} now" if was in registry.SERVED else ""
        print(f"version {number} moved from {was} to {stage}{_archived(replaced)}{left}")


def _archived(numbers: list[str], verb: str = "") -> str:
    if not numbers:
        return ""
    which = "version" if len(numbers) == 1 else "versions"
    verb = verb or ("is" if len(numbers) == 1 else "are")
    return f"; {which} {', '.join(numbers)} {verb} archived"


if __name__ == "__main__":
    command.run(main)
