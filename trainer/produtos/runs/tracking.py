"""The tracking server: reaching it, the experiment, and runs that never stay RUNNING."""

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import mlflow
from mlflow.entities import Experiment, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.tracking.context import registry as context
from mlflow.utils._spark_utils import modified_environ
from mlflow.utils.mlflow_tags import MLFLOW_GIT_REPO_URL, MLFLOW_SOURCE_NAME
from sqlalchemy.engine import make_url

from produtos.data.source import proxy_of
from produtos.errors import BadInput, Stopped, in_one_line, without_secrets
from produtos.language import tr
from produtos.runs import abandoned

EXPERIMENT_NAME = "classificador-produtos"
NO_SCHEME = re.compile(r"[\w.-]+:\d+(/.*)?")
"""A host and a port, as one types them into a browser."""

SET_IT = tr("set MLFLOW_TRACKING_URI, such as http://localhost:5000")

FIRST_ANSWER = 5
"""Seconds that a tracking server has to answer the first question."""

LAST_ANSWER = 8
"""Seconds for the end of a run that was stopped. Its parent needs as many, and Compose gives 20."""

SIGNS = {
    "refused": tr("connection refused"),
    "timed out": tr("no answer within {seconds} s").format(seconds=FIRST_ANSWER),
    "WRONG_VERSION_NUMBER": tr("it does not speak TLS: write http:// instead of https://"),
    "closed connection without": tr("it ended the connection: does it want https://?"),
}
"""What an error means that has this in it."""


@dataclass(frozen=True)
class Tracker:
    """A tracking server that answered, and the experiment to log to."""

    client: MlflowClient
    experiment_id: str


def reach() -> MlflowClient:
    """Ask the tracking server something, once.

    Raises:
        BadInput: it is down, or is not a tracking server, or refuses.
    """
    uri = mlflow.get_tracking_uri()
    if NO_SCHEME.fullmatch(uri):
        raise BadInput(
            "no tracking server answers at {uri}: write http:// in front, "
            "MLFLOW_TRACKING_URI=http://{uri}",
            uri=uri,
        )
    shown = without_secrets(uri)
    proxy = proxy_of(uri)
    with _impatient(FIRST_ANSWER):
        try:
            client = MlflowClient()
            client.search_experiments(max_results=1)
        except Exception as error:
            by = tr(", by the proxy {proxy}").format(proxy=proxy) if proxy else ""
            raise BadInput(
                "no tracking server answers at {shown} ({reason}{by}); start it, or set "
                "MLFLOW_TRACKING_URI to its address",
                shown=shown,
                reason=_reason(error),
                by=by,
            ) from None
    if run_id := project_run_id():
        _hide_credentials(client, run_id)
    return client


def _hide_credentials(client: MlflowClient, run_id: str) -> None:
    """Take user, password and token out of where a project came from.

    `mlflow run https://user:token@host/project.git` writes its address down as it was typed, for
    everybody who can see the run. Its parameters cannot be changed: of those the user is warned.
    """
    data = client.get_run(run_id).data
    for name in (MLFLOW_SOURCE_NAME, MLFLOW_GIT_REPO_URL):
        source = data.tags.get(name, "")
        if without_secrets(source) != source:
            client.set_tag(run_id, name, without_secrets(source))
    for name, value in data.params.items():
        if without_secrets(value) != value and "$" not in value:
            print(
                tr(
                    "warning: mlflow run has recorded {name} as it was typed; if a secret is in "
                    "{address}, delete the run {run_id}, and write the secret as $NAME"
                ).format(name=name, address=without_secrets(value), run_id=run_id),
                file=sys.stderr,
            )


def reach_registry() -> MlflowClient:
    """Reach a registry that is there already, for what needs versions and no experiment.

    Of one on this disk MLflow would make an empty one.

    Raises:
        BadInput: the server does not answer, or there is no such database or folder.
    """
    uri = mlflow.get_registry_uri()
    scheme, colon, _ = uri.partition(":")
    path = ""
    if scheme == "sqlite":
        path = make_url(uri).database or ""
    elif not colon or scheme == "file":
        path = unquote(urlsplit(uri).path)
    # SQLite has names that are no files: `:memory:`, `file:…?mode=ro`.
    if path and not path.startswith((":", "file:")) and not Path(path).exists():
        is_set = os.environ.get("MLFLOW_TRACKING_URI")
        unset = "" if is_set else tr("MLFLOW_TRACKING_URI is not set, and ")
        raise BadInput(
            "{unset}there are no models in {uri}, which does not exist; {remedy}",
            unset=unset,
            uri=uri,
            remedy=SET_IT,
        )
    return reach()


