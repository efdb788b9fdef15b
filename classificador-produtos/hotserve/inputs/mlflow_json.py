"""Products as the JSON that MLflow's server takes."""

import contextlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from hotserve.inputs.columns import whole_text_column
from hotserve.inputs.csv import Products
from hotserve.inputs.model_input import TextInput


def to_json(
    parts: Iterable[Products], wanted: TextInput, others: Mapping[str, Any] | None = None
) -> tuple[bytes, int]:
    """Products as a request in the form that the model takes, and how many they are.

    Args:
        parts: the products; each is made JSON as it comes, to hold little in memory.
        others: more members of the request.
    """
    chunks = []
    count = 0
    for products in parts:
        if items := frame(products, wanted.columns) if wanted.columns else products.texts():
            chunks.append(
                json.dumps(items, ensure_ascii=False)[1:-1].encode(errors="surrogatepass")
            )
            count += len(items)
    data = b", ".join(chunks)
    rest = b"".join(b", " + json.dumps({k: v})[1:-1].encode() for k, v in (others or {}).items())
    if not wanted.columns:
        return b'{"inputs": [%b]%b}' % (data, rest), count
    columns = json.dumps(wanted.columns, ensure_ascii=False).encode()
    return b'{"dataframe_split": {"columns": %b, "data": [%b]}%b}' % (columns, data, rest), count


def error_line(answer: bytes) -> str:
    """The first line of the error in an answer of MLflow's server, or of the answer itself."""
    message = answer.decode("utf-8", "replace")
    with contextlib.suppress(ValueError, TypeError, KeyError):
        message = str(json.loads(answer)["message"])
    return message.strip().partition("\n")[0][:300]


def frame(products: Products, columns: tuple[str, ...]) -> list[list[str]]:
    """The same products as rows of the model's `columns`; what is missing is empty."""
    if products.columns and {*products.columns} <= {*columns}:
        indexes = {name: index for index, name in enumerate(products.columns)}
        return [[row[indexes[c]] if c in indexes else "" for c in columns] for row in products.rows]
    # One column takes the whole text when the model has none of the columns that came.
    target = whole_text_column(columns) or ("nome" if "nome" in columns else columns[0])
    return [[text if c == target else "" for c in columns] for text in products.texts()]
