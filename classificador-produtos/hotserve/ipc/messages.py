"""Every message between the manager and a front worker."""

from dataclasses import dataclass, field
from typing import Any

from hotserve.config.settings import Settings
from hotserve.config.tokens import Client
from hotserve.inputs.model_input import TextInput


@dataclass(frozen=True, slots=True)
class Target:
    """A healthy server process of one version.

    Attributes:
        generation: grows with every process that takes over.
        port: on the loopback.
        version: sent to clients as X-Model-Version.
        mlflow: the answer of its /version.
        text_input: how its model takes products.
    """

    generation: int
    port: int
    version: str
    mlflow: str
    text_input: TextInput


@dataclass(frozen=True, slots=True)
class LaneTarget:
    """An open fast lane of one version.

    Attributes:
        path: the compiled file.
        checksum: of that file; no other may answer.
        version: sent to clients as X-Model-Version.
        mlflow: the version of MLflow that its answers were compared with.
        forms: the forms of request that it answers; see `json_forms`.
        csv: whether it answers text/csv.
        columns: the columns of the model, in which text/csv is put; empty for a model of texts.
    """

    path: str
    checksum: int
    version: str
    mlflow: str
    forms: tuple[str, ...]
    csv: bool
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Batching:
    """How requests that wait for the server process of one version may go to it together.

    Attributes:
        slots: requests that a worker may have under way there before others wait.
        forms: the forms of request that were compared; see `batching.requests.read`.
        types: the types that the signature gives to columns, by name.
    """

    slots: int
    forms: tuple[str, ...]
    types: dict[str, str]


# From the manager to a worker.


@dataclass(frozen=True, slots=True, kw_only=True)
class Configure(Settings):
    """The first message: how to serve.

    Attributes:
        model: the one that is served, at `/`; empty where many are, each at `/models/<name>`.
        private_folders: whose names are not shown in an answer.
    """

    model: str
    private_folders: tuple[str, ...]

    @property
    def request_timeout(self) -> float:
        """Seconds that an answer may take."""
        return self.command.timeout


@dataclass(frozen=True, slots=True)
class Prepare:
    """Be ready to serve this, and acknowledge it; it is served once it is committed.

    Attributes:
        number: grows with every change.
        target: where requests go; None while no process is healthy.
        model: the JSON object of `/model`.
        hold: whether a process is on its way back, so that requests should wait for it.
        asleep: whether that is one that sleeps until a request needs it; see `Wake`.
        lane: the fast lane of the version that is served, if it is open.
        batching: how requests go to `target` together, if they may.
        name: of the model; empty: what is said of all of them, where many are served.
        is_gone: whether the model is not served any more.
        compared: the compiled model that is shown beside; it answers no request for predictions.
    """

    number: int = 0
    target: Target | None = None
    model: dict[str, Any] = field(default_factory=dict)
    hold: bool = False
    asleep: bool = False
    lane: LaneTarget | None = None
    batching: Batching | None = None
    name: str = ""
    is_gone: bool = False
    compared: LaneTarget | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """The number in the shared memory has changed."""


@dataclass(frozen=True, slots=True)
class UseTokens:
    """From now on clients have to show one of these, each with who has it."""

    tokens: dict[str, Client]


@dataclass(frozen=True, slots=True)
class ReportCounts:
    """Answer with `Counts`, for the scrape of that number."""

    scrape: int


@dataclass(frozen=True, slots=True)
class MetricsAnswer:
    """What to answer the `Scrape` of that number."""

    number: int
    content_type: str
    body: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Take no new connections, finish the open requests, end."""


# From a worker to the manager.


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """The `Prepare` of that number was taken."""

    number: int


@dataclass(frozen=True, slots=True)
class Ready:
    """It answers on the public port."""


@dataclass(frozen=True, slots=True)
class Idle:
    """No request is under way at the server process of that generation, which was replaced."""

    generation: int


@dataclass(frozen=True, slots=True)
class InUse:
    """The server process of that generation has had requests in the last second."""

    model: str
    generation: int


@dataclass(frozen=True, slots=True)
class Wake:
    """A request waits for the process of that model, which sleeps."""

    model: str


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted since the last report, by model; `scrape` is 0 where nobody asked."""

    counts: dict[str, Any]
    scrape: int


@dataclass(frozen=True, slots=True)
class Scrape:
    """A client asks for `/metrics`; `accept` is its header."""

    number: int
    accept: str


@dataclass(frozen=True, slots=True)
class BatchingFailed:
    """The model of that version answered rows together as it must not; `why` says how."""

    model: str
    version: str
    why: str


@dataclass(frozen=True, slots=True)
class LogError:
    """A line for the manager's log."""

    text: str


ToWorker = Configure | Prepare | Commit | UseTokens | ReportCounts | MetricsAnswer | Stop
ModelMessage = InUse | Wake | BatchingFailed
ToManager = Acknowledge | Ready | Idle | ModelMessage | Counts | Scrape | LogError
Message = ToWorker | ToManager
