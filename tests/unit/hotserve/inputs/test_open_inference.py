"""Tensors of the Open Inference Protocol: to MLflow's JSON, and back."""

import json
import struct
from typing import Any

import pytest

from hotserve.inputs import open_inference as v2
from hotserve.inputs.open_inference import TensorError

TABLE = {
    "inputs": [
        {"type": "double", "name": "preco", "required": True},
        {"type": "string", "name": "marca", "required": False},
    ],
    "params": [{"name": "casas", "type": "integer", "default": 2}],
}
MATRIX = {"inputs": [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}]}
NAMED = {
    "inputs": [
        {"name": name, "type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}
        for name in ("a", "b")
    ]
}


def tensor(name: str, datatype: str, shape: list[int], data: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def sent(
    *inputs: dict[str, Any], signature: Any = None, columns: tuple[str, ...] = (), **more: Any
) -> Any:
    """What `/invocations` is asked for a request."""
    body = json.dumps({"inputs": inputs, **more}).encode()
    return json.loads(v2.to_mlflow(v2.read(body), signature or {}, columns))


@pytest.mark.parametrize("shape", [[2], [2, 1]])
def test_texts(shape: list[int]) -> None:
    texts = tensor("x", "BYTES", shape, ["bola", "não"])
    assert sent(texts) == {"inputs": ["bola", "não"]}
    assert sent(texts, signature={"inputs": [{"type": "string"}]}) == {"inputs": ["bola", "não"]}


def test_columns_of_texts_without_a_signature() -> None:
    names = ("nome", "descricao")
    inputs = [tensor(name, "BYTES", [1], [name.upper()]) for name in names]
    rows = {"columns": ["nome", "descricao"], "data": [["NOME", "DESCRICAO"]]}
    assert sent(*inputs) == {"dataframe_split": rows}
    assert sent(*inputs, columns=names) == {"dataframe_split": rows}


def test_columns_of_a_signature() -> None:
    price = tensor("preco", "FP64", [2, 1], [[1.5], [2]])
    brand = tensor("marca", "BYTES", [2], ["x", None])
    both = {"columns": ["marca", "preco"], "data": [["x", 1.5], [None, 2]]}
    assert sent(brand, price, signature=TABLE) == {"dataframe_split": both}
    one = {"columns": ["preco"], "data": [[1.5], [2]]}
    parameters = {"casas": 3, "content_type": "pd"}
    asked = sent(price, signature=TABLE, parameters=parameters)
    assert asked == {"dataframe_split": one, "params": {"casas": 3}}


def test_one_tensor_of_all_columns() -> None:
    signature = {"inputs": [{"type": "double", "name": name} for name in "abc"]}
    rows = {"columns": ["a", "b", "c"], "data": [[1, 2, 3], [4, 5, 6]]}
    for data in ([1, 2, 3, 4, 5, 6], [[1, 2, 3], [4, 5, 6]]):
        assert sent(tensor("x", "FP64", [2, 3], data), signature=signature) == {
            "dataframe_split": rows
        }


def test_tensors_of_a_signature() -> None:
    flat = tensor("x", "FP32", [2, 2], [1, 2, 3, 4])
    assert sent(flat, signature=MATRIX) == {"inputs": [[1, 2], [3, 4]]}
    deep = tensor("x", "INT64", [1, 2, 2], [1, 2, 3, 4])
    assert sent(deep) == {"inputs": [[[1, 2], [3, 4]]]}
    named = [tensor(name, "FP64", [1, 2], [1, 2]) for name in "ab"]
    assert sent(*named, signature=NAMED) == {"inputs": {"a": [[1, 2]], "b": [[1, 2]]}}


@pytest.mark.parametrize(
    ("datatype", "binary", "data"),
    [
        ("BYTES", b"\4\0\0\0bola\4\0\0\0n\xc3\xa3o", ["bola", "não"]),
        ("BYTES", b"\1\0\0\0\xff\0\0\0\0", ["/w==", ""]),
        ("BOOL", b"\1\0", [True, False]),
        ("UINT8", b"\xff\0", [255, 0]),
        ("INT64", struct.pack("<2q", -1, 1 << 40), [-1, 1 << 40]),
        ("FP16", struct.pack("<2e", 0.5, 2), [0.5, 2]),
        ("FP64", struct.pack("<2d", 0.1, 2), [0.1, 2]),
    ],
)
def test_binary_tensors(datatype: str, binary: bytes, data: list[Any]) -> None:
    described: dict[str, Any] = {"name": "x", "datatype": datatype, "shape": [2]}
    described["parameters"] = {"binary_data_size": len(binary)}
    after = tensor("y", "INT8", [1], [7])
    text = json.dumps({"inputs": [described, after]}).encode()
    first, last = v2.read(text + binary, len(text))["inputs"]
    assert (first["data"], last["data"]) == (data, [7])


@pytest.mark.parametrize(
    ("body", "length", "said"),
    [
        (b"{", None, "the body is not JSON"),
        (b"[" * 100_000, None, "the body is not JSON"),
        (b"[]", None, '"inputs": a list of tensors'),
        (b'{"inputs": []}', None, '"inputs": a list of tensors'),
        (b'{"inputs": [{}]}', None, r"inputs\[0\] needs a name"),
        (b'{"inputs": [1]}', None, r"inputs\[0\] needs a name"),
        (b"{}", 9, "the body is shorter"),
        (b'{"inputs": [{"name": "x", "parameters": 1}]}', None, "must be an object"),
    ],
)
def test_what_is_no_request(body: bytes, length: int | None, said: str) -> None:
    with pytest.raises(TensorError, match=said):
        v2.read(body, length)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"datatype": "FLOAT"}, "x: datatype must be one of INT8, "),
        ({"shape": [-1]}, "x: shape must be a list of whole numbers"),
        ({"shape": [True]}, "x: shape must be a list of whole numbers"),
        ({"shape": [1] * 5000}, "x: shape has 5000 numbers; the most is 64"),
        ({"shape": [3]}, r"x: shape \[3\] needs 3 values, data has 2"),
        ({"data": "ab"}, "x: data must be a list"),
        ({"shape": [2, 2], "data": [[1], [2, 3, 4]]}, "x: data is no tensor: its rows differ"),
        ({"data": [[1], 2]}, "x: data is no tensor: its rows differ in length"),
        ({"data": [1.5, 2]}, "x: not all of data is INT32"),
        ({"data": [True, 2]}, "x: not all of data is INT32"),
        ({"data": ["1", 2]}, "x: not all of data is INT32"),
        ({"datatype": "BOOL"}, "x: not all of data is BOOL"),
        ({"datatype": "BYTES"}, "x: not all of data is BYTES"),
    ],
)
def test_what_is_no_tensor(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(TensorError, match=said):
        sent(tensor("x", "INT32", [2], [1, 2]) | wrong)


@pytest.mark.parametrize(
    ("datatype", "size", "binary", "said"),
    [
        ("INT32", 8, b"1234", "binary_data_size is more than the body has"),
        ("INT32", -1, b"", "binary_data_size is more than the body has"),
        ("INT32", 4, b"12345", "more bytes than its tensors"),
        ("INT32", 5, b"12345", "x: 5 bytes are no INT32s"),
        ("BYTES", 6, b"\4\0\0\0ab", "x: its last text is cut off"),
    ],
)
def test_what_is_no_binary_tensor(datatype: str, size: int, binary: bytes, said: str) -> None:
    described: dict[str, Any] = {"name": "x", "datatype": datatype, "shape": [1]}
    described["parameters"] = {"binary_data_size": size}
    text = json.dumps({"inputs": [described]}).encode()
    with pytest.raises(TensorError, match=said):
        v2.read(text + binary, len(text))


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ([tensor("marca", "BYTES", [1], ["x"])], "the tensors preco, marca: preco missing"),
        ([tensor("preco", "FP64", [1], [1]), tensor("y", "FP64", [1], [1])], "got preco, y"),
        ([tensor("preco", "FP64", [1], [1])] * 2, "got preco, preco"),
        ([tensor("preco", "FP64", [1, 2], [1, 2])], r"a column's shape is \[n\] or \[n, 1\]"),
        ([tensor("preco", "FP64", [], [1])], r"a column's shape is \[n\] or \[n, 1\]"),
        (
            [tensor("preco", "FP64", [2], [1, 2]), tensor("marca", "BYTES", [1], ["x"])],
            "n the same for all",
        ),
    ],
)
def test_tensors_that_are_not_the_model_s(inputs: list[Any], said: str) -> None:
    with pytest.raises(TensorError, match=said):
        sent(*inputs, signature=TABLE)


