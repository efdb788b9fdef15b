"""What is wrong with a body to which MLflow answers 500, where it is the client's to mend.

MLflow's server takes only some errors of the parsers for the client's; at others (JSON that is
nested too deeply, a number that is too long, names of columns that are no names) it fails. A look
at the whole body after that costs nothing to the requests that go well.
"""

import json
import sys
from typing import Any

_MARGIN = 100
"""Levels of calls that MLflow's server may be deeper in than we are when it reads the body."""


def why(content_type: bytes, body: bytes) -> str | None:
    """What to tell the client; None if the body is one that a model can be asked with."""
    kind = content_type.split(b";")[0].strip().lower()
    if kind != b"application/json":
        return None
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(limit - _MARGIN)
        request = json.loads(body)
    except RecursionError:
        return "the JSON is nested too deeply"
    except ValueError as error:
        return f"the JSON can't be read: {str(error).partition(';')[0]}"
    finally:
        sys.setrecursionlimit(limit)
    return _wrong_columns(request)


def _wrong_columns(request: Any) -> str | None:
    split = request.get("dataframe_split") if isinstance(request, dict) else None
    columns = split.get("columns") if isinstance(split, dict) else None
    if columns is None or (
        isinstance(columns, list) and not any(isinstance(name, dict | list) for name in columns)
    ):
        return None
    return "'columns' of dataframe_split must be a list of names"
