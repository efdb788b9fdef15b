"""Tensors of the Open Inference Protocol (V2) as MLflow's JSON, and its answers as tensors.

The protocol: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol
Texts are BYTES. Binary tensors are those of Triton's extension, in requests only.
"""

import base64
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from math import prod
from typing import Any

from hotserve.inputs import json_forms

_INTEGERS = {"INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q"}
_INTEGERS |= {f"U{name}": code.upper() for name, code in _INTEGERS.items()}
_FLOATS = {"FP16": "e", "FP32": "f", "FP64": "d"}
_CODES = {**_INTEGERS, **_FLOATS, "BOOL": "?"}
"""Of the module `struct`, for binary tensors."""
_VALUES: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(_INTEGERS, (int,)),
    **dict.fromkeys(_FLOATS, (int, float)),
    "BOOL": (bool,),
    "BYTES": (str,),
}
"""What may stand in JSON for each datatype, beside `null`."""

_DATATYPES = {name.lower(): name for name in _INTEGERS}
_DATATYPES |= {"integer": "INT32", "long": "INT64", "boolean": "BOOL", "bool": "BOOL"}
_DATATYPES |= {"float": "FP32", "double": "FP64"}
_DATATYPES |= {"float16": "FP16", "float32": "FP32", "float64": "FP64"}
"""By MLflow's names for types of columns and of tensors; all others are BYTES."""

UNNAMED_INPUT, UNNAMED_OUTPUT = "input-0", "output-0"
"""What a tensor is called that the signature has no name for."""

MOST_DIMENSIONS = 64
"""Of a tensor; NumPy, which reads it in the model's process, takes no more."""

Tensor = dict[str, Any]


class TensorError(ValueError):
    """A request is not one of the protocol, or not one for this model; the text says why."""


def tensors(specs: Sequence[Mapping[str, Any]] | None, unnamed: str) -> list[Tensor]:
    """Name, datatype and shape of what a signature's `inputs` or `outputs` describe."""
    found = []
    for spec in specs or ():
        tensor = spec.get("tensor-spec") or {"dtype": spec.get("type"), "shape": [-1]}
        datatype = _DATATYPES.get(str(tensor["dtype"]), "BYTES")
        name = str(spec.get("name") or unnamed)
        found.append({"name": name, "datatype": datatype, "shape": [*tensor["shape"]]})
    return found


def read(body: bytes, json_length: int | None = None) -> dict[str, Any]:
    """A request, with the binary tensors behind its first `json_length` bytes put in.

    Returns:
        `inputs` is a list of tensors, each with `name`, `datatype`, `shape` and flat `data`.

    Raises:
        TensorError: it is not a request of the protocol.
    """
    length = len(body) if json_length is None else json_length
    if not 0 <= length <= len(body):
        raise TensorError("Inference-Header-Content-Length: the body is shorter")
    try:
        request = json.loads(body[:length])
    except (ValueError, RecursionError) as error:
        raise TensorError(f"the body is not JSON: {error}") from None
    inputs = request.get("inputs") if isinstance(request, dict) else None
    if not isinstance(inputs, list) or not inputs:
        raise TensorError('the body needs "inputs": a list of tensors')
    rest, at = memoryview(body)[length:], 0
    read_inputs = []
    for number, tensor in enumerate(inputs):
        if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
            raise TensorError(f"inputs[{number}] needs a name")
        size = _mapping(tensor, "parameters").get("binary_data_size", 0)
        if not isinstance(size, int) or not 0 <= size <= len(rest) - at:
            raise TensorError(f"{tensor['name']}: binary_data_size is more than the body has")
        read_inputs.append(_checked(tensor, bytes(rest[at : at + size]) if size else None))
        at += size
    if at != len(rest):
        raise TensorError("the body has more bytes than its tensors' binary_data_size say")
    return {**request, "inputs": read_inputs}


