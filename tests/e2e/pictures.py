"""Pictures of what the tests see in the browser: those of the tutorial are made this way.

`make pictures` takes them again.
"""

import io
import os
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

WIDTH = 1280
HEIGHT = 800
FOLDER = os.environ.get("PICTURES")


def take(page: Page, name: str) -> None:
    """Save what the page shows now as `<name>.png`, if the variable PICTURES names a folder."""
    if not FOLDER:
        return
    # What is written over the page in grey a moment later, and where the mouse was left.
    page.mouse.move(0, HEIGHT - 1)
    shot = Image.open(io.BytesIO(page.screenshot(animations="disabled")))
    folder = Path(FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    shot.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(
        folder / f"{name}.png", optimize=True
    )
