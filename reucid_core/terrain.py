"""The patch terrain: how many patches overlap each pixel (paper, "Patch terrain calculation")."""

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray


def terrain(processed: NDArray[np.bool_], p: int) -> NDArray[np.int32]:
    """Number of processed patches over each pixel, by a rolling sum along both axes.

    Parameters
    ----------
    processed : ndarray, shape (m - q, n - q), bool
        The binarised assignment: which origins' patches are on the canvas.
    p : int
        Patch size in px.

    Returns
    -------
    ndarray, shape (m, n), int32
        Cost O(mn), whatever p is.
    """
    return _rolling_sum(_rolling_sum(processed, p).T, p).T


def full_terrain(shape: tuple[int, ...], p: int, spacing: int = 1) -> NDArray[np.int32]:
    """Terrain of an image, shape (m, n), all of whose patches are processed.

    Neighbouring pixels of a patch are `spacing` px apart.
    """
    rows, columns = (_spaced_ramps(length, p, spacing) for length in shape)
    return np.multiply.outer(rows, columns)


def _spaced_ramps(length: int, p: int, spacing: int) -> NDArray[np.int32]:
    ramps = np.empty(length, dtype=np.int32)
    for start in range(spacing):
        part = ramps[start::spacing]
        part[:] = _ramps(len(part), p)
    return ramps


def _ramps(length: int, p: int) -> NDArray[np.int32]:
    """Number of windows of p over each of `length` pixels: a ramp up, a plateau, a ramp down."""
    position = np.arange(1, length + 1, dtype=np.int32)
    return np.minimum(min(p, length - p + 1), np.minimum(position, position[::-1]))


def _rolling_sum(values: NDArray[Any], p: int) -> NDArray[np.int32]:
    """Sum over the last p rows at every row, the array bordered with zeros; p - 1 rows longer."""
    running = np.zeros((len(values) + 2 * p - 1, values.shape[1]), dtype=np.int32)
    running[p : p + len(values)] = values
    for above, row in itertools.pairwise(running):
        row += above
    return running[p:] - running[:-p]  # what entered less what has left
