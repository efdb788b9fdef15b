"""The contents of `/model`: which version answers, since when, what went wrong."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from hotserve.config.model_uri import ModelReference
from hotserve.manager.registry import ModelVersion
from hotserve.redaction import Redactor

_REMEMBERED_SWITCHES = 10


def now() -> str:
    """This moment in ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class Status:
    """The state of service in words, without what is nobody's business.

    Args:
        changed: called after every change.

    Attributes:
        state: `waiting` (nothing to serve yet), `starting`, `serving` or `restarting`.
        message: why there is no answer at the moment; shown with every 503.
        switches: how often a version took over, so far.
        failed_starts: how often a version would not start, so far.
    """

    def __init__(
        self, reference: ModelReference, redactor: Redactor, changed: Callable[[], None]
    ) -> None:
        self._reference = reference
        self._redactor = redactor
        self._changed = changed
        self.state = "waiting"
        self.message = "hotserve has just begun"
        self.switches = 0
        self.failed_starts = 0
        self._active: ModelVersion | None = None
        self._since: str | None = None
        self._desired: dict[str, Any] | None = None
        self._last_error: dict[str, Any] | None = None
        self._registry: dict[str, Any] | None = None
        self._note: str | None = None
        self._last_switches: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED_SWITCHES)
        self._restarts = 0
        self._lane: dict[str, Any] | None = None
        self._columns: tuple[str, ...] = ()
        self._metrics: tuple[object, dict[str, float]] = None, {}

    def waiting(self, reason: str) -> None:
        """Nothing to serve, and why."""
        if (self.state, self.message) != ("waiting", reason):
            self.state, self.message = "waiting", reason
            self._changed()

    def starting(self, version: ModelVersion) -> None:
        """A version is starting; the one before goes on."""
        self._desired = {"version": version.label or None, "state": "starting", "since": now()}
        if self._active is None:
            self.state, self.message = "starting", f"{title(version)} is starting"
        self._changed()

    def failed(self, version: ModelVersion, reason: str) -> None:
        """A version would not start."""
        self.failed_starts += 1
        if self._active is None:
            self.message = f"{title(version)} would not start: {self._redactor.text(reason)}"
        self.not_started(version, reason)

    def not_started(self, version: ModelVersion, reason: str) -> None:
        """What is served is not what is desired, as that would not start."""
        self._desired = {"version": version.label or None, "state": "failed", "since": now()}
        self._error(version, reason)
        self._changed()

    def serving_by_lane(self, version: ModelVersion, seconds: float) -> None:
        """The fast lane of a version answers; its process is still starting."""
        self._take_over(version, seconds)
        self.state, self.message = "starting", f"the process of {title(version)} is starting"
        self._changed()

    def serving(self, version: ModelVersion, seconds: float) -> None:
        """A version has taken over, `seconds` after it was asked for."""
        if self._active is None or self._active.identity != version.identity:
            self._take_over(version, seconds)
        self.state, self.message = "serving", ""
        self.still(version)

    def refresh(self, version: ModelVersion) -> None:
        """The stage or the aliases of the active version have changed."""
        self._active = version
        self._changed()

    def still(self, version: ModelVersion) -> None:
        """The active version is the desired one; its stage or aliases may be new."""
        self._active, self._desired = version, None
        self._changed()

    def nothing_is_starting(self) -> None:
        """What was starting, or would not start, is not desired any more."""
        if self._desired is not None:
            self._desired = None
            self._changed()

    def restarting(self, version: ModelVersion, reason: str) -> None:
        """The server process ended and is started again."""
        self._restarts += 1
        self._error(version, reason)
        self.state = "restarting"
        self.message = f"{title(version)} is being started again: {self._redactor.text(reason)}"
        self._changed()

    def restarted(self) -> None:
        """It is back."""
        self.state, self.message = "serving", ""
        self._changed()

    def lane(self, lane: dict[str, Any], columns: tuple[str, ...]) -> None:
        """The fast lane of the active version, and the columns that its signature names."""
        self._lane = {**lane, "why": lane["why"] and self._redactor.text(lane["why"])}
        self._columns = columns
        self._changed()

    def metrics(self, version: ModelVersion, figures: Mapping[str, float]) -> None:
        """The figures of a version's run; they are shown while that version is active."""
        metrics = version.identity, dict(figures)
        if metrics != self._metrics:
            self._metrics = metrics
            self._changed()

    def note(self, text: str | None) -> None:
        """Something about what is served that a person should know, or nothing."""
        if text != self._note:
            self._note = text
            self._changed()

    def registry(self, error: str | None) -> None:
        """The registry answered (None), or why it did not."""
        if self._registry is None or self._registry["error"] != error:
            self._registry = {"reachable": error is None, "error": error, "since": now()}
            self._changed()

    def full_title(self, version: ModelVersion) -> str:
        """Its title, and in brackets which stage or alias is followed, if one is."""
        words = self._reference.describe()
        return f"{title(version)} ({words})" if words else title(version)

    def to_json(self) -> dict[str, Any]:
        """The object that `/model` answers."""
        active = self._active
        of, metrics = self._metrics
        return {
            "name": self._reference.name,
            "uri": self._reference.shown,
            "state": self.state,
            "message": self.message or None,
            "version": active.label or None if active else None,
            "stage": active.stage or None if active else None,
            "aliases": list(active.aliases) if active else [],
            "run_id": active.run_id or None if active else None,
            "model_id": active.model_id or None if active else None,
            "metrics": (metrics or None) if active and active.identity == of else None,
            "since": self._since,
            "columns": list(self._columns) if active else [],
            "lane": self._lane if active else None,
            "note": self._note,
            "wanted": self._desired,
            "last_error": self._last_error,
            "registry": self._registry,
            "switches": list(self._last_switches),
            "restarts": self._restarts,
        }

    def _take_over(self, version: ModelVersion, seconds: float) -> None:
        before = self._active.label or None if self._active else None
        self._active = version
        self._since = now()
        self.switches += 1
        self._last_switches.append(
            {
                "at": self._since,
                "from": before,
                "to": version.label or None,
                "seconds": round(seconds, 1),
            }
        )

    def _error(self, version: ModelVersion, reason: str) -> None:
        message = self._redactor.text(reason)
        self._last_error = {"at": now(), "version": version.label or None, "message": message}


def title(version: ModelVersion) -> str:
    """`classificador-produtos version 3`, or the model's name where there are no versions."""
    label = version.label
    return f"{version.name} version {label}" if label not in ("", version.name) else version.name
