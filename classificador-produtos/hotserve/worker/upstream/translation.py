"""What the model's process is sent for a request: text/csv of products becomes MLflow's JSON."""

from __future__ import annotations

from hotserve.inputs import csv as csv_body
from hotserve.inputs import mlflow_json
from hotserve.inputs.model_input import TEXTS, UNKNOWN
from hotserve.ipc.messages import Target
from hotserve.worker.errors import RequestError
from hotserve.worker.fast_lane import LARGE_CSV

_JSON = b"application/json"


def translate(target: Target, content_type: bytes, body: bytes, csv: str) -> tuple[bytes, bytes]:
    """CSV of products as JSON; everything else, and other models' CSV, as it came.

    Args:
        csv: the setting `--csv`.

    Returns:
        The content type and the body to send.

    Raises:
        RequestError: 400, it can't be read as products.
    """
    kind, *parameters = (part.strip().lower() for part in content_type.split(b";"))
    # MLflow answers 415 to any parameter but this one.
    if kind != b"text/csv" or any(p != b"charset=utf-8" for p in parameters):
        return content_type, body
    wanted = target.text_input
    if csv != "auto":
        if csv == "table":
            return content_type, body
        wanted = wanted if wanted.kind == "columns" else TEXTS
    if wanted.kind == "table":
        return content_type, body
    if wanted.kind == "columns" and csv_body.is_stock_table(body, wanted.columns):
        return content_type, body
    if wanted == UNKNOWN and csv_body.is_table_of_numbers(body):
        return content_type, body
    try:
        if len(body) > LARGE_CSV:
            return _JSON, mlflow_json.large_to_json(body, wanted)
        return _JSON, mlflow_json.to_json(csv_body.read(body), wanted)
    except csv_body.CsvError as error:
        raise RequestError(400, str(error)) from None
