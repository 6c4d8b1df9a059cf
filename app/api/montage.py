"""The eigenpatches of a job in one picture, each with the classifier's verdict."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

CELL = 76  # px, side of a drawn eigenpatch
GAP = 6
CAPTION = 14
COLUMNS = 16
KEPT, DROPPED, INK, PAPER = "#1a7f37", "#b8b8b8", "#24292f", "#ffffff"


def montage(
    eigenpatches: Mapping[str, NDArray[Any]], stack_reports: Sequence[Mapping[str, Any]]
) -> Image.Image:
    """Draw every stack's offered eigenpatches, framed green where kept, with their utility.

    Parameters
    ----------
    eigenpatches : mapping of str to ndarray, shape (k, p, p)
        By ``"stack1"``, ``"stack2"``, ...
    stack_reports : sequence of mapping
        The report's, in the same order.
    """
    blocks = [_stack(eigenpatches[f"stack{report['stack']}"], report) for report in stack_reports]
    width = max(block.width for block in blocks)
    sheet = Image.new("RGB", (width, sum(block.height for block in blocks)), PAPER)
    top = 0
    for block in blocks:
        sheet.paste(block, (0, top))
        top += block.height
    return sheet


def _stack(patches: NDArray[Any], report: Mapping[str, Any]) -> Image.Image:
    columns = min(COLUMNS, len(patches))
    rows = -(-len(patches) // columns)
    pitch_x, pitch_y = CELL + GAP, CELL + GAP + CAPTION
    title = 2 * CAPTION
    block = Image.new("RGB", (GAP + columns * pitch_x, title + rows * pitch_y + GAP), PAPER)
    draw = ImageDraw.Draw(block)
    font = ImageFont.load_default(size=11)
    kept = report["kept"]
    draw.text(
        (GAP, GAP),
        f"Stack {report['stack']}: {sum(kept)} of {len(kept)} eigenpatches kept"
        "  (green frame = kept; caption = index: utility)",
        fill=INK,
        font=ImageFont.load_default(size=13),
    )
    for index, patch in enumerate(patches):
        x = GAP + (index % columns) * pitch_x
        y = title + (index // columns) * pitch_y
        colour = KEPT if kept[index] else DROPPED
        draw.rectangle((x - 3, y - 3, x + CELL + 2, y + CELL + 2), fill=colour)
        block.paste(grays(patch), (x, y))
        caption = f"{index + 1}: {report['utilities'][index]:.2f}"
        draw.text((x, y + CELL + 2), caption, fill=INK, font=font)
    return block


def grays(patch: NDArray[Any]) -> Image.Image:
    """Zero is mid-gray: an eigenpatch has a sign pattern, not a brightness."""
    largest = float(np.abs(patch).max()) or 1.0
    grays = np.rint(127.5 * (1 + patch / largest)).astype(np.uint8)
    return Image.fromarray(grays).resize((CELL, CELL), Image.Resampling.NEAREST)
