"""Tables of products to classify, and the tables that come back."""

import csv
from pathlib import Path


def answers(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def products(path: Path, count: int) -> Path:
    with path.open("w", encoding="utf-8") as file:
        file.write("id;nome;descricao\n")
        file.writelines(f"{n};boneca {n};de pano\n" for n in range(count))
    return path