def chosen(tensors: list[Tensor], wanted: Any) -> list[Tensor]:
    """Of an answer's tensors those that a request's `outputs` names; all where it names none.

    Raises:
        TensorError: there is none of that name.
    """
    if not wanted:
        return tensors
    if not isinstance(wanted, list) or not all(isinstance(each, dict) for each in wanted):
        raise TensorError('"outputs" must be a list of objects with a name')
    by_name = {tensor["name"]: tensor for tensor in tensors}
    names = [each.get("name") for each in wanted]
    if unknown := [name for name in names if name not in by_name]:
        raise TensorError(f"there is no output {unknown[0]}; there is {', '.join(by_name)}")
    return [by_name[name] for name in names]


def _mapping(of: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = of.get(key) or {}
    if not isinstance(found, dict):
        raise TensorError(f'"{key}" must be an object')
    return found


def _checked(tensor: Tensor, binary: bytes | None) -> Tensor:
    """One tensor with its data flat, which are as many and of the kind that it says."""
    name, datatype, shape = tensor["name"], str(tensor.get("datatype")), tensor.get("shape")
    if datatype not in _VALUES:
        raise TensorError(f"{name}: datatype must be one of {', '.join(_VALUES)}")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise TensorError(f"{name}: shape must be a list of whole numbers")
    if len(shape) > MOST_DIMENSIONS:
        raise TensorError(f"{name}: shape has {len(shape)} numbers; the most is {MOST_DIMENSIONS}")
    if binary is not None:
        data = _of_bytes(name, datatype, binary)
    elif isinstance(tensor.get("data"), list):
        _, data = _flattened(tensor["data"], f"{name}: data")
        if not _are(datatype, data):
            raise TensorError(f"{name}: not all of data is {datatype}")
    else:
        raise TensorError(f"{name}: data must be a list")
    if len(data) != prod(shape):
        raise TensorError(f"{name}: shape {shape} needs {prod(shape)} values, data has {len(data)}")
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def _flattened(data: Any, what: str) -> tuple[list[int], list[Any]]:
    """The shape of a value or of lists in lists, and what is in them, one after another.

    Raises:
        TensorError: the lists of one depth differ in length.
    """
    shape, values = list[int](), [data]
    while any(isinstance(value, list) for value in values):
        lengths = {len(value) if isinstance(value, list) else None for value in values}
        if len(lengths) > 1:
            raise TensorError(f"{what} is no tensor: its rows differ in length")
        shape.append(len(values[0]))
        values = [*chain.from_iterable(values)]
    return shape, values


def _are(datatype: str, values: Iterable[Any]) -> bool:
    return all(value is None or type(value) in _VALUES[datatype] for value in values)


def _of_bytes(name: str, datatype: str, binary: bytes) -> list[Any]:
    if datatype != "BYTES":
        try:
            return [value for (value,) in struct.iter_unpack(f"<{_CODES[datatype]}", binary)]
        except struct.error:
            raise TensorError(f"{name}: {len(binary)} bytes are no {datatype}s") from None
    texts, at = [], 0
    while at < len(binary):
        end = at + 4 + int.from_bytes(binary[at : at + 4], "little")
        if end > len(binary):
            raise TensorError(f"{name}: its last text is cut off")
        try:
            texts.append(binary[at + 4 : end].decode())
        except UnicodeDecodeError:
            # What MLflow takes for a column of type binary.
            texts.append(base64.b64encode(binary[at + 4 : end]).decode())
        at = end
    return texts


def to_mlflow(
    request: Mapping[str, Any], signature: Mapping[str, Any], columns: Sequence[str]
) -> bytes:
    """The request as JSON of MLflow's `/invocations`.

    Args:
        request: of `read`.
        signature: `inputs` and `params` of the model's, empty where there is none.
        columns: the names of its columns, if it takes a table.

    Raises:
        TensorError: its tensors are not those of the model.
    """
    inputs: list[Tensor] = request["inputs"]
    specs = signature.get("inputs") or []
    names = [str(spec["name"]) for spec in specs if spec.get("name")]
    is_tensors = any(spec.get("type") == "tensor" for spec in specs)
    body: dict[str, Any]
    if is_tensors and names:
        _require_names(inputs, names, specs)
        data = {tensor["name"]: _nested(tensor["data"], tensor["shape"]) for tensor in inputs}
        body = {json_forms.INPUTS: data}
    elif columns or names or len(inputs) > 1:
        known = list(columns) or names
        if specs:
            inputs = _split(inputs, known)
            _require_names(inputs, known, specs)
        body = {json_forms.SPLIT: _table(inputs)}
    else:
        data = _nested(inputs[0]["data"], inputs[0]["shape"])
        if inputs[0]["datatype"] == "BYTES" and not is_tensors:
            # A model of texts takes a list of them; clients send [n, 1] as well as [n].
            data = inputs[0]["data"]
        body = {json_forms.INPUTS: data}
    wanted = {str(spec.get("name")) for spec in signature.get("params") or ()}
    given = _mapping(request, "parameters")
    if params := {name: value for name, value in given.items() if name in wanted}:
        body["params"] = params
    return json.dumps(body).encode()


def _require_names(
    inputs: Sequence[Tensor], names: Sequence[str], specs: Sequence[Mapping[str, Any]]
) -> None:
    given = [tensor["name"] for tensor in inputs]
    optional = {str(spec.get("name")) for spec in specs if spec.get("required") is False}
    missing = [name for name in names if name not in given and name not in optional]
    unknown = [name for name in given if name not in names]
    if missing or unknown or len({*given}) < len(given):
        wrong = f"{', '.join(missing)} missing" if missing else f"got {', '.join(given)}"
        raise TensorError(f"the model takes the tensors {', '.join(names)}: {wrong}")


def _split(inputs: list[Tensor], names: Sequence[str]) -> list[Tensor]:
    """One tensor of all columns, as a tensor for each of them."""
    if len(inputs) > 1 or inputs[0]["name"] in names or inputs[0]["shape"][1:] != [len(names)]:
        return inputs
    (whole,) = inputs
    rows = whole["shape"][0]
    return [
        {**whole, "name": name, "shape": [rows], "data": whole["data"][at :: len(names)]}
        for at, name in enumerate(names)
    ]


def _table(inputs: Sequence[Tensor]) -> dict[str, Any]:
    rows = len(inputs[0]["data"])
    for tensor in inputs:
        if tensor["shape"] not in ([rows], [rows, 1]):
            raise TensorError(
                f"{tensor['name']}: a column's shape is [n] or [n, 1], n the same for all of them"
            )
    data = zip(*(tensor["data"] for tensor in inputs), strict=True)
    return {"columns": [tensor["name"] for tensor in inputs], "data": [*map(list, data)]}


def _nested(data: list[Any], shape: Sequence[int]) -> Any:
    """Flat data as lists in lists."""
    for size in reversed(shape[1:]):
        data = [data[at : at + size] for at in range(0, len(data), size)] if size else []
    return data


def to_tensors(answer: bytes, outputs: Sequence[Mapping[str, Any]] | None) -> list[Tensor]:
    """The predictions in an answer of `/invocations` as tensors.

    Args:
        outputs: of the model's signature, which may name them.

    Raises:
        TensorError: they have no such form.
    """
    found = json.loads(answer)
    found = found["predictions"] if isinstance(found, dict) and "predictions" in found else found
    described = {tensor["name"]: tensor for tensor in tensors(outputs, UNNAMED_OUTPUT)}
    if isinstance(found, list) and found and all(isinstance(row, dict) for row in found):
        names = dict.fromkeys(name for row in found for name in row)
        found = {name: [row.get(name) for row in found] for name in names}
    if not isinstance(found, dict):
        name = next(iter(described)) if len(described) == 1 else UNNAMED_OUTPUT
        found = {name: found}
    return [_tensor(name, data, described.get(name, {})) for name, data in found.items()]


def _tensor(name: str, data: Any, described: Mapping[str, Any]) -> Tensor:
    data = data if isinstance(data, list) else [data]
    shape, values = _flattened(data, f"the answer's {name}")
    values = [
        json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value
        for value in values
    ]
    datatype = described.get("datatype")
    if datatype is None or not _are(datatype, values):
        likely = ("BOOL", "INT64", "FP64") if values else ()
        datatype = next((each for each in likely if _are(each, values)), "BYTES")
    if datatype == "BYTES":
        values = [v if isinstance(v, str | None) else json.dumps(v) for v in values]
    return {"name": name, "datatype": datatype, "shape": shape, "data": values}
