"""Decomposition of a stack of patches: its Gram matrix, or a randomised SVD of it.

Halko, Martinsson, Tropp, SIAM Rev. 53, 217 (2011), DOI 10.1137/090771806: algorithms 4.4 and 5.1,
applied to the row space, since only the right singular vectors, the eigenpatches, are needed. They
are the eigenvectors of the Gram matrix as well, which takes one pass over the patches where the
randomised SVD takes six, but at p*p numbers per patch and pixel instead of the sketch's width.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from reucid_core.eigenpatches import Decomposition, FloatArray
from reucid_core.patches import block_length

OVERSAMPLING = 10
POWER_ITERATIONS = 2
GRAM_PIXELS = 10  # per vector of the sketch: up to there the Gram matrix is cheaper (measured)


def decompose(patches: FloatArray, components: int, *, rng: np.random.Generator) -> Decomposition:
    """Leading eigenpatches of a stack, in the cheaper way.

    The patches are not centred: the first eigenpatch carries the mean.

    Parameters
    ----------
    patches : ndarray, shape (N, p*p), float32 or float64
    components : int
        Number of eigenpatches wanted; at most min(N, p*p) are found.
    rng : numpy.random.Generator
        Draws the test matrix of a randomised SVD.

    Returns
    -------
    Decomposition
    """
    n_patches, pixels = patches.shape
    if through_gram_matrix(pixels, components) and n_patches >= pixels:
        found = Decomposition.of_gram_matrix(_gram(patches), components, n_patches=n_patches)
        return replace(found, eigenpatches=found.eigenpatches.astype(patches.dtype))
    return randomised_svd(patches, components, rng=rng)


def randomised_svd(
    patches: FloatArray,
    components: int,
    *,
    rng: np.random.Generator,
    oversampling: int = OVERSAMPLING,
    power_iterations: int = POWER_ITERATIONS,
) -> Decomposition:
    """Leading eigenpatches of a stack from a sketch of its row space, as in the paper.

    Parameters
    ----------
    patches : ndarray, shape (N, p*p), float32 or float64
    components : int
        Number of eigenpatches wanted; at most min(N, p*p) are found.
    rng : numpy.random.Generator
        Draws the test matrix.
    oversampling, power_iterations : int
        Extra columns of the sketch, and passes over the patches that sharpen it.

    Returns
    -------
    Decomposition
        Cost O(N p^2 (k + oversampling) (power_iterations + 1)).
    """
    n_patches, pixels = patches.shape
    components = min(components, n_patches, pixels)
    width = min(components + oversampling, n_patches, pixels)

    Q = _row_space(patches, width, rng, power_iterations)  # (p*p, width)
    R = _triangle(patches, Q)  # patches @ Q = W R with orthonormal W
    _, singular_values, Vt = scipy.linalg.svd(R.astype(np.float64))
    eigenvectors = (Vt[:components] @ Q.T).astype(patches.dtype)  # (k, p*p)

    p = math.isqrt(pixels)
    return Decomposition(
        eigenpatches=eigenvectors.reshape(components, p, p),
        singular_values=singular_values[:components],
        n_patches=n_patches,
        energy=_energy(patches),
        found_by="randomised svd",
    )


def through_gram_matrix(pixels: int, components: int) -> bool:
    """Whether the Gram matrix of patches of so many pixels is cheaper than a sketch."""
    return pixels <= GRAM_PIXELS * (components + OVERSAMPLING)


def _gram(patches: FloatArray) -> NDArray[np.float64]:
    """Gram matrix, shape (p*p, p*p), summed in float64 over products in the patches' own type.

    An offset is set apart: its square would drown the noise in those products.
    """
    n_patches, pixels = patches.shape
    offset = patches[:, 0].mean(dtype=np.float64).astype(patches.dtype)
    G = np.zeros((pixels, pixels))
    sums = np.zeros(pixels)
    for block in _blocks(patches):
        deviation = block - offset
        G += deviation.T @ deviation
        sums += deviation.sum(axis=0, dtype=np.float64)
    level = float(offset)
    G += level * (sums[:, None] + sums) + n_patches * level**2
    return G


def _row_space(
    patches: FloatArray, width: int, rng: np.random.Generator, power_iterations: int
) -> FloatArray:
    """Orthonormal basis, (p*p, width), that nearly spans the leading right singular vectors."""
    sketch = sum(
        block.T @ rng.standard_normal((len(block), width)).astype(patches.dtype)
        for block in _blocks(patches)
    )
    for _ in range(power_iterations):
        # Orthonormalising in between keeps the weak directions above the rounding error.
        Q = np.linalg.qr(sketch).Q
        sketch = sum(block.T @ (block @ Q) for block in _blocks(patches))
    return np.linalg.qr(sketch).Q


def _triangle(patches: FloatArray, Q: FloatArray) -> FloatArray:
    """R of the QR decomposition of ``patches @ Q``, without ever holding that product."""
    R = np.empty((0, Q.shape[1]), dtype=patches.dtype)
    for block in _blocks(patches):
        R = np.asarray(np.linalg.qr(np.vstack([R, block @ Q]), mode="r"))
    return R


def _energy(patches: FloatArray) -> float:
    """Squared Frobenius norm; by columns, which are contiguous, so that none is copied."""
    return sum(float(np.vdot(column, column)) for block in _blocks(patches) for column in block.T)


def _blocks(patches: FloatArray) -> Iterator[FloatArray]:
    length = block_length(patches.shape[1])
    for start in range(0, len(patches), length):
        yield patches[start : start + length]
