"""What serves the page, and what the tests type into it."""

import os
from dataclasses import dataclass

import mlflow

from produtos.data.dataset import load
from produtos.model import flavor as model_flavor
from produtos.parameters import Parameters
from produtos.runs.training import train
from tests.e2e.hotserve_models import Registry
from tests.e2e.hotserve_process import Hotserve
from tests.e2e.watched_page import Watched

PICTURES = os.environ.get("PICTURES")
NAME = "classificador-produtos" if PICTURES else "hotserve-page"
CATEGORIES = {"livro", "brinquedo", "maquiagem", "game"}
SEVERAL = "boneca de pano\nsenhor dos anéis, volume 2\n\nhalo para xbox\n"
TABLE = 'nome;descricao;sku\nBoneca;"de pano; feita à mão";1\nHalo;jogo para xbox;2\n;batom;3\n'


@dataclass(frozen=True)
class Served:
    """A hotserve on Production of `NAME`.

    Attributes:
        with_probabilities: versions trained by the trainer, by classifier.
        without: a version that gives categories only.
    """

    hotserve: Hotserve
    registry: Registry
    with_probabilities: dict[str, str]
    without: str
    waiting_page: Watched

    def promote(self, version: str) -> None:
        """Move it to Production and wait until it answers."""
        self.registry.move(NAME, version, "Production")
        self.hotserve.wait_for_version(version)


def trained_version(registry: Registry, classifier: str) -> str:
    """A version as the trainer makes them, on the data set that ships; returns its number."""
    trained = train(load(), Parameters(classifier=classifier))
    mlflow.set_tracking_uri(registry.url)
    mlflow.set_experiment(NAME)
    with mlflow.start_run() as run:
        mlflow.log_metrics(trained.metrics())
        model_id = model_flavor.log(trained.pipeline, run.info.run_id)
    return str(mlflow.register_model(f"models:/{model_id}", NAME).version)


LABELLED = """nome;categoria
boneca de pano;brinquedo
halo para xbox;brinquedo
senhor dos anéis;livro
batom;
"""
