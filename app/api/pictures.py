"""Pictures for people: previews of images, and eigenpatches with the classifier's verdicts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from worker.formats import display
from worker.pyramid.layout import is_large

CELL = 76  # px, side of a drawn eigenpatch
GAP = 6
CAPTION = 14
COLUMNS = 16
PIECE = 2**20  # pixels that are averaged at a time
LADDER = (16, 32, 64, 128, 256, 512, 1024, 2048)  # px, sides of previews
KEPT, DROPPED, INK, PAPER = "#1a7f37", "#b8b8b8", "#24292f", "#ffffff"


def draw_preview(means: NDArray[np.float64], path: Path) -> None:
    """Write a PNG of means of blocks, which show noise as it would look from afar."""
    Image.fromarray(display(means)).save(path, format="PNG")


def preview_step(shape: tuple[int, int], side: int) -> int:
    """Side of the blocks of a preview whose longer side is at most so many px.

    Of a large image a power of two, of which there may be levels.
    """
    step = -(-max(shape) // side)
    return 1 << (step - 1).bit_length() if is_large(shape) else step


def block_means_in_pieces(frame: NDArray[Any], step: int) -> NDArray[np.float64]:
    """The same as `block_means`, a band of rows at a time: the frame may be mapped from a file."""
    rows = step * max(1, PIECE // (step * frame.shape[1]))
    bands = [frame[start : start + rows] for start in range(0, len(frame), rows)]
    return np.concatenate([block_means(band, step) for band in bands])


def block_means(frame: NDArray[Any], step: int) -> NDArray[np.float64]:
    """Means of blocks of step x step px; those at the end may be smaller."""
    sums = frame
    for axis, length in enumerate(frame.shape):
        starts = np.arange(0, length, step)
        sums = np.add.reduceat(sums, starts, axis=axis, dtype=np.float64)
        sizes = np.diff(starts, append=length)
        sums /= sizes[:, None] if axis == 0 else sizes
    return sums


def rung(side: int) -> int:
    """The largest of the few sides there are that is not above this one."""
    return next(each for each in reversed(LADDER) if each <= side)


def draw_eigenpatches(
    eigenpatches: Mapping[int, NDArray[Any]], stack_reports: Sequence[Mapping[str, Any]]
) -> Image.Image:
    """Draw every stack's offered eigenpatches, framed green where kept, with their utility.

    Parameters
    ----------
    eigenpatches : mapping of int to ndarray, shape (k, p, p)
        By the number of their stack.
    stack_reports : sequence of mapping
        The report's, in the same order.
    """
    blocks = [_stack(eigenpatches[report["stack"]], report) for report in stack_reports]
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
        block.paste(draw_eigenpatch(patch), (x, y))
        caption = f"{index + 1}: {report['utilities'][index]:.2f}"
        draw.text((x, y + CELL + 2), caption, fill=INK, font=font)
    return block


def draw_eigenpatch(patch: NDArray[Any]) -> Image.Image:
    """Zero is mid-gray: an eigenpatch has a sign pattern, not a brightness."""
    largest = float(np.abs(patch).max()) or 1.0
    grays = np.rint(127.5 * (1 + patch / largest)).astype(np.uint8)
    return Image.fromarray(grays).resize((CELL, CELL), Image.Resampling.NEAREST)
