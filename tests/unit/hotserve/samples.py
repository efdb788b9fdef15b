"""Messages of every kind."""

from dataclasses import fields, replace

from hotserve.config import settings
from hotserve.config.tokens import Client
from hotserve.inputs.model_input import TextInput
from hotserve.ipc.messages import (
    Acknowledge,
    Batching,
    BatchingFailed,
    Commit,
    Configure,
    Counts,
    Idle,
    InUse,
    LaneTarget,
    LogError,
    Message,
    MetricsAnswer,
    Prepare,
    Ready,
    ReportCounts,
    Scrape,
    Stop,
    Target,
    UseTokens,
    Wake,
)

TARGET = Target(3, 1234, "7", "3.17", TextInput("columns", ("nome", "descricao")))
LANE = LaneTarget(
    path="/lanes/7",
    checksum=9,
    version="7",
    mlflow="3.17",
    forms=("inputs", "instances"),
    csv=True,
    columns=("nome",),
)
BATCHING = Batching(2, ("text/csv", "inputs"), {"preço": "double"})
SETTINGS = settings.read(("mlflow", "models", "serve", "-m", "models:/produtos/1"), {})
CONFIGURE = replace(
    Configure(
        **{field.name: getattr(SETTINGS, field.name) for field in fields(SETTINGS)},
        model="produtos",
        private_folders=("/a", "/b"),
    ),
    hold_timeout=30.0,
    stop_timeout=8.0,
    read_timeout=30.0,
    idle_timeout=75.0,
    max_connections=10,
    max_concurrency=20,
    max_body=30,
    csv="auto",
    tokens={"açaí": Client("ana", ("loja-*", "b"))},
    cors_origins=("https://a.example",),
    access_log=True,
    forwarded_allow_ips=("10.0.0.0/8",),
)
MESSAGES: list[Message] = [
    CONFIGURE,
    Prepare(),
    Prepare(compared=LANE),
    Prepare(5, TARGET, {"name": "n\nm", "version": None}, True, True, LANE, BATCHING, "n\nm"),
    Prepare(6, name="n", is_gone=True),
    Commit(),
    UseTokens({}),
    UseTokens({"a": Client(), "b": Client("ana")}),
    ReportCounts(4),
    MetricsAnswer(4, "text/plain", "a 1\nb 2\n"),
    Stop(),
    Acknowledge(5),
    Ready(),
    Idle(3),
    InUse("n", 3),
    Wake("n"),
    Counts({"a/b": {"in_flight": 1, "requests": [[200, "fast", "7", 3]]}}, 0),
    Scrape(2, "*/*"),
    BatchingFailed("n", "7", "it gave 1 predictions for 2 rows"),
    LogError("a\nb"),
]
