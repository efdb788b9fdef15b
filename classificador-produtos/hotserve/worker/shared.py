"""What the models and the connections of a worker share."""

from dataclasses import dataclass

from hotserve.ipc.messages import Configure
from hotserve.worker.access_log import AccessLog
from hotserve.worker.auth import Auth
from hotserve.worker.cors import Cors
from hotserve.worker.counters import Counters
from hotserve.worker.errors import FaultLog


@dataclass(frozen=True, slots=True)
class Shared:
    """Each says what it is for.

    Attributes:
        counters: of the one model, or of what is no model's.
        access_log: None where requests are not logged.
    """

    settings: Configure
    auth: Auth
    cors: Cors
    counters: Counters
    faults: FaultLog
    access_log: AccessLog | None
