"""The paths of the Open Inference Protocol: what they say, to whom, and in which form."""

import json
from typing import Any

import pytest

import hotserve
from hotserve.worker.answer import JSON, Answer
from tests.unit.hotserve.worker.front_worker import FrontWorker, Received, request

pytestmark = pytest.mark.anyio

MODEL = "/v2/models/m"
VERSION = f"{MODEL}/versions/7"
TEXTS = {"name": "input-0", "datatype": "BYTES", "shape": [1], "data": ["halo"]}


def worker(**options: Any) -> FrontWorker:
    """It serves version 7 of the model `m`."""
    made = FrontWorker(**options)
    now = made.serving.now()
    made.serve(now.change.target, None, name="m", version="7", columns=[])
    return made


async def infer(one: FrontWorker, path: str = f"{MODEL}/infer", **fields: Any) -> Received:
    return await one.ask("POST", path, json.dumps({"inputs": [TEXTS], **fields}).encode())


async def test_what_a_client_asks_before_it_predicts() -> None:
    one = worker()
    with pytest.MonkeyPatch.context() as patch:
        # In a container it is no package of pip's.
        patch.setattr("importlib.metadata.version", pytest.fail)
        server = (await one.ask("GET", "/v2")).json()
    assert server == {"name": "hotserve", "version": hotserve.__version__, "extensions": []}
    assert (await one.ask("GET", "/v2/health/live")).json() == {"live": True}
    assert (await one.ask("GET", "/v2/health/ready")).json() == {"ready": True}
    for path in (MODEL, VERSION, f"{MODEL}/"):
        assert (await one.ask("GET", path)).json() == {
            "name": "m",
            "versions": ["7"],
            "platform": "mlflow",
            "inputs": [{"name": "input-0", "datatype": "BYTES", "shape": [-1]}],
            "outputs": [],
        }
        ready = await one.ask("GET", f"{path.rstrip('/')}/ready")
        assert ready.json() == {"name": "m", "ready": True}


async def test_a_signature_is_what_the_model_takes() -> None:
    one = worker()
    signature = {"inputs": [{"type": "double", "name": "a"}], "outputs": [{"type": "long"}]}
    one.serve(one.serving.now().change.target, None, name="m", version="7", signature=signature)
    answer = (await one.ask("GET", MODEL)).json()
    assert answer["inputs"] == [{"name": "a", "datatype": "FP64", "shape": [-1]}]
    assert answer["outputs"] == [{"name": "output-0", "datatype": "INT64", "shape": [-1]}]


@pytest.mark.parametrize("path", [f"{MODEL}/infer", "/explain"])
async def test_a_body_that_is_compressed_or_too_large_is_refused_unread(path: str) -> None:
    one = worker(max_body=100)
    answer = await one.ask("POST", path, b"x", content_encoding="gzip")
    assert answer.status == 415
    # Of one that is too large nothing has come yet.
    connection = one.connect().send(request("POST", path, content_length="101"))
    assert (await connection.answer()).status == 413
    assert one.process.sent == []


@pytest.mark.parametrize("path", [f"{MODEL}/infer", f"{VERSION}/infer", f"{VERSION}/infer/"])
async def test_predictions_of_the_process(path: str) -> None:
    one = worker()
    answer = await infer(one, path, id="a1")
    assert answer.json() == {
        "model_name": "m",
        "model_version": "7",
        "id": "a1",
        "outputs": [{"name": "output-0", "shape": [1], "datatype": "BYTES", "data": ["process"]}],
    }
    assert (answer.headers["x-model-version"], answer.headers["x-hotserve-lane"]) == (
        "7",
        "process",
    )
    assert one.process.sent == [(JSON[1], b'{"inputs": ["halo"]}')]
    assert "other_requests" not in one.counters.take()
    assert one.logged()[-1]["path"] == path


