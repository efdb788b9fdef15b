"""Registered versions whose models are a table of answers."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from produtos.data.dataset import Dataset, Product
from produtos.data.summary import Summary
from produtos.errors import BadInput
from produtos.registry.registry import MODEL_NAME
from produtos.text import normal_form, product_text


def dataset(categories: Sequence[str] = ("game", "livro"), count: int = 120) -> Dataset:
    """Products whose name begins with their category; some are in the hold-out."""
    products = []
    for number in range(count):
        category = categories[number % len(categories)]
        name = f"{category} {number}"
        products.append(Product(name, "novo", category, normal_form(product_text(name, "novo"))))
    counts = Counter(product.category for product in products)
    digest = hashlib.sha256(b"").hexdigest()
    return Dataset(tuple(products), b"", Summary("/dados/produtos.csv", digest, by_category=counts))


def version(client: MlflowClient, run_id: str | None = None, **tags: str) -> ModelVersion:
    """The next version of the registered model."""
    try:
        client.create_registered_model(MODEL_NAME)
    except MlflowException:
        assert client.get_registered_model(MODEL_NAME)
    return client.create_model_version(MODEL_NAME, "/nowhere", run_id=run_id, tags=tags)


class Models:
    """Stands for what is loaded: for each version's number its answers, or an error.

    Attributes:
        asked: the texts that each version was asked for.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: dict[str, list[str]] = {}
        self._known: dict[str, tuple[Mapping[str, str], frozenset[str] | None]] = {}
        models = self

        class Loaded:
            def __init__(self, uri: str, label: str, _folder: str) -> None:
                self.number = uri.rpartition("/")[2]
                if self.number not in models._known:
                    raise BadInput(f"{label}: cannot be loaded (its files are gone)")

            def answers(self, texts: Sequence[str]) -> list[str]:
                models.asked[self.number] = list(texts)
                replaced, _ = models._known[self.number]
                words = [text.partition(" ")[0] for text in texts]
                return [replaced.get(word, word) for word in words]

            def categories(self) -> frozenset[str] | None:
                return models._known[self.number][1]

        monkeypatch.setattr("produtos.registry.comparison.LoadedModel", Loaded)

    def answer(
        self,
        version: ModelVersion,
        replaced: Mapping[str, str] | None = None,
        categories: Sequence[str] | None = None,
    ) -> None:
        """From now on a version answers with a text's first word, or with what replaces it."""
        known = frozenset(categories) if categories is not None else None
        self._known[str(version.version)] = (replaced or {}, known)
