"""What `/model` tells: which version answers, since when, what went wrong."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from hotserve.config.model_uri import ModelReference
from hotserve.manager.registry import ModelVersion

_REMEMBERED_SWITCHES = 10


def now() -> str:
    """This moment in ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class Status:
    """The state of service in words; `changed` is called after every change.

    Attributes:
        state: `waiting` (nothing to serve yet), `starting`, `serving` or `restarting`.
        message: why there is no answer at the moment; shown with every 503.
        switched: how often a version took over, so far.
        failures: how often a version would not start, so far.
    """

    def __init__(self, reference: ModelReference, changed: Callable[[], None]) -> None:
        self._reference = reference
        self._changed = changed
        self.state = "waiting"
        self.message = "hotserve has just begun"
        self._served: ModelVersion | None = None
        self._since: str | None = None
        self._wanted: dict[str, Any] | None = None
        self._last_error: dict[str, Any] | None = None
        self._registry: dict[str, Any] | None = None
        self._note: str | None = None
        self._switches: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED_SWITCHES)
        self._restarts = 0
        self.switched = 0
        self.failures = 0
        self._lane: dict[str, Any] | None = None
        self._metrics: tuple[object, dict[str, float]] = None, {}

    def waiting(self, reason: str) -> None:
        """Nothing to serve, and why."""
        self._set(state="waiting", message=reason)

    def starting(self, version: ModelVersion) -> None:
        """A version is on its way; the one before goes on."""
        self._wanted = {"version": version.version or None, "state": "starting", "since": now()}
        if self._served is None:
            self.state, self.message = "starting", f"{title(version)} is starting"
        self._changed()

    def failed(self, version: ModelVersion, reason: str) -> None:
        """A version would not start."""
        self.failures += 1
        self._would_not_start(version, reason)
        if self._served is None:
            self.message = f"{title(version)} would not start: {reason}"
        self._changed()

    def fell_back(self, failed: ModelVersion, reason: str) -> None:
        """What is served is not what is wanted, as that would not start."""
        self._would_not_start(failed, reason)
        self._changed()

    def answering(self, version: ModelVersion, seconds: float) -> None:
        """The fast lane of a version answers; its process is still starting."""
        self._take_over(version, seconds)
        self._set(state="starting", message=f"the process of {title(version)} is starting")

    def serving(self, version: ModelVersion, seconds: float) -> None:
        """A version has taken over, `seconds` after it was asked for."""
        if self._served is None or self._served.identity != version.identity:
            self._take_over(version, seconds)
        self._served = version
        self._set(state="serving", message="", wanted_is_served=True)

    def _take_over(self, version: ModelVersion, seconds: float) -> None:
        before = self._served.version if self._served else None
        self.switched += 1
        self._since = now()
        self._switches.append(
            {
                "at": self._since,
                "from": before,
                "to": version.version or None,
                "seconds": round(seconds, 1),
            }
        )
        self._served = version

    def still(self, version: ModelVersion) -> None:
        """The version that is served is the one wanted; its stage or aliases may be new."""
        self._served = version
        self._set(wanted_is_served=True)

    def nothing_is_coming(self) -> None:
        """What was on its way, or would not start, is not wanted any more."""
        if self._wanted is not None:
            self._set(wanted_is_served=True)

    def restarting(self, version: ModelVersion, reason: str) -> None:
        """The server process died and is started again."""
        self._restarts += 1
        self._error(version, reason)
        self._set(state="restarting", message=f"{title(version)} is being started again: {reason}")

    def restarted(self) -> None:
        """It is back."""
        self._set(state="serving", message="")

    def lane(self, told: dict[str, Any] | None) -> None:
        """What is to be told of the fast lane of the version that is served."""
        if told != self._lane:
            self._lane = told
            self._changed()

    def metrics(self, version: ModelVersion, figures: Mapping[str, float]) -> None:
        """The figures of a version's run; they are told while that version is served."""
        told = version.identity, dict(figures)
        if told != self._metrics:
            self._metrics = told
            self._changed()

    def note(self, text: str | None) -> None:
        """Something about what is served that a person should know, or nothing."""
        if text != self._note:
            self._note = text
            self._changed()

    def registry(self, error: str | None) -> None:
        """The registry answered (None), or why it did not."""
        told = {"reachable": error is None, "error": error}
        if self._registry is None or {**self._registry, "since": None} != {**told, "since": None}:
            self._registry = {**told, "since": now()}
            self._changed()

    def full_title(self, version: ModelVersion) -> str:
        """Its title, and in brackets which stage or alias is followed, if one is."""
        words = self._reference.describe()
        return f"{title(version)} ({words})" if words else title(version)

    def to_json(self) -> dict[str, Any]:
        """The object that `/model` answers."""
        served = self._served
        of, metrics = self._metrics
        return {
            "name": self._reference.name,
            "uri": self._reference.shown,
            "state": self.state,
            "message": self.message or None,
            "version": served.version or None if served else None,
            "stage": served.stage or None if served else None,
            "aliases": list(served.aliases) if served else [],
            "run_id": served.run_id or None if served else None,
            "model_id": served.model_id or None if served else None,
            "metrics": (metrics or None) if served and served.identity == of else None,
            "since": self._since,
            "lane": self._lane if served else None,
            "note": self._note,
            "wanted": self._wanted,
            "last_error": self._last_error,
            "registry": self._registry,
            "switches": list(self._switches),
            "restarts": self._restarts,
        }

    def _would_not_start(self, version: ModelVersion, reason: str) -> None:
        self._wanted = {"version": version.version or None, "state": "failed", "since": now()}
        self._error(version, reason)

    def _error(self, version: ModelVersion, reason: str) -> None:
        self._last_error = {"at": now(), "version": version.version or None, "message": reason}

    def _set(
        self,
        *,
        state: str | None = None,
        message: str | None = None,
        wanted_is_served: bool = False,
    ) -> None:
        if state is not None:
            self.state = state
        if message is not None:
            self.message = message
        if wanted_is_served:
            self._wanted = None
        self._changed()


def title(version: ModelVersion) -> str:
    """`classificador-produtos version 3`, or the model's name where there are no versions."""
    return f"{version.name} version {version.version}" if version.version else version.name
