#!/usr/bin/env python3
"""Everybody's place in a class: `make class STUDENTS=students.txt`, and `make class-status`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from produtos import command
from produtos.language import tr

if TYPE_CHECKING:
    from produtos.registry.classroom import Place, Progress, Served


def main() -> None:
    """Read the command line, and do one of the two."""
    from produtos.parameters import Parser
    from produtos.registry import classroom
    from produtos.runs import tracking

    parser = Parser(
        description=tr("Make a place for each student that standard input names, one a line.")
    )
    parser.add_switch("status", tr("show how far each one is, and make nothing"))
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
        everyone = [classroom.progress(client, place) for place in classroom.places(client)]
        if everyone and not classroom.api_answers(api):
            print(
                tr("no API answers at {api}: make class-api starts it").format(api=api),
                file=sys.stderr,
            )
            _show(everyone, [classroom.Served()] * len(everyone))
        else:
            _show(everyone, [classroom.served(api, one.place) for one in everyone])
        return
    places = classroom.read(sys.stdin.read().splitlines())
    for place in classroom.make(tracking.reach(), places):
        print(_hand_out(place, address, api))


def _hand_out(place: Place, address: str, api: str) -> str:
    """What a student gets: Markdown, with what to paste first."""
    variables = {
        "MLFLOW_TRACKING_URI": address,
        "MLFLOW_EXPERIMENT_NAME": place.name,
        "REGISTERED_MODEL_NAME": place.name,
    }
    shell = "\n".join(f"export {name}={value}" for name, value in variables.items())
    powershell = "\n".join(f"$env:{name} = '{value}'" for name, value in variables.items())
    own = f"{api}/models/{place.name}/"
    ask = f"curl {own}invocations -H 'Content-Type: text/csv' -d 'boneca de pano'"
    return (
        f"# {place.student}\n\n"
        f"{tr('Paste this first, in each new terminal:')}\n\n```sh\n{shell}\n```\n\n"
        f"```powershell\n{powershell}\n```\n\n"
        f"- {tr('your runs')}: {address}/#/experiments/{place.experiment_id}/runs\n"
        f"- {tr('your model')}: {address}/#/models/{place.name}\n"
        f"- {tr('your API, once a version of it is in Production')}: {own}\n"
        f"- {tr('ask it')}: `{ask}`\n"
    )


def _show(everyone: Sequence[Progress], answers: Sequence[Served]) -> None:
    from produtos.errors import BadInput

    if not everyone:
        raise BadInput(tr("there is no place yet: make class STUDENTS=students.txt"))
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
    rows = [
        (
            one.place.student,
            str(one.runs),
            str(one.failed),
            "–" if one.best is None else f"{one.best:.4f}",
            str(one.versions),
            one.production or "–",
            api.version or "–",
            api.error,
        )
        for one, api in zip(everyone, answers, strict=True)
    ]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        name, *figures, error = map(str.rjust, row, widths)
        # Texts begin alike, figures end alike.
        print("  ".join((name.strip().ljust(widths[0]), *figures, error.strip())).rstrip())


if __name__ == "__main__":
    command.run(main)
