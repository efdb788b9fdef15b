#!/usr/bin/env python3
"""Back to the first version, without what was made since: `make reset VERSION=1`."""

import sys

from produtos import command
from produtos.language import tr


def main() -> None:
    """Say what goes, ask, and do it."""
    from produtos.errors import BadInput
    from produtos.parameters import Parser
    from produtos.registry import first_version, registry
    from produtos.runs import tracking

    parser = Parser(description=tr("Go back to version 1: later versions and runs are deleted."))
    parser.add_switch("yes", tr("do not ask"))
    given = parser.parse_args()
    client = tracking.reach_registry()
    version = first_version.find(client)
    print(
        tr(
            "version 1 of {name} stays, in Production; deleted: {versions} later versions, {runs} "
            "later runs"
        ).format(
            name=registry.MODEL_NAME,
            versions=sum(str(each.version) != "1" for each in registry.versions(client)),
            runs=len(first_version.later_runs(client, version)),
        )
    )
    if not given.yes:
        if not sys.stdin.isatty():
            raise BadInput(
                "nothing was deleted: nobody was there to ask; --yes answers, with make FORCE=yes"
            )
        try:
            answer = input(tr("type yes to go on: "))
        except EOFError:
            # Ctrl-D leaves the cursor behind the question.
            answer = ""
            print()
        if answer.strip().casefold() != tr("yes"):
            raise BadInput("nothing was deleted")
    first_version.restore(client, version)
    print(tr("version 1 is in Production; what is registered next is version 2"))


if __name__ == "__main__":
    command.run(main)
