"""The chapter's two versions: without accent handling in Production, with it in Staging."""

import csv
import re
import sys
from pathlib import Path

import mlflow
from mlflow import MlflowClient

from produtos.registry import registry
from tests.e2e.conftest import MlflowServer, pointed_at
from tests.support.commands import ROOT, completed

TRAIN = ROOT / "trainer" / "train.py"

SAMPLES = {
    "livro": ("senhor dos anéis, volume {}", 20),
    "brinquedo": ("senhor batata, boneca de pano {}", 60),
    "game": ("halo {} para console", 40),
    "maquiagem": ("batom cor {}", 40),
}


def write_products(path: Path) -> Path:
    """A small table of products on which words with and without their accent matter.

    Half of the products have a word that another one of their category has, too, but only one of
    the two with its accent.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";", lineterminator="\n")
        writer.writerow(["nome", "descricao", "categoria"])
        for category, (name, count) in SAMPLES.items():
            for number in range(count):
                writer.writerow([name.format(number), "", category])
                for word in (f"coleção{category}{number}", f"colecao{category}{number}"):
                    writer.writerow([word, "novo, na caixa", category])
    return path


def train_two_versions(server: MlflowServer) -> Path:
    """Train both by command, register them as the web page does, and place them.

    Returns:
        The data set.
    """
    products = write_products(server.home / "produtos.csv")
    for strip_accents, stage in (("não", registry.PRODUCTION), ("sim", registry.STAGING)):
        trained = completed(
            [
                *(sys.executable, str(TRAIN), "--strip_accents", strip_accents),
                *("--dataset", str(products)),
            ],
            env=server.environment(),
            timeout=300,
        )
        assert trained.returncode == 0, trained.stderr
        found = re.search(r"models:/(m-\w+)", trained.stdout)
        assert found, trained.stdout
        with pointed_at(server) as client:
            version = mlflow.register_model(f"models:/{found[1]}", registry.MODEL_NAME)
            registry.move(client, version, stage)
    return products


def place(client: MlflowClient) -> None:
    """Version 1 in Production, version 2 in Staging, and no other alias, whatever was done."""
    for number, stage in (("1", registry.PRODUCTION), ("2", registry.STAGING)):
        registry.move(client, client.get_model_version(registry.MODEL_NAME, number), stage)
    for alias in client.get_registered_model(registry.MODEL_NAME).aliases:
        if alias not in ("production", "staging"):
            client.delete_registered_model_alias(registry.MODEL_NAME, alias)
