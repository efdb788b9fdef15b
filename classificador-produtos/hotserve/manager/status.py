"""The contents of `/model`: which version answers, since when, what went wrong."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hotserve.config.model_uri import ModelReference
from hotserve.manager.registry import ModelVersion
from hotserve.redaction import Redactor

_REMEMBERED_SWITCHES = 10
_FIELDS = (
    *("name", "uri", "state", "message", "version", "stage", "aliases", "run_id", "model_id"),
    *("metrics", "since", "columns", "signature", "expected", "seen", "lane", "batching"),
    *("process", "note", "compared", "wanted", "last_error", "registry", "switches", "restarts"),
)
"""As `/model` shows them."""


def now() -> str:
    """This moment in ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class Status:
    """The state of service in words, without paths of this machine.

    `state` is `waiting` (nothing to serve yet), `starting`, `serving` or `restarting`; `message`
    says why there is no answer at the moment, with every 503.

    Args:
        changed: called after every change.

    Attributes:
        switches: how often a version took over, so far.
        failed_starts: how often a version would not start, so far.
    """

    def __init__(
        self, reference: ModelReference, redactor: Redactor, changed: Callable[[], None]
    ) -> None:
        self._reference = reference
        self._redactor = redactor
        self._changed = changed
        self.switches = 0
        self.failed_starts = 0
        self._served: object = None
        self._shown: dict[str, Any] = {
            **dict.fromkeys(_FIELDS),
            "name": reference.name,
            "uri": reference.shown,
            "state": "waiting",
            "message": "hotserve has just begun",
            **{name: [] for name in ("aliases", "columns", "switches")},
            "restarts": 0,
        }

    def to_json(self) -> dict[str, Any]:
        """The object that `/model` answers, without what the active version knows of itself."""
        return {**self._shown}

    def waiting(self, reason: str) -> None:
        """Nothing to serve, and why."""
        self._set(state="waiting", message=reason)

    def starting(self, version: ModelVersion) -> None:
        """A version is starting; the one before goes on."""
        if self._served is None:
            self._shown |= {"state": "starting", "message": f"{title(version)} is starting"}
            self._process("starting")
        self._set(wanted=self._wanted(version, "starting", "fetch"))

    def step(self, name: str) -> None:
        """How far the version is that is starting: `fetch`, `start` or `compare`."""
        wanted = self._shown["wanted"]
        if wanted and wanted["state"] == "starting":
            self._set(wanted={**wanted, "step": name})

    def failed(self, version: ModelVersion, reason: str) -> None:
        """A version would not start."""
        self.failed_starts += 1
        if self._served is None:
            why = self._redactor.text(reason)
            self._shown["message"] = f"{title(version)} would not start: {why}"
        self.not_started(version, reason)

    def not_started(self, version: ModelVersion, reason: str) -> None:
        """What is served is not what is desired, as that would not start."""
        before = self._shown["wanted"] or {}
        wanted = self._wanted(version, "failed", before.get("step"))
        self._set(wanted=wanted, last_error=self._error(version, reason))

    def serving_by_lane(self, version: ModelVersion, seconds: float) -> None:
        """The fast lane of a version answers; its process is still starting."""
        self._take_over(version, seconds)
        self._set(state="starting", message=f"the process of {title(version)} is starting")

    def serving(self, version: ModelVersion, seconds: float) -> None:
        """A version has taken over, `seconds` after it was asked for."""
        if self._served != version.identity:
            self._take_over(version, seconds)
        self._process("running")
        self._set(state="serving", message=None, wanted=None)

    def nothing_is_starting(self) -> None:
        """What was starting, or would not start, is not desired any more."""
        self._set(wanted=None)

    def restarting(self, version: ModelVersion, reason: str) -> None:
        """The server process ended and is started again."""
        self._process("starting")
        self._set(
            state="restarting",
            message=f"{title(version)} is being started again: {self._redactor.text(reason)}",
            last_error=self._error(version, reason),
            restarts=self._shown["restarts"] + 1,
        )

    def process_is_back(self) -> None:
        """The server process is there again, or still."""
        self._process("running")
        self._set(state="serving", message=None)

    def asleep(self) -> None:
        """The server process sleeps until a request needs it."""
        self._process("asleep")
        self._changed()

    def waking(self) -> None:
        """A request needs it, and it is starting."""
        self._process("starting", wakes=1)
        self._changed()

    def note(self, text: str | None) -> None:
        """Something about what is served that a person should know, or nothing."""
        self._set(note=text)

    def compared(self, shown: dict[str, object] | None) -> None:
        """The version that is shown beside, if there is one."""
        why = shown and shown.get("why")
        redacted = {**shown, "why": self._redactor.text(str(why))} if shown and why else shown
        self._set(compared=redacted)

    def registry(self, error: str | None) -> None:
        """The registry answered (None), or why it did not."""
        known = self._shown["registry"]
        if (registry := registry_state(known, error)) is not known:
            self._set(registry=registry)

    def full_title(self, version: ModelVersion) -> str:
        """Its title, and in brackets which stage or alias is followed, if one is."""
        words = self._reference.describe()
        return f"{title(version)} ({words})" if words else title(version)

    def _process(self, state: str, wakes: int = 0) -> None:
        """`starting`, `running` or `asleep`; the next change of the rest shows it."""
        before = self._shown["process"] or {"state": None, "wakes": 0}
        if before["state"] != state:
            wakes += before["wakes"]
            self._shown["process"] = {"state": state, "since": now(), "wakes": wakes}

    def _set(self, **fields: Any) -> None:
        self._shown |= fields
        self._changed()

    def _take_over(self, version: ModelVersion, seconds: float) -> None:
        self.switches += 1
        self._served = version.identity
        switches, since = self._shown["switches"], now()
        before = switches[-1]["to"] if switches else None
        switch = {"at": since, "from": before, "to": version.label or None}
        last = [*switches, {**switch, "seconds": round(seconds, 1)}]
        self._shown |= {"since": since, "switches": last[-_REMEMBERED_SWITCHES:]}

    def _wanted(self, version: ModelVersion, state: str, step: str | None) -> dict[str, Any]:
        return {"version": version.label or None, "state": state, "step": step, "since": now()}

    def _error(self, version: ModelVersion, reason: str) -> dict[str, Any]:
        message = self._redactor.text(reason)
        return {"at": now(), "version": version.label or None, "message": message}


def registry_state(known: dict[str, Any] | None, error: str | None) -> dict[str, Any]:
    """Whether the registry answered (no error), and since when: `known`, if it is as before."""
    if known is not None and known["error"] == error:
        return known
    return {"reachable": error is None, "error": error, "since": now()}


def title(version: ModelVersion) -> str:
    """`classificador-produtos version 3`, or the model's name where there are no versions."""
    label = version.label
    return f"{version.name} version {label}" if label not in ("", version.name) else version.name