@pytest.mark.parametrize(
    ("predictions", "tensors"),
    [
        (["livro", "game"], [tensor("output-0", "BYTES", [2], ["livro", "game"])]),
        ([1, 0], [tensor("output-0", "INT64", [2], [1, 0])]),
        ([1, 0.5, None], [tensor("output-0", "FP64", [3], [1, 0.5, None])]),
        ([True], [tensor("output-0", "BOOL", [1], [True])]),
        ([[1, 2], [3, 4]], [tensor("output-0", "INT64", [2, 2], [1, 2, 3, 4])]),
        (0.5, [tensor("output-0", "FP64", [1], [0.5])]),
        ([], [tensor("output-0", "BYTES", [0], [])]),
        ([1, "a"], [tensor("output-0", "BYTES", [2], ["1", "a"])]),
        (
            [{"c": "livro", "p": {"livro": 0.9}}, {"c": None}],
            [
                tensor("c", "BYTES", [2], ["livro", None]),
                tensor("p", "BYTES", [2], ['{"livro": 0.9}', None]),
            ],
        ),
        (
            {"a": [[1.5]], "b": ["x"]},
            [tensor("a", "FP64", [1, 1], [1.5]), tensor("b", "BYTES", [1], ["x"])],
        ),
    ],
)
def test_predictions_as_tensors(predictions: Any, tensors: list[Any]) -> None:
    answer = json.dumps({"predictions": predictions}).encode()
    assert v2.to_tensors(answer, None) == tensors


