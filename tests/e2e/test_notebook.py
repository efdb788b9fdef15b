"""The notebook that explores the data set: runs from top to bottom, as a student would run it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from produtos.data import dataset

ROOT = Path(__file__).resolve().parents[2]
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
    # Raises at the first cell that fails, with its traceback.
    where = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=300, startup_timeout=300, resources=where).execute()
    assert list(folder.iterdir()) == []
    return notebook


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
    assert shipped.summary() in said
    for category in shipped.categories:
        count = sum(product.category == category for product in shipped.products)
        assert f"{category} " in said
        assert str(count) in said
    assert "acurácia 0.9" in said


def test_committed_file_has_no_outputs() -> None:
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    for cell in content["cells"]:
        assert not cell.get("outputs"), cell["id"]
        assert cell.get("execution_count") is None, cell["id"]
    assert NOTEBOOK.stat().st_size < 50_000
