#!/usr/bin/env python3
"""Everybody's place in a class: `make class STUDENTS=students.txt`, and `make class-status`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import TYPE_CHECKING

from produtos import command
from produtos.errors import BadInput
from produtos.language import tr

if TYPE_CHECKING:
    from produtos.registry.classroom import Place, Progress


def main() -> None:
    """Read the command line, and do one of the two."""
    from produtos.parameters import Parser
    from produtos.registry import classroom
    from produtos.runs import tracking

    parser = Parser(
        description=tr("Make a place for each student that standard input names, one a line.")
    )
    parser.add_switch("status", tr("show how far each one is, and make nothing"))
    parser.add_switch(
        "logins", tr("leave marks where a password and a token belong; `make class` fills them in")
    )
    parser.add_argument(
        "--address",
        default="http://localhost:5000",
        metavar="URL",
        help=tr("MLflow's, as the students reach it"),
    )
    parser.add_argument(
        "--api",
        default="http://localhost:8081",
        metavar="URL",
        help=tr("the class's hotserve, as the students reach it"),
    )
    given = parser.parse_args()
    address, api = given.address.rstrip("/"), given.api.rstrip("/")
    if given.status:
        client = tracking.reach_registry()
        if not (there := classroom.places()):
            raise BadInput("there is no place yet: make class STUDENTS=students.txt")
        if not classroom.api_answers(api):
            print(
                tr(
                    "no API answers at {api}: make class-api starts the class's, or in containers "
                    "make up, with compose.class.yml in COMPOSE_FILE"
                ).format(api=api),
                file=sys.stderr,
            )
            api = ""
        _show([classroom.progress(client, place, api) for place in there])
        return
    if isinstance(sys.stdout, TextIOWrapper):
        # Into a file, most likely.
        sys.stdout.reconfigure(encoding="utf-8")
    places = classroom.read(sys.stdin.read().splitlines())
    for place in classroom.make(tracking.reach(), places):
        print(_hand_out(place, address, api, logins=given.logins))


def _hand_out(place: Place, address: str, api: str, *, logins: bool) -> str:
    """What a student gets: Markdown, with what to paste first."""
    variables = {
        "MLFLOW_TRACKING_URI": address,
        "MLFLOW_EXPERIMENT_NAME": place.name,
        "REGISTERED_MODEL_NAME": place.name,
    }
    token = ""
    if logins:
        # Of server/accounts.py and deploy/team/tokens.sh.
        has_one = tr("the-one-you-have")
        variables["MLFLOW_TRACKING_USERNAME"] = place.name
        variables["MLFLOW_TRACKING_PASSWORD"] = (
            f"{{password|{place.name}|{place.experiment_id}|{has_one}}}"
        )
        token = f" -H 'Authorization: Bearer {{token|{place.name}|{has_one}}}'"
    shell = "\n".join(f"export {name}={value}" for name, value in variables.items())
    powershell = "\n".join(f"$env:{name} = '{value}'" for name, value in variables.items())
    own = f"{api}/models/{place.name}/"
    addresses = {
        tr("your runs"): f"{address}/#/experiments/{place.experiment_id}/runs",
        tr("your model"): f"{address}/#/models/{place.name}",
        tr("your API, once a version of it is in Production"): own,
        tr("ask it (in PowerShell: curl.exe)"): (
            f"`curl {own}invocations{token} -H 'Content-Type: text/csv' -d 'boneca de pano'`"
        ),
    }
    return "\n".join(
        (
            f"# {place.student}\n",
            tr("Paste this first, in each new terminal:"),
            f"\n```sh\n{shell}\n```\n\n```powershell\n{powershell}\n```\n",
            *(f"- {what}: {where}" for what, where in addresses.items()),
            "",
        )
    )


def _show(everyone: Sequence[Progress]) -> None:
    heads = (
        tr("student"),
        tr("runs"),
        tr("failed"),
        tr("best"),
        tr("versions"),
        tr("in Production"),
        tr("answers"),
        tr("last error"),
    )
    rows = [tuple(map(_shown, one)) for one in everyone]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        name, *figures, error = map(str.rjust, row, widths)
        # Texts begin alike, figures end alike.
        print("  ".join((name.strip().ljust(widths[0]), *figures, error.strip())).rstrip())


def _shown(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    command.run(main)
