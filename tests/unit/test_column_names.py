"""The four lists of names that a text's columns may have: each reader has its own, all the same."""

import json
import re
from pathlib import Path

from hotserve.inputs import columns as of_the_api
from produtos.data import columns as of_the_trainer
from produtos.model import product_classifier as of_a_model

PAGE = Path(of_the_api.__file__).parents[1] / "page" / "products.js"


def test_trainer_model_api_and_page_know_the_same_columns() -> None:
    whole, parts = of_the_trainer.TEXT_COLUMNS, of_the_trainer.PART_COLUMNS
    assert (whole, parts) == (of_a_model.TEXT_COLUMNS, of_a_model.PART_COLUMNS)
    assert (whole, parts) == (of_the_api.WHOLE_TEXT, of_the_api.TEXT_PARTS)
    found = re.search(r"^const TEXT_COLUMNS = (.+);$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert found
    assert json.loads(found[1]) == [*([name] for name in whole), list(parts)]
