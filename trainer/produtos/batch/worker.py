"""The process that answers: loads models once, then takes one chunk of texts after another."""

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from produtos.errors import BadInput, in_one_line


@dataclass(frozen=True)
class ModelFolder:
    """A model on this machine's disk, and how to call it in an error message."""

    path: str
    name: str


@dataclass
class _State:
    folders: Sequence[ModelFolder] = ()
    models: list[Any] = field(default_factory=list)


_state = _State()


def serve(connection: Connection, folders: Sequence[ModelFolder]) -> None:
    """Be a worker: take chunks of texts from the connection, and send back what `classify` gives.

    A `BadInput` is sent back, too. It ends when the other side closes the connection.
    """
    start(folders)
    with contextlib.suppress(EOFError, OSError):
        while True:
            texts: list[str] = connection.recv()
            answers: list[list[str]] | BadInput
            try:
                answers = classify(texts)
            except BadInput as error:
                answers = error
            connection.send(answers)


def start(folders: Sequence[ModelFolder]) -> None:
    """Prepare a process; the models are loaded when the first chunk comes."""
    # Ctrl-C, and the end of a terminal, go to the whole group; the job's own process says what is
    # to be done about it.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    use(folders)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def use(folders: Sequence[ModelFolder]) -> None:
    """From now on answer with these models, without passing on what they and MLflow warn of."""
    # Taken here and not filtered: around the class of a foreign model MLflow sets its own filter.
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.ERROR)
    _state.folders = folders
    _state.models = []


def _end_with_parent() -> None:
    """A job that was killed must not leave its workers waiting for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def classify(texts: list[str]) -> list[list[str]]:
    """The category of each text, by each of the models.

    Raises:
        BadInput: a model cannot be loaded, or does not give one answer for each text.
    """
    if not _state.models:
        _state.models = [_load(folder) for folder in _state.folders]
    if not texts:
        return [[] for _ in _state.folders]
    return [
        _answers(folder, model, texts)
        for folder, model in zip(_state.folders, _state.models, strict=True)
    ]


def _load(folder: ModelFolder) -> Any:
    # Here and not above: the job's own process may never need it.
    import mlflow.pyfunc

    try:
        return mlflow.pyfunc.load_model(folder.path, suppress_warnings=True)
    except Exception as error:
        raise BadInput(f"model {folder.name}: cannot be loaded ({in_one_line(error)})") from None


def _answers(folder: ModelFolder, model: Any, texts: list[str]) -> list[str]:
    try:
        answers = [str(answer) for answer in _listed(model.predict(texts))]
    except Exception as error:
        raise BadInput(
            f"model {folder.name}: does not classify a list of texts ({in_one_line(error)})"
        ) from None
    if len(answers) != len(texts):
        raise BadInput(
            f"model {folder.name}: gave {len(answers)} answers for {len(texts)} texts; "
            "one for each was expected"
        )
    return answers


def _listed(answers: Any) -> Iterable[Any]:
    # Item by item, an array is slower than the list that it makes of itself; of numbers and dates
    # that list shows more digits than they have.
    if isinstance(answers, np.ndarray) and answers.dtype.kind in "UO":
        listed: list[Any] = answers.tolist()
        return listed
    items: Iterable[Any] = answers
    return items
