"""Patchisation: which patches, in which stack, and how they come and go (paper, "Patchisation").

A patch is named by its origin, its top-left pixel, given as a flat index into the image. Every
position is an origin, (m - q) x (n - q) of them with q = p - 1; there is no padding.
"""

import math

import numpy as np
from numpy.typing import NDArray

from reucid_core.eigenpatches import FloatArray
from reucid_core.errors import MemoryBudgetError, ParameterError

Origins = NDArray[np.intp]

MIN_STACK = 64  # patches; chance leaves no stack of this mean size empty
MAX_BLOCK = 8192  # patches
BLOCK_NUMBERS = 2**21  # pixels of all patches in a block

FIXED = 40 * 2**20  # bytes
MIB = 2**20


def origin_grid(shape: tuple[int, int], p: int) -> tuple[int, int]:
    """Number of patch origins along each axis, (m - p + 1, n - p + 1)."""
    return shape[0] - p + 1, shape[1] - p + 1


def block_length(patch_pixels: int) -> int:
    """Number of patches worked on at a time, which bounds the memory beside the patch matrix."""
    return max(1, min(MAX_BLOCK, BLOCK_NUMBERS // patch_pixels))


def working_memory(
    shape: tuple[int, int], p: int, itemsize: int, *, components: int, stacks: int
) -> int:
    """Bytes that denoising takes at its peak beside the input (paper, "RAM estimation")."""
    pixels = math.prod(shape)
    n_patches = math.prod(origin_grid(shape, p)) / stacks
    n_patches += 4 * math.sqrt(n_patches)  # a stack's size is random
    decomposing = pixels * (2 * itemsize + 4) + n_patches * (p * p * itemsize + 8)
    fusing = 0
    kept = stacks * components * (p * p * itemsize + 160)
    return math.ceil(max(decomposing, fusing) + kept) + FIXED


def stacks_for_memory(
    shape: tuple[int, int], p: int, itemsize: int, *, components: int, budget: int
) -> int:
    """Fewest stacks d so that the whole is processed within the budget.

    Parameters
    ----------
    shape : (int, int)
        Of the image, in px.
    p : int
        Patch size in px.
    itemsize : int
        Bytes of one number.
    components : int
        Eigenpatches per stack, all of which are kept for the result.
    budget : int
        Bytes that may be used beside the input.

    Returns
    -------
    int
        d >= 1.

    Raises
    ------
    MemoryBudgetError
        When no number of stacks is enough.
    """
    raise NotImplementedError


def max_stacks(shape: tuple[int, int], p: int) -> int:
    """Most stacks that still hold about as many patches as a patch has pixels."""
    return max(1, math.prod(origin_grid(shape, p)) // max(p * p, MIN_STACK))


def check_stacks(stacks: int, shape: tuple[int, int], p: int) -> int:
    """Accept a stated number of stacks if each of them can be decomposed.

    Raises
    ------
    ParameterError
        When the stacks would be too small.
    """
    most = max_stacks(shape, p)
    if stacks > most:
        raise ParameterError(
            "stacks",
            f"got {stacks}, expected at most {most} for {shape[0]} x {shape[1]} px and patches of "
            f"{p} px: a stack needs about {p * p} patches",
        )
    return stacks


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
