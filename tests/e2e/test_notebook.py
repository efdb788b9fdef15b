"""The notebook that explores the data set: runs from top to bottom, as a student would run it.

With PICTURES set, its outputs are kept in the file.
"""

import os
import re
import shutil
import subprocess
import sys
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from produtos.data import dataset
from produtos.parameters import Parameters
from produtos.runs.training import train
from tests.e2e.hotserve_models import save
from tests.e2e.hotserve_process import running_hotserve
from tests.support.commands import ROOT

NOTEBOOK = ROOT / "docs" / "notebook" / "exploracao.ipynb"


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The notebook after "Run all" in a folder laid out like a clone."""
    clone = tmp_path_factory.mktemp("clone")
    folder = clone / "docs" / "notebook"
    folder.mkdir(parents=True)
    shutil.copytree(
        ROOT / "trainer", clone / "trainer", ignore=shutil.ignore_patterns("__pycache__")
    )
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    # A first import on a slow machine says that it looks at the fonts; this is not about that.
    subprocess.run([sys.executable, "-c", "import matplotlib.font_manager"], check=True)
    metadata = notebook.metadata.copy()
    where = {"metadata": {"path": str(folder)}}
    client = NotebookClient(
        notebook,
        timeout=300,
        startup_timeout=300,
        resources=where,
        record_timing=False,
        coalesce_streams=True,
    )
    served = save(train(dataset.load(), Parameters()).pipeline, clone / "served")
    with (
        running_hotserve(served, clone / "home") as hotserve,
        pytest.MonkeyPatch.context() as variables,
    ):
        hotserve.wait_until_serving()
        variables.setenv("CLASSIFICADOR", hotserve.url)
        # Raises at the first cell that fails, with its traceback.
        client.execute()
    assert list(folder.iterdir()) == []
    notebook.metadata = metadata
    if os.environ.get("PICTURES"):
        nbformat.write(notebook, NOTEBOOK)  # type: ignore[no-untyped-call]
    return notebook


def told_by(cell: Any) -> tuple[str, list[list[str]]]:
    """What a cell printed, and the kinds of the tables and pictures that it showed."""
    outputs = cell.get("outputs", [])
    text = "".join(output.get("text", "") for output in outputs)
    return text, [sorted(output["data"]) for output in outputs if "data" in output]


def printed(notebook: Any) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "\n".join(output["text"] for output in outputs if output["output_type"] == "stream")


def test_every_plot_is_made(executed: Any) -> None:
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    # Counts, lengths, words, confusion matrix.
    assert len(pictures) == 4
    assert not [output for output in outputs if output.get("name") == "stderr"]


def test_figures_are_those_of_the_project(executed: Any) -> None:
    said = printed(executed)
    shipped = dataset.load()
    assert str(shipped.summary) in said
    for category in shipped.categories:
        count = sum(product.category == category for product in shipped.products)
        assert f"{category} " in said
        assert str(count) in said
    assert "acurácia 0.9" in said


def test_the_last_cell_asks_the_model_that_is_served(executed: Any) -> None:
    said = "".join(output["text"] for output in executed.cells[-1]["outputs"])
    first, _, *answers = said.splitlines()
    assert re.fullmatch(r"Quem responde é a versão \w+\.", first)
    assert [line.split()[-1] for line in answers] == ["brinquedo", "game", "livro", "livro"]


def test_the_word_without_its_accent_stands_in_toys_only(executed: Any) -> None:
    (cell,) = [cell for cell in executed.cells if cell["id"] == "codigo-18"]
    table = cell["outputs"][0]["data"]["text/plain"]
    counts = {row.split()[0]: int(row.split()[2]) for row in table.splitlines()[2:]}
    assert [category for category, count in counts.items() if count] == ["brinquedo"]


def test_committed_outputs_are_those_of_a_run(executed: Any) -> None:
    kept = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    # Which version answers at the end differs from server to server.
    for cell, now in zip(kept.cells[:-1], executed.cells[:-1], strict=True):
        assert told_by(cell) == told_by(now), "run make pictures"
    assert kept.cells[-1]["outputs"]
    assert NOTEBOOK.stat().st_size < 400_000
