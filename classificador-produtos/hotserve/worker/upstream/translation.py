"""What the model's process is sent for a request: products become MLflow's JSON."""

from typing import NamedTuple

from hotserve.inputs import csv, json_tables
from hotserve.inputs.bodies import CsvError
from hotserve.inputs.mlflow_json import to_json
from hotserve.inputs.model_input import TEXTS
from hotserve.ipc.messages import Target
from hotserve.worker.errors import RequestError
from hotserve.worker.fast_lane import LARGEST_JSON, SLICE

_CSV, _JSON = b"text/csv", b"application/json"
_MISDECLARED = (
    "this model can't answer: it is a pipeline that begins with a text vectorizer, and its "
    "signature names a column, so that it is given a table, of which it reads the columns' names; "
    "log it without a signature, or with a step in front that takes the column"
)


class Translated(NamedTuple):
    """What to send.

    Attributes:
        rows: how many answers there must be; None where only the process can tell.
    """

    content_type: bytes
    body: bytes
    rows: int | None = None


def translate(target: Target, content_type: bytes, body: bytes, csv_means: str) -> Translated:
    """Products as JSON; everything else, and other models' tables, as it came.

    Args:
        csv_means: the setting `--csv`.

    Raises:
        RequestError: 400, it can't be read as products; 500, the model can't answer anything.
    """
    text_input = target.text_input
    kind, *parameters = (part.strip().lower() for part in content_type.split(b";"))
    as_it_came = Translated(content_type, body)
    is_csv = kind == _CSV and csv_means != "table"
    if is_csv and csv_means == "text" and not text_input.columns:
        text_input = TEXTS
    # MLflow answers 415 to any parameter but this one, and to other types.
    if any(p != b"charset=utf-8" for p in parameters) or kind not in (_CSV, _JSON):
        return as_it_came
    if text_input.kind == "table":
        return as_it_came
    if text_input.kind == "misdeclared":
        raise RequestError(500, _MISDECLARED)
    try:
        if is_csv:
            parts = csv.read(body, text_input.columns, SLICE)
            return Translated(_JSON, *to_json(parts, text_input))
        if kind == _JSON and len(body) <= LARGEST_JSON:
            return Translated(content_type, *json_tables.translate(body, text_input))
    except CsvError as error:
        raise RequestError(400, str(error)) from None
    return as_it_came