def connect() -> Tracker:
    """Reach the tracking server and find or make the experiment.

    The experiment is the one of the run that `mlflow run` made, else the one that
    MLFLOW_EXPERIMENT_NAME or MLFLOW_EXPERIMENT_ID says, else `classificador-produtos`.

    Raises:
        BadInput: the server does not answer, or there is no such experiment.
    """
    client = reach()
    found = experiment_of(client)
    if found is not None and found.lifecycle_stage != "active":
        raise BadInput(
            "the experiment {name} was deleted; set MLFLOW_EXPERIMENT_NAME to another "
            "name, or restore it while MLflow runs: mlflow experiments restore "
            "--experiment-id {experiment_id}",
            name=found.name,
            experiment_id=found.experiment_id,
        )
    # Makes it if it is not there. MLflow logs a model to the experiment that is set, whatever run
    # the model belongs to.
    experiment = mlflow.set_experiment(found.name if found else _experiment_name())
    experiment_id = str(experiment.experiment_id)
    abandoned.close_all(client, experiment_id)
    return Tracker(client, experiment_id)


def _experiment_name() -> str:
    return os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT_NAME


def experiment_of(client: MlflowClient) -> Experiment | None:
    """The experiment that `connect` would log to, if it is there or was; none is made.

    Raises:
        BadInput: MLFLOW_EXPERIMENT_ID names one that never was.
    """
    if run_id := project_run_id():
        return client.get_experiment(client.get_run(run_id).info.experiment_id)
    number = os.environ.get("MLFLOW_EXPERIMENT_ID")
    if not number or os.environ.get("MLFLOW_EXPERIMENT_NAME"):
        return client.get_experiment_by_name(_experiment_name())
    try:
        return client.get_experiment(number)
    except MlflowException:
        raise BadInput(
            "there is no experiment {number}; set MLFLOW_EXPERIMENT_ID to one that "
            "exists, or unset it",
            number=number,
        ) from None


def _reason(error: Exception) -> str:
    cause: BaseException = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__ or cause
    message, _, _ = in_one_line(cause).partition(". Response body")
    return next((meaning for sign, meaning in SIGNS.items() if sign in message), message[:160])


def _impatient(timeout: int) -> AbstractContextManager[None]:
    """MLflow's client asks once, and waits so many seconds, until the end of the block."""
    asked = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": str(timeout)}
    return modified_environ(asked)


def project_run_id() -> str | None:
    """The run that `mlflow run` made for this process, if it was started that way."""
    return os.environ.get("MLFLOW_RUN_ID") or None


@cache
def source_tags() -> dict[str, str]:
    """Who, which file, which git commit; asked once, since git is a process each time."""
    return dict(context.resolve_tags())


@contextmanager
def running(
    tracker: Tracker,
    name: str,
    *,
    run_id: str | None = None,
    tags: dict[str, str] | None = None,
) -> Iterator[Run]:
    """A run that ends FINISHED, FAILED after an error, or KILLED after a signal.

    Args:
        tracker: where it is kept.
        name: its name on the page.
        run_id: continue this one instead of starting one.
        tags: more tags.
    """
    tags = abandoned.tags() | (tags or {})
    try:
        if run_id:
            tracker.client.update_run(run_id, status="RUNNING", name=name)
            run = tracker.client.get_run(run_id)
            log(tracker, run, tags=tags)
        else:
            run = tracker.client.create_run(
                tracker.experiment_id, tags=source_tags() | tags, run_name=name
            )
            run_id = run.info.run_id
        with abandoned.beating(tracker.client, run_id):
            yield run
        tracker.client.set_terminated(run_id, "FINISHED")
    except BaseException as error:
        # If the server is still there; the real error comes first.
        with _impatient(LAST_ANSWER), suppress(Exception):
            if run_id:
                status = "KILLED" if isinstance(error, Stopped) else "FAILED"
                tracker.client.set_terminated(run_id, status)
            elif isinstance(error, Stopped):
                abandoned.close_unconfirmed(tracker.client, tracker.experiment_id, name)
        raise


def log(
    tracker: Tracker,
    run: Run,
    *,
    parameters: dict[str, str] | None = None,
    metrics: dict[str, float] | None = None,
    tags: dict[str, str] | None = None,
) -> None:
    """Log all of this at once, metrics as measured now.

    Parameters that `mlflow run` logged already are left out: they cannot be changed.
    """
    now = int(time.time() * 1000)
    tracker.client.log_batch(
        run.info.run_id,
        params=[Param(k, v) for k, v in (parameters or {}).items() if k not in run.data.params],
        metrics=[Metric(k, v, now, 0) for k, v in (metrics or {}).items()],
        tags=[RunTag(k, v) for k, v in (tags or {}).items()],
    )
