"""The models that a front worker serves, each with all that is its own."""

from collections.abc import Callable, Collection
from urllib.parse import quote

from hotserve.worker.model_paths import Model
from hotserve.worker.routing import PREDICTIONS

FOLDER = "/models/"
"""What the paths of a model begin with where many are served; its name follows."""

_SAFE = "!$&'()*+,;=:@"
"""What may stand in a part of a path as it is (RFC 3986, 3.3)."""


class Models:
    """Either one model, whose paths begin at `/`, or many below `/models/`.

    Args:
        only: the name of the one model; empty where there are many.
        make: makes one of its name.

    Attributes:
        root: the one model; where there are many, what is said of all of them.
        by_url: by the path of its predictions as it is sent, in its usual spellings.
    """

    def __init__(self, only: str, make: Callable[[str], Model]) -> None:
        self._make = make
        self.are_many = not only
        self.root = make(only)
        self._models = {} if self.are_many else {only: self.root}
        self.by_url: dict[bytes, Model] = {}
        if not self.are_many:
            self.by_url[PREDICTIONS.encode()] = self.root

    def get(self, name: str) -> Model | None:
        """The model of that name, if it is served."""
        model = self._models.get(name)
        return model if model is not None and model.is_served else None

    def all(self) -> Collection[Model]:
        """Those that are served, without `root` where there are many."""
        return [model for model in self._models.values() if model.is_served]

    def everything(self) -> Collection[Model]:
        """What the manager says something of, or did, `root` included."""
        return [self.root, *self._models.values()] if self.are_many else [self.root]

    def take(self, name: str) -> Model:
        """The model that a message of the manager is about; a new one if need be."""
        if not self.are_many or not name:
            return self.root
        model = self._models.get(name)
        if model is None:
            model = self._models[name] = self._make(name)
            for url in _urls(name):
                self.by_url[url] = model
        return model

    def forget_those_gone(self) -> None:
        """Let go of models that are not served any more, once nothing is under way there."""
        for name, model in [*self._models.items()]:
            if self.are_many and model.serving.is_over:
                del self._models[name]
                for url in _urls(name):
                    self.by_url.pop(url, None)


def _urls(name: str) -> set[bytes]:
    return {f"{FOLDER}{quote(name, safe=safe)}{PREDICTIONS}".encode() for safe in ("", _SAFE)}
