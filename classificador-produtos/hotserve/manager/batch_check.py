"""Finds out whether a model answers rows together as it answers them one by one.

`python -m hotserve.manager.batch_check MODEL PORT KIND` asks the `mlflow models serve` on the
loopback's PORT, which serves the folder MODEL; KIND is that of its `TextInput`. It writes one line
of JSON: `{"forms": […]}`, the forms of request that may go together, or `{"shut": text}`, or
`{"error": text}`, if nothing could be found out.

A process of its own, so that neither a fault nor a slow model holds anybody up.
"""

import http.client
import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hotserve.batching import probes, requests
from hotserve.batching.answers import WrongLength, predictions, same
from hotserve.batching.requests import Part
from hotserve.inputs import model_input
from hotserve.processes.questions import TIMEOUT, Refused, ask

_FORMS_SECONDS = 20.0
"""After which no other form is begun: the model is slow, and its usual forms came first."""
_ALONE_SECONDS = 10.0
"""After which no other row is asked alone."""
_TRIES = 5
_LOSS = 1.5
"""How much longer a joint request takes than its parts side by side where it is no good."""

NOT_KNOWN = (
    "there is nothing to compare: it has no input example in rows, and no signature that rows "
    "could be made from; log it with input_example=… and signature=infer_signature(…)"
)


class Shut(Exception):
    """The rows of this model are to be asked one by one; the text says why."""


def check(model: Path, port: int, kind: str) -> dict[str, Any]:
    """The line to write."""
    try:
        mlmodel = model_input.read_mlmodel(model)
        inputs = model_input.signature(mlmodel).get("inputs", [])
        samples = probes.samples(model, mlmodel, inputs, takes_texts=kind == "texts")
        if samples is None:
            raise Shut(NOT_KNOWN)
        return {"forms": _forms(port, samples, probes.column_types(inputs))}
    except Shut as shut:
        return {"shut": str(shut)}
    except TimeoutError:
        return {"shut": f"it is too slow to be compared: a request took longer than {TIMEOUT:g} s"}
    except (OSError, http.client.HTTPException) as error:
        return {"error": f"the model's process can't be asked: {error!r}"}


def _forms(port: int, samples: probes.Samples, types: dict[str, str]) -> list[str]:
    begun, forms, refusal = time.monotonic(), list[str](), ""
    for form, made in samples.requests().items():
        if forms and time.monotonic() - begun > _FORMS_SECONDS:
            break
        parts = [requests.read(content_type, body, types) for content_type, body in made]
        try:
            alone = _alone(port, [part for part in parts if part and part.form == form])
            count = len(alone)
            _compare(port, alone, range(count), range(count - 1, -1, -1), range(2))
            if not forms:
                _require_gain(port, [part for part, _ in alone])
            # As many as ever go together; and one row again, after all of these.
            _compare(port, alone, range(0, 3 * requests.MOST_ROWS, 3), range(1))
        except (Refused, WrongLength) as error:
            if isinstance(error, WrongLength) and not forms:
                raise Shut(str(error)) from None
            # Most models don't take every form.
            refusal = refusal or str(error)
            continue
        forms.append(form)
    if not forms:
        raise Shut(f"it did not answer rows of its example or signature: {refusal}")
    return forms


def _alone(port: int, parts: Sequence[Part]) -> list[tuple[Part, Any]]:
    """Those of `parts` that are answered by themselves, alike and with their predictions."""
    answered, refusal = list[tuple[Part, Any]](), "there is no row that can be sent in this form"
    begun = time.monotonic()
    for part in parts:
        if len(answered) > 1 and time.monotonic() - begun > _ALONE_SECONDS:
            break
        try:
            answered.append((part, _ask(port, [part])[0]))
        except Refused as error:
            refusal = str(error)
    alike = [pair for pair in answered if pair[0].key == answered[0][0].key]
    if len(alike) < 2:
        raise Refused(refusal if not answered else "fewer than two rows can go together")
    return alike


def _compare(port: int, alone: Sequence[tuple[Part, Any]], *orders: Sequence[int]) -> None:
    """Ask the rows together, in these orders; a number beyond the last row begins again.

    Raises:
        Shut: an answer is another one than that to the row alone.
        WrongLength: there is not one for each row.
    """
    for order in orders:
        asked = [alone[index % len(alone)] for index in order]
        answers = _ask(port, [part for part, _ in asked])
        for (_, expected), answer in zip(asked, answers, strict=True):
            if not same(expected, answer):
                company = f"with {len(asked) - 1} others" if len(asked) > 1 else "asked again"
                raise Shut(
                    "it answers a row otherwise in company than alone: "
                    f"{_short(expected)} alone, {_short(answer)} {company}"
                )


def _require_gain(port: int, parts: Sequence[Part]) -> None:
    """Raise Shut if rows are answered sooner side by side, whenever that is tried.

    One time is not enough: other work on the machine can slow down either.
    """
    parts = [parts[index % len(parts)] for index in range(probes.MOST)]

    def side_by_side() -> None:
        list(pool.map(lambda part: _ask(port, [part]), parts))

    with ThreadPoolExecutor(len(parts)) as pool:
        for _ in range(_TRIES):
            together, apart = _seconds(lambda: _ask(port, parts)), _seconds(side_by_side)
            if together < _LOSS * apart:
                return
    raise Shut(
        f"nothing would be gained: {len(parts)} rows take it {together * 1000:.0f} ms together "
        f"and {apart * 1000:.0f} ms side by side"
    )


def _seconds(action: Callable[[], object]) -> float:
    begun = time.monotonic()
    action()
    return time.monotonic() - begun


def _short(answer: Any) -> str:
    return ascii(answer)[:120]


def _ask(port: int, parts: Sequence[Part]) -> list[Any]:
    """The predictions for the rows of all parts.

    Raises:
        Refused: the process answered with an error.
        WrongLength: it gave another number of predictions.
    """
    together = f" to {len(parts)} rows together" if len(parts) > 1 else ""
    content = ask(port, parts[0].content_type.decode(), requests.join(parts), together)
    return predictions(content, sum(len(part.rows) for part in parts))


if __name__ == "__main__":
    print(json.dumps(check(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])), flush=True)
