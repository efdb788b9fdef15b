"""What the connections of a worker share."""

from dataclasses import dataclass

from hotserve.ipc.messages import Configure
from hotserve.worker.access_log import AccessLog
from hotserve.worker.auth import Auth
from hotserve.worker.cors import Cors
from hotserve.worker.counters import Counters
from hotserve.worker.errors import FaultLog
from hotserve.worker.serving import Serving


@dataclass(frozen=True, slots=True)
class Shared:
    """Each says what it is for.

    Attributes:
        access_log: None where requests are not logged.
    """

    settings: Configure
    serving: Serving
    auth: Auth
    cors: Cors
    counters: Counters
    faults: FaultLog
    access_log: AccessLog | None
