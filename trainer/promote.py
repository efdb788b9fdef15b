#!/usr/bin/env python3
"""Move a version, if it is no worse: `python trainer/promote.py --version 2 --to Production`."""

import argparse
import sys

from produtos import command
from produtos.language import tr

REFUSED = 1
"""Exit code when the version is worse than the one that it would replace."""


def main() -> None:
    """Read the command line, compare, and move or refuse."""
    from produtos.parameters import Parser, add_arguments

    parser = Parser(description=tr("Move a version of the registered model to a stage."))
    parser.add_argument(
        "--version",
        default="",
        metavar="NUMBER",
        help=tr("which version to move (not a roll-back)"),
    )
    parser.add_argument(
        "--to",
        default="Production",
        metavar="Production|Staging|None|Archived",
        help=tr("(default: Production)"),
    )
    parser.add_argument("--reason", default="", help=tr("why; kept with the version"))
    parser.add_switch("force", tr("move it even if it is worse"))
    parser.add_switch("rollback", tr("go back to the version that was there before"))
    parser.add_switch("dry_run", tr("say what would be done, and do nothing"))
    add_arguments(parser, ["dataset"])
    given = parser.parse_args()
    _check(given)
    (_roll_back if given.rollback else _promote)(given)


def _check(given: argparse.Namespace) -> None:
    from produtos.errors import BadInput
    from produtos.registry.reference import stage_named

    written, given.to = given.to, stage_named(given.to)
    if given.to is None:
        raise BadInput(
            "--to {written}: must be Production, Staging, None or Archived", written=written
        )
    if given.rollback and given.version:
        raise BadInput("--rollback finds the version by itself; leave --version out")
    if not given.rollback and not (given.version.isascii() and given.version.isdigit()):
        option = f"--version {given.version}" if given.version else tr("no version is given")
        raise BadInput(
            "{option}: name one by its number, such as --version 2, or use --rollback",
            option=option,
        )


def _roll_back(given: argparse.Namespace) -> None:
    from produtos.registry import stage_change
    from produtos.runs import tracking

    client = tracking.reach_registry()
    leaving, returning = stage_change.roll_back(
        client, given.to, given.reason, dry_run=given.dry_run
    )
    said = (
        tr("would put version {version} back into {to}, for {version2}")
        if given.dry_run
        else tr("version {version} is back in {to}; version {version2} is archived")
    )
    print(said.format(version=returning.version, to=given.to, version2=leaving.version))


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
    forced = False
    there = registry.in_stage(client, stage)
    if data is not None and there is not None and there.version != version.version:
        # Imports scikit-learn: only when there is something to compare.
        from produtos.registry.comparison import judge

        verdict = judge(client, data, version, stage)
        if verdict is not None:
            if not given.dry_run:
                verdict.save(client, version)
            if verdict.table:
                print(verdict.table, flush=True)
            if not verdict.allowed and not given.force:
                line = tr("{text}; --force moves it all the same").format(text=verdict.text)
                if not verdict.table:
                    raise BadInput(line)
                print(tr("promote.py: refused: {line}").format(line=line), file=sys.stderr)
                raise SystemExit(REFUSED)
            print(verdict.text)
            forced = not verdict.allowed
    # What is there now: to compare takes its time.
    replaced = [
        str(each.version)
        for each in registry.versions(client)
        if data is not None and each.current_stage == stage and each.version != version.version
    ]
    if not given.dry_run:
        stage_change.move(client, version, stage, given.reason, forced=forced)
    said = {
        # Whether it is a dry run, and whether the version was there already.
        (True, True): tr("would leave version {number} in {stage}{archived}"),
        (True, False): tr("would move version {number} from {was} to {stage}{archived}"),
        (False, True): tr("version {number} was in {stage} already{archived}"),
        (False, False): tr("version {number} moved from {was} to {stage}{archived}{left}"),
    }
    archived = {
        (True, 1): tr("; version {numbers} would be archived"),
        (True, 2): tr("; versions {numbers} would be archived"),
        (False, 1): tr("; version {numbers} is archived"),
        (False, 2): tr("; versions {numbers} are archived"),
    }.get((given.dry_run, min(len(replaced), 2)), "")
    left = tr("; no version is in {was} now").format(was=was) if was in registry.SERVED else ""
    print(
        said[given.dry_run, was == stage].format(
            number=number,
            was=was,
            stage=stage,
            archived=archived.format(numbers=", ".join(replaced)),
            left=left,
        )
    )


if __name__ == "__main__":
    command.run(main)
