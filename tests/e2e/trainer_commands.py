"""The commands of the trainer, run against a tracking server."""

import random
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

from tests.e2e.conftest import MlflowServer
from tests.support.commands import ROOT, completed

TRAINER = ROOT / "trainer"
NAME = "classificador-produtos"
WORDS = {
    "livro": "livro romance autor conto editora capa leitura poesia senhor anéis",
    "brinquedo": "boneca carrinho pano criança brincar montar peças urso bola",
    "game": "jogo console xbox fases halo corrida tiro controle pontos",
    "maquiagem": "batom pele rímel cor pincel sombra blush lábios base",
}


@dataclass(frozen=True)
class Trainer:
    """The commands, run to their end from a folder that has nothing to do with them.

    Attributes:
        server: where runs are recorded.
        client: of that server.
        small: a data set that is trained on in a moment.
    """

    server: MlflowServer
    client: MlflowClient
    small: Path

    def run(
        self, entry: str, *arguments: object, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return completed(
            command(entry, *arguments),
            env=self.server.environment(**variables),
            cwd=self.server.home,
        )

    def done(self, entry: str, *arguments: object, **variables: str) -> str:
        """What one that must succeed said; nothing is wrong."""
        ended = self.run(entry, *arguments, **variables)
        assert (ended.returncode, ended.stderr) == (0, "")
        return ended.stdout

    def runs(self, experiment: str) -> list[Run]:
        found = self.client.get_experiment_by_name(experiment)
        return list(self.client.search_runs([found.experiment_id])) if found else []

    def statuses(self) -> Counter[str]:
        """Runs by status, in all experiments."""
        everywhere = [each.experiment_id for each in self.client.search_experiments()]
        return Counter(run.info.status for run in self.client.search_runs(everywhere))

    def artifacts(self, run_id: str, path: str | None = None) -> set[str]:
        names: set[str] = set()
        for entry in self.client.list_artifacts(run_id, path):
            names |= self.artifacts(run_id, entry.path) if entry.is_dir else {entry.path}
        return names

    def version(self, number: int) -> Any:
        return self.client.get_model_version(NAME, str(number))


def command(entry: str, *arguments: object) -> list[str]:
    return [sys.executable, str(TRAINER / f"{entry}.py"), *map(str, arguments)]


def small_table(path: Path) -> Path:
    chance = random.Random(4)
    lines = ["nome;descricao;categoria"]
    for number in range(400):
        category = list(WORDS)[number % 4]
        name, description = (
            " ".join(chance.choices(WORDS[category].split(), k=4)) for _ in range(2)
        )
        lines.append(f"{name} {number};{description if number % 3 else ''};{category}")
    path.write_text("\n".join([*lines, lines[1], ";;livro"]) + "\n", encoding="utf-8")
    return path
