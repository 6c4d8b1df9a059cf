"""Patchisation: which patches, in which stack, and how they come and go (paper, "Patchisation").

A patch is named by its origin, its top-left pixel, given as a flat index into the image. Every
position is an origin, (m - q) x (n - q) of them with q = p - 1; there is no padding.
"""

import numpy as np
from numpy.typing import NDArray

from reucid_core.eigenpatches import FloatArray

Origins = NDArray[np.intp]

MAX_BLOCK = 8192  # patches
BLOCK_NUMBERS = 2**21  # pixels of all patches in a block


def origin_grid(shape: tuple[int, int], p: int) -> tuple[int, int]:
    """Number of patch origins along each axis, (m - p + 1, n - p + 1)."""
    return shape[0] - p + 1, shape[1] - p + 1


def block_length(patch_pixels: int) -> int:
    """Number of patches worked on at a time, which bounds the memory beside the patch matrix."""
    return max(1, min(MAX_BLOCK, BLOCK_NUMBERS // patch_pixels))


def assign(
    shape: tuple[int, int], p: int, stacks: int, rng: np.random.Generator
) -> NDArray[np.uint32]:
    """One uniformly random stack number in 1..d for each patch origin.

    Returns
    -------
    ndarray, shape (m - q, n - q), uint32
    """
    return rng.integers(1, stacks + 1, size=origin_grid(shape, p), dtype=np.uint32)


def origins_of(members: NDArray[np.bool_], image_width: int) -> Origins:
    """Flat image indices of the origins marked in a (m - q, n - q) grid, ascending, shape (N,)."""
    origins = np.flatnonzero(members)
    rows = origins // members.shape[1]
    rows *= image_width - members.shape[1]
    origins += rows
    return origins


def gather(image: FloatArray, origins: Origins, p: int) -> FloatArray:
    """Patches at the given origins as rows.

    Parameters
    ----------
    image : ndarray, shape (m, n), C-contiguous
    origins : ndarray, shape (N,), intp
    p : int

    Returns
    -------
    ndarray, shape (N, p*p)
        In column order: each pixel of the patch is contiguous over the patches.
    """
    pixels = image.ravel()
    columns = np.empty((p * p, len(origins)), dtype=image.dtype)
    for column, offset in zip(columns, _offsets(p, image.shape[1]), strict=True):
        np.take(pixels[offset:], origins, out=column, mode="clip")  # clip: take without a buffer
    return columns.T


def scatter_add(canvas: FloatArray, patches: FloatArray, origins: Origins, p: int) -> None:
    """Add patches onto the canvas in place; the adjoint of `gather`.

    Parameters
    ----------
    canvas : ndarray, shape (m, n), C-contiguous
    patches : ndarray, shape (N, p*p)
    origins : ndarray, shape (N,), intp
        Each at most once.
    p : int
    """
    pixels = canvas.reshape(-1)
    for column, offset in zip(patches.T, _offsets(p, canvas.shape[1]), strict=True):
        pixels[offset:][origins] += column  # origins are distinct, so no addition is lost


def _offsets(p: int, image_width: int) -> list[int]:
    return [row * image_width + column for row in range(p) for column in range(p)]
