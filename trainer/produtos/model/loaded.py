"""A saved model, loaded to be asked for the categories of texts."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from produtos.errors import BadInput, in_one_line


class LoadedModel:
    """Any pyfunc model that takes a list of texts.

    Args:
        uri: a folder, or an address that MLflow can load.
        label: what it is called in an error message.
        folder: where MLflow puts its copy of what comes from a server; else it stays behind in
            the temporary folder.

    Raises:
        BadInput: it cannot be loaded.
    """

    def __init__(self, uri: str, label: str, folder: str | None = None) -> None:
        # Here and not above: a batch job's own process may never need it.
        import mlflow.pyfunc

        self._label = label
        try:
            self._model = mlflow.pyfunc.load_model(uri, suppress_warnings=True, dst_path=folder)
        except Exception as error:
            raise BadInput(
                "{label}: cannot be loaded ({error})", label=label, error=in_one_line(error)
            ) from None

    def answers(self, texts: Sequence[str]) -> list[str]:
        """One category for each text, in their order.

        Raises:
            BadInput: it does not classify texts.
        """
        try:
            answers = [str(answer) for answer in _listed(self._model.predict(list(texts)))]
        except Exception as error:
            raise BadInput(
                "{label}: does not classify a list of texts ({error})",
                label=self._label,
                error=in_one_line(error),
            ) from None
        if len(answers) != len(texts):
            raise BadInput(
                "{label}: gave {answers} answers for {texts} texts; one for each was expected",
                label=self._label,
                answers=len(answers),
                texts=len(texts),
            )
        return answers

    def categories(self) -> frozenset[str] | None:
        """Every category that it may answer with; None for a model that does not say."""
        implementation = self._model._model_impl
        for name in ("pipeline", "sklearn_model"):
            classes = getattr(getattr(implementation, name, None), "classes_", None)
            if classes is not None:
                return frozenset(map(str, classes))
        return None


def _listed(answers: Any) -> Iterable[Any]:
    # Item by item, an array is slower than the list that it makes of itself; of numbers and dates
    # that list shows more digits than they have.
    if isinstance(answers, np.ndarray) and answers.dtype.kind in "UO":
        listed: list[Any] = answers.tolist()
        return listed
    items: Iterable[Any] = answers
    return items
