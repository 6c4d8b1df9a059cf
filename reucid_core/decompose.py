"""Randomised SVD of a stack of patches.

Halko, Martinsson, Tropp, SIAM Rev. 53, 217 (2011), DOI 10.1137/090771806: algorithms 4.4 and 5.1,
applied to the row space, since only the right singular vectors, the eigenpatches, are needed.
"""

from collections.abc import Iterator

import numpy as np
import scipy.linalg

from reucid_core.eigenpatches import Decomposition, FloatArray
from reucid_core.patches import block_length

OVERSAMPLING = 10
POWER_ITERATIONS = 2


def decompose(
    patches: FloatArray,
    components: int,
    *,
    rng: np.random.Generator,
    oversampling: int = OVERSAMPLING,
    power_iterations: int = POWER_ITERATIONS,
) -> Decomposition:
    """Leading eigenpatches of a stack.

    The patches are not centred: the first eigenpatch carries the mean.

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

    p = round(pixels**0.5)
    return Decomposition(
        eigenpatches=eigenvectors.reshape(components, p, p),
        singular_values=singular_values[:components],
        n_patches=n_patches,
        energy=_energy(patches),
    )


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
