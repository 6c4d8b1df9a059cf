"""From the type of a result to that of the file it came from."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]


def to_dtype(pixels: Pixels, dtype: np.dtype[Any]) -> Pixels:
    """Convert to another type, clipped to its range; integers are rounded, half to even."""
    low, high = _limits(dtype)
    rounded = np.rint(pixels) if dtype.kind in "iu" else pixels
    # Compared in the wider type: the largest integers are no float, and would round up.
    converted: Pixels = np.clip(rounded, low, high).astype(dtype)
    if dtype.kind in "iu":
        converted[rounded >= high] = np.iinfo(dtype).max
    return converted


def clipped_pixels(pixels: Pixels, dtype: np.dtype[Any]) -> int:
    """How many pixels `to_dtype` moves to the ends of the type's range."""
    low, high = _limits(dtype)
    rounded = np.rint(pixels) if dtype.kind in "iu" else pixels
    return int(np.count_nonzero((rounded < low) | (rounded > high)))


def _limits(dtype: np.dtype[Any]) -> tuple[float, float]:
    limits = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    return float(limits.min), float(limits.max)
