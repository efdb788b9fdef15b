"""The served side of a model: one category per product, whatever form the products come in.

MLflow puts this package on the path of who loads a model as the top-level `product_model`, so it
imports only what a server needs.
"""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST

from .columns import CATEGORY, PART_COLUMNS, TEXT_COLUMNS, fold, text_columns

ACCEPTED = (
    "give a text, a list of texts, or a table with a column texto, or with the columns nome "
    "and/or descricao"
)


class ProductClassifier:
    """What `mlflow.pyfunc.load_model` wraps.

    Attributes:
        pipeline: the scikit-learn pipeline, from texts to categories.
    """

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """One answer per product, in order.

        Args:
            model_input: a text; a list, tuple, Series or array of texts; a list of records; a
                DataFrame or a dict of columns with `texto`, or `informacao`, or `nome` and/or
                `descricao`, or just one column of any name. A missing value is an empty text.
            params: with `probabilities` true, each answer is a dict of `categoria` and
                `probabilidades`, the probability of every category by name.

        Returns:
            An array of categories, shape (products,), or a list of dicts.

        Raises:
            MlflowException: BAD_REQUEST, when the input has another form.
        """
        texts = texts_of(model_input)
        categories = self.pipeline.classes_
        if not (params or {}).get("probabilities"):
            return self.pipeline.predict(texts) if texts else categories[:0]
        if not texts:
            return []
        probabilities = self.pipeline.predict_proba(texts)
        return [
            {
                "categoria": str(categories[row.argmax()]),
                "probabilidades": dict(zip(map(str, categories), row.tolist(), strict=True)),
            }
            for row in probabilities
        ]


def _load_pyfunc(path: str) -> ProductClassifier:
    """What MLflow calls: `path` is the model's skops file.

    Nothing is trusted beyond what skops knows to be safe, so no code in the file can run.
    """
    return ProductClassifier(skops.io.load(path, trusted=[]))


def texts_of(model_input: Any) -> list[str]:
    """The text of each product; see `ProductClassifier.predict`.

    Raises:
        MlflowException: BAD_REQUEST, when the input has another form.
    """
    if isinstance(model_input, str):
        return [model_input]
    if isinstance(model_input, pd.DataFrame):
        return _of_frame(model_input)
    if isinstance(model_input, Mapping):
        return _of_columns(model_input)
    if isinstance(model_input, np.ndarray):
        return _of_array(model_input)
    if isinstance(model_input, pd.Series | pd.Index):
        return _of_sequence(model_input.tolist())
    if isinstance(model_input, Sequence) and not isinstance(model_input, bytes | bytearray):
        return _of_sequence(model_input)
    raise _refusal(f"the input is of type {type(model_input).__name__}")


def _of_sequence(items: Sequence[Any]) -> list[str]:
    if items and all(isinstance(item, Mapping) for item in items):
        return _of_frame(pd.DataFrame.from_records(list(items)))
    return [_text(item, f"item {index}") for index, item in enumerate(items)]


def _of_array(array: np.ndarray[Any, Any]) -> list[str]:
    if array.ndim == 2 and array.shape[1] != 1 and array.size:
        raise _refusal(f"the array has {array.shape[1]} columns without names")
    if array.ndim > 2:
        raise _refusal(f"the array has {array.ndim} dimensions")
    return _of_sequence(array.ravel().tolist())


def _of_columns(columns: Mapping[Any, Any]) -> list[str]:
    lists = {}
    for name, column in columns.items():
        values = (
            column.tolist() if isinstance(column, np.ndarray | pd.Series | pd.Index) else column
        )
        # A record of plain values is one product.
        lists[name] = list(values) if isinstance(values, list | tuple) else [values]
    if len({len(column) for column in lists.values()}) > 1:
        lengths = ", ".join(f"{name} {len(column)}" for name, column in lists.items())
        raise _refusal(f"the columns differ in length ({lengths})")
    return _of_frame(pd.DataFrame(lists, dtype=object))


def _of_frame(frame: pd.DataFrame) -> list[str]:
    names = [fold(str(column)) for column in frame.columns]
    for name in TEXT_COLUMNS:
        if names.count(name) > 1:
            raise _refusal(f"the table has the column {name} twice")
    parts = [_column(frame, names.index(name)) for name in text_columns(names)]
    if len(parts) == 1:
        return parts[0]
    if parts:
        return [" ".join(filter(None, row)) for row in zip(*parts, strict=True)]
    if len(names) == 1 and not {CATEGORY, *TEXT_COLUMNS}.isdisjoint(
        map(fold, re.split(r"[;\t|]", names[0]))
    ):
        # Not `texto` and the like, which were looked for above: the category alone, or a whole
        # header that was not cut.
        raise _refusal(f"the table has one column, {names[0][:80]}; separate fields by commas")
    if os.environ.get("_MLFLOW_IS_IN_SERVING_ENVIRONMENT") == "true":
        header = _first_line_taken_for_header(frame)
        if header is not None:
            return [header, *(_column(frame, 0) if len(frame) else [])]
    if len(names) == 1:
        return _column(frame, 0)
    if names == ["0", "1"]:
        # How a Spark UDF hands over two columns, for `nome` and `descricao` in that order.
        return _of_frame(frame.set_axis(list(PART_COLUMNS), axis=1))
    if frame.empty:
        return []
    there = ", ".join(name[:40] for name in names[:10])
    raise _refusal(f"the table has the columns {there}")


def _first_line_taken_for_header(frame: pd.DataFrame) -> str | None:
    """The text that MLflow's scoring server mistook for a header line, if it did.

    It reads every text/csv body as if it had one, so a body without one loses its first product.
    With nothing below it, such a line can only be a product. With lines below, it is one if it
    has white space in it, which names of columns do not.
    """
    columns = [re.sub(r"^Unnamed: \d+$", "", str(column)) for column in frame.columns]
    line = ",".join(columns)
    if not line.strip():
        return None
    if len(frame) == 0 or (len(columns) == 1 and len(line.split()) > 1):
        return line
    return None


def _column(frame: pd.DataFrame, index: int) -> list[str]:
    name = frame.columns[index]
    values = frame.iloc[:, index].tolist()
    return [_text(value, f"column {name}, row {row}") for row, value in enumerate(values)]


def _text(value: Any, where: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, np.ndarray) and value.size == 1:
        return _text(value.item(), where)
    if isinstance(value, list | tuple) and len(value) == 1:
        return _text(value[0], where)
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return ""
    if isinstance(value, int | float | np.number | np.bool_):
        return str(value)
    raise _refusal(f"{where} is of type {type(value).__name__}, not a text")


def _refusal(what: str) -> MlflowException:
    return MlflowException(f"{what}; {ACCEPTED}", error_code=BAD_REQUEST)
