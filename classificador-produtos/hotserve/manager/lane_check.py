"""Compares the fast lane with the model's own process.

`python -m hotserve.manager.lane_check FILE PORT` asks the probes of a compiled FILE of the
`mlflow models serve` on the loopback's PORT, and writes one line of JSON:
`{"forms": […], "checksum": …}`, the forms in which all answers are equal and which FILE gave them,
or `{"difference": {"text": …, "lane": …, "model": …}}`, or `{"error": text}`.

A process of its own, so that neither a fault nor a long text there holds anybody up.
"""

import http.client
import json
import sys
from collections.abc import Sequence
from typing import Any

from hotserve.inputs import json_forms as lane_forms
from hotserve.inputs.columns import CATEGORY, PROBABILITIES
from hotserve.lane import Lane, LaneError
from hotserve.lane.probes import Difference, compare, read_probes
from hotserve.processes.questions import Refused, ask

_ONE_BY_ONE = 24
"""Probes that are asked alone, too: a model may do otherwise with one text than with many."""


def check(file: str, port: int) -> dict[str, Any]:
    """The line to write, for a compiled file and the process on `port`."""
    try:
        lane = Lane(file)
        probes = read_probes(file)
    except (LaneError, OSError, ValueError) as error:
        return {"error": str(error)}
    forms = []
    refusal, first = "", None
    for form in lane_forms.ALL:
        try:
            difference = _compared(lane, port, form, probes)
        except Refused as error:
            # A model that does not take this form is none the worse; but one it must.
            refusal = refusal or f"the model's process answered {error}"
            continue
        except (OSError, http.client.HTTPException, ValueError) as error:
            return {"error": f"the model's process can't be asked: {error!r}"}
        if difference is None:
            forms.append(form)
        else:
            first = first or difference
            if form == lane_forms.INPUTS:
                break
    if not forms:
        if first is None:
            return {"error": refusal}
        # The guard passes on lines of up to 2,000 bytes.
        texts = {"text": first.text[:80], "lane": first.lane[:150], "model": first.model[:150]}
        return {"difference": texts}
    if lane.has_probabilities:
        for form in map(lane_forms.with_probabilities, tuple(forms)):
            # Most models give none, in whatever form.
            if not _same_probabilities(lane, port, form, probes):
                break
            forms.append(form)
    return {"forms": forms, "checksum": lane.checksum}


def _compared(lane: Lane, port: int, form: str, probes: Sequence[str]) -> Difference | None:
    alone = probes[:: max(1, len(probes) // _ONE_BY_ONE)]
    for asked in (probes, *([probe] for probe in alone)):
        body, texts = lane_forms.request(form, asked)
        difference = compare(lane, texts, _predictions(port, body))
        if difference is not None:
            return difference
    return None


def _same_probabilities(lane: Lane, port: int, form: str, probes: Sequence[str]) -> bool:
    body, texts = lane_forms.request(form, probes)
    try:
        answers = _predictions(port, body)
        names = [str(label) for label in lane.classes]
        fields = [CATEGORY, PROBABILITIES]
        if not all(list(answer) == fields for answer in answers):
            return False
        if not all(list(answer[PROBABILITIES]) == names for answer in answers):
            return False
        labels = [answer[CATEGORY] for answer in answers]
        chances = [list(answer[PROBABILITIES].values()) for answer in answers]
        best = [names[each.index(max(each))] for each in chances]
        return best == labels and compare(lane, texts, labels, chances) is None
    except (Refused, OSError, http.client.HTTPException, ValueError, TypeError, AttributeError):
        # Most models give none, or in another way: those requests go to the process.
        return False


def _predictions(port: int, body: dict[str, Any]) -> Any:
    answer = ask(port, "application/json", json.dumps(body).encode(), " to the probes")
    decoded = json.loads(answer)
    return decoded.get("predictions") if isinstance(decoded, dict) else None


if __name__ == "__main__":
    print(json.dumps(check(sys.argv[1], int(sys.argv[2]))), flush=True)