def test_outputs_are_called_and_typed_as_the_signature_says() -> None:
    answer = b'{"predictions": [1, 2]}'
    as_float = [{"type": "double", "name": "preco"}]
    assert v2.to_tensors(answer, as_float) == [tensor("preco", "FP64", [2], [1, 2])]
    as_text = [{"type": "string"}]
    assert v2.to_tensors(answer, as_text) == [tensor("output-0", "INT64", [2], [1, 2])]


def test_predictions_that_are_no_tensor() -> None:
    # The last ones hold as many values as a tensor of the first row's length.
    for ragged in ("[[1], [2, 3]]", "[1, [2]]", "[[1, 2], [3], [4, 5, 6]]", "[[[1], 2], [3, [4]]]"):
        with pytest.raises(TensorError, match="output-0 is no tensor"):
            v2.to_tensors(b'{"predictions": %b}' % ragged.encode(), None)


def test_which_outputs_are_wanted() -> None:
    both = [tensor(name, "INT64", [1], [1]) for name in "ab"]
    assert v2.chosen(both, None) == both
    assert v2.chosen(both, [{"name": "b"}]) == both[1:]
    with pytest.raises(TensorError, match="there is no output c; there is a, b"):
        v2.chosen(both, [{"name": "c"}])
    for wrong in ("a", ["a"]):
        with pytest.raises(TensorError, match="a list of objects"):
            v2.chosen(both, wrong)


def test_a_signature_as_tensors() -> None:
    described = v2.tensors(TABLE["inputs"], "x")
    assert described == [
        {"name": "preco", "datatype": "FP64", "shape": [-1]},
        {"name": "marca", "datatype": "BYTES", "shape": [-1]},
    ]
    matrix = {"name": "x", "datatype": "FP32", "shape": [-1, 2]}
    assert v2.tensors(MATRIX["inputs"], "x") == [matrix]
    assert v2.tensors(None, "x") == []