async def test_only_the_outputs_that_are_wanted() -> None:
    one = worker()
    one.process.answer = Answer(200, [JSON], b'{"predictions": [{"a": 1, "b": 2}]}')
    (output,) = (await infer(one, outputs=[{"name": "b"}])).json()["outputs"]
    assert (output["name"], output["data"]) == ("b", [2])
    one.process.answer = Answer(200, [JSON], b'{"predictions": [{"a": 1, "b": 2}]}')
    answer = await infer(one, outputs=[{"name": "c"}])
    assert (answer.status, answer.json()) == (400, {"error": "there is no output c; there is a, b"})


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("GET", "/v2/models/other", b"", 404, "there is no model other; m is served"),
        ("POST", "/v2/models/other/infer", b"", 404, "there is no model other; m is served"),
        ("GET", f"{MODEL}/versions/8/ready", b"", 404, "version 8 is not served; 7 is"),
        ("POST", f"{MODEL}/versions/8/infer", b"", 404, "version 8 is not served; 7 is"),
        ("GET", f"{MODEL}/infer", b"", 405, "takes POST, not GET"),
        ("POST", "/v2/health/live", b"", 405, "takes GET, HEAD, not POST"),
        ("GET", f"{MODEL}/nowhere", b"", 404, "there is nothing at this path"),
        ("GET", "/v2/repository", b"", 404, "there is nothing at this path"),
        ("POST", f"{MODEL}/infer", b"{", 400, "the body is not JSON"),
        ("POST", f"{MODEL}/infer", b"x" * 100_001, 413, "the body is larger than"),
    ],
)
async def test_errors_have_the_protocol_s_form(
    method: str, path: str, body: bytes, status: int, said: str
) -> None:
    one = worker()
    answer = await one.ask(method, path, body)
    assert answer.status == status
    assert list(answer.json()) == ["error"]
    assert said in answer.json()["error"]
    assert one.process.sent == []


async def test_an_error_of_the_model_s_has_it_too() -> None:
    one = worker()
    one.process.answer = Answer(400, [JSON], b'{"error_code": "BAD_REQUEST", "message": "no"}')
    answer = await infer(one)
    assert (answer.status, answer.json()) == (400, {"error": "no"})
    one.process.answer = Answer(200, [JSON], b'{"predictions": [[[1], []]]}')
    answer = await infer(one)
    assert (answer.status, answer.json()["error"][:25]) == (500, "the answer's output-0 is ")


async def test_a_wrong_length_of_the_json_is_said() -> None:
    answer = await worker().ask(
        *("POST", f"{MODEL}/infer", b"{}"), inference_header_content_length="two"
    )
    assert (answer.status, answer.json()["error"][:31]) == (400, "Inference-Header-Content-Length")


async def test_nothing_is_served() -> None:
    one = worker()
    one.serve(None, None, name="m", version=None, message="no version yet")
    assert (await one.ask("GET", "/v2/health/live")).status == 200
    for path in ("/v2/health/ready", f"{MODEL}/ready"):
        answer = await one.ask("GET", path)
        assert (answer.status, answer.json()) == (503, {"error": "no version yet"})
    assert (await infer(one)).status == 503
    assert (await one.ask("GET", MODEL)).json()["versions"] == []
    answer = await one.ask("GET", VERSION)
    assert answer.json() == {"error": "version 7 is not served; none is"}


async def test_a_version_that_another_replaced_meanwhile_does_not_answer_for_it() -> None:
    one = worker()
    one.serve(one.serving.now().change.target, None, name="m", version="6", columns=[])
    # The process says that it is 7.
    answer = await infer(one, f"{MODEL}/versions/6/infer")
    assert (answer.status, answer.json()) == (404, {"error": "version 6 is not served any more"})


async def test_a_token_is_needed_but_for_health() -> None:
    one = worker(tokens={"abre-te": "ana"})
    for path in ("/v2/health/live", "/v2/health/ready"):
        assert (await one.ask("GET", path)).status == 200
    for method, path in (("GET", "/v2"), ("GET", MODEL), ("POST", f"{MODEL}/infer")):
        answer = await one.ask(method, path)
        assert (answer.status, [*answer.json()]) == (401, ["error"])
        assert (await one.ask(method, path, authorization="Bearer abre-te")).status != 401
