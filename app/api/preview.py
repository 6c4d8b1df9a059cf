"""A picture of an image for people: small, 8 bits, stretched."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.formats import display


def draw_preview(frame: NDArray[Any], path: Path, *, side: int) -> None:
    """Write a PNG whose longer side is at most so many px.

    Blocks of pixels are averaged, so that noise looks as it would from afar.
    """
    small = block_means(frame, -(-max(frame.shape) // side))
    Image.fromarray(display(small)).save(path, format="PNG")


def block_means(frame: NDArray[Any], step: int) -> NDArray[np.float64]:
    """Means of blocks of step x step px; those at the end may be smaller."""
    sums = frame
    for axis, length in enumerate(frame.shape):
        starts = np.arange(0, length, step)
        sums = np.add.reduceat(sums, starts, axis=axis, dtype=np.float64)
        sizes = np.diff(starts, append=length)
        sums /= sizes[:, None] if axis == 0 else sizes
    return sums
