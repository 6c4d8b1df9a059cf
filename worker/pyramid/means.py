"""Means of square blocks, of which those at the ends may be smaller."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def block_sums(pixels: NDArray[Any], side: int) -> NDArray[np.float64]:
    """Sums of blocks of `side` x `side` px, a power of two; shape (ceil(m/side), ceil(n/side))."""
    sums = np.asarray(pixels, np.float64)
    while side > 1:
        sums, side = _halved(_halved(sums).T).T, side // 2
    return sums


def block_sizes(shape: tuple[int, int], side: int) -> NDArray[np.int64]:
    """How many pixels each of the blocks of an image of this shape holds."""
    return np.outer(*(np.diff(np.arange(0, n, side), append=n) for n in shape))


def block_means(pixels: NDArray[Any], side: int) -> NDArray[np.float64]:
    """Means of blocks of `side` x `side` px, a power of two."""
    height, width = pixels.shape
    return block_sums(pixels, side) / block_sizes((height, width), side)


def coarser(
    means: NDArray[Any], side: int, shape: tuple[int, int], wanted: int
) -> NDArray[np.float64]:
    """Means of larger blocks of an image of this shape, from those of smaller ones.

    Parameters
    ----------
    means : ndarray, shape (ceil(m/side), ceil(n/side))
    side : int
        Of the blocks that they are of, in px; a power of two.
    shape : tuple of int
        (m, n), of the whole image.
    wanted : int
        The side that is wanted, a power of two that is at least as large.
    """
    if wanted == side:
        return np.asarray(means, np.float64)
    sums = block_sums(means * block_sizes(shape, side), wanted // side)
    return sums / block_sizes(shape, wanted)


def _halved(sums: NDArray[Any]) -> NDArray[np.float64]:
    """Sums of pairs of rows; the last may have no other."""
    halved = sums[::2].astype(np.float64)
    halved[: len(sums) // 2] += sums[1::2]
    return halved
