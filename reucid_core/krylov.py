"""The leading eigenpatches of large patches, from the two halves of their Gram matrix.

Turned by half, the patches of an image are the patches of the turned image, whose Gram matrix
differs by its borders alone: the matrix is nearly centro-symmetric. Made so, it falls apart into a
half on even and a half on odd patches, each with a quarter of the entries. What lies above a cut in
each half is found by a block Krylov method (Musco, Musco, NIPS 28, 1396 (2015)) with full
reorthogonalisation. What the symmetry costs is in docs/performance.md.
"""

import numpy as np
import scipy.linalg
from numpy.typing import DTypeLike, NDArray

from reucid_core.eigenpatches import FloatArray

Float64 = NDArray[np.float64]
Pairs = tuple[Float64, Float64]  # eigenvalues (k,), largest first, and their vectors (h, k)

BLOCK = 20  # vectors
STEPS = 6
SINGLE = 1e5  # trace over cut, up to which rounding in single precision stays below the cut
TOLERANCE = 0.03  # of a residual's norm over its eigenvalue
NEAR = 0.9  # of the cut: what is refined
MARGIN = 1.05  # times the cut: nothing above is missed


def eigenpairs_above(
    G: Float64, cut: float, *, symmetric: bool = True, seed: int = 0
) -> tuple[Float64, Float64]:
    """Eigenvalues above a cut, and their eigenpatches, of a Gram matrix.

    Parameters
    ----------
    G : ndarray, shape (p*p, p*p), float64
        Symmetric, positive semidefinite.
    cut : float
        In units of the eigenvalues.
    symmetric : bool
        Make the matrix centro-symmetric, as if the turned patches were there as well: half of the
        time, and at p = 41 a seventh of LAPACK's.
    seed : int
        Of the vectors that the iteration begins with.

    Returns
    -------
    eigenvalues : ndarray, shape (k,), float64
        Largest first; k may be 0.
    eigenpatches : ndarray, shape (k, p, p), float64
        Orthonormal; if `symmetric`, each is even or odd under a turn by half.
    """
    p = round(len(G) ** 0.5)
    rng = np.random.default_rng(seed)
    if not symmetric:
        eigenvalues, vectors = _pairs_above(G, cut, rng)
        return eigenvalues, np.ascontiguousarray(vectors.T).reshape(-1, p, p)
    even, odd = (_pairs_above(half, cut, rng) for half in _halves(G))
    eigenvalues = np.concatenate([even[0], odd[0]])
    order = np.argsort(-eigenvalues, kind="stable")
    vectors = _whole(even[1], odd[1], p * p)
    return eigenvalues[order], np.ascontiguousarray(vectors.T[order]).reshape(-1, p, p)


def leading_pair(G: Float64) -> tuple[Float64, Float64]:
    """The largest eigenvalue and its eigenpatch, as `eigenpairs_above` gives them."""
    n = len(G)
    p = round(n**0.5)
    values, vectors = scipy.linalg.eigh(G, subset_by_index=[n - 1, n - 1], check_finite=False)
    return values, np.ascontiguousarray(vectors.T).reshape(1, p, p)


def _halves(G: Float64) -> tuple[Float64, Float64]:
    """The matrix on even and on odd patches; the pixel in the middle is in the even half.

    Returns
    -------
    even : ndarray, shape (h, h), h = (p*p + 1) // 2
    odd : ndarray, shape (p*p // 2, p*p // 2)
    """
    n = len(G)
    h, half = (n + 1) // 2, n // 2
    turned = G[::-1, ::-1]
    same = (G[:h, :h] + turned[:h, :h]) / 2  # pixels on one side
    across = (G[:h, ::-1][:, :h] + G[::-1][:h, :h]) / 2  # a pixel and one on the other side
    even = same + across
    if h > half:  # the middle pixel is its own partner
        even[half] *= np.sqrt(0.5)
        even[:, half] *= np.sqrt(0.5)
    return even, (same - across)[:half, :half]


def _whole(even: Float64, odd: Float64, n: int) -> Float64:
    """Vectors of the two halves as vectors of n pixels, shape (n, k)."""
    half = n // 2
    vectors = np.zeros((n, even.shape[1] + odd.shape[1]))
    vectors[:half] = np.concatenate([even[:half], odd], axis=1) * np.sqrt(0.5)
    vectors[n - half :] = np.concatenate([even[:half], -odd], axis=1)[::-1] * np.sqrt(0.5)
    vectors[half : n - half, : even.shape[1]] = even[half:]
    return vectors


def _pairs_above(M: Float64, cut: float, rng: np.random.Generator) -> Pairs:
    """Eigenpairs above a cut, by blocks that grow until the cut lies well inside their space."""
    precision = np.float32 if float(np.trace(M)) <= SINGLE * cut else np.float64
    block = BLOCK
    while 2 * block * STEPS < len(M):  # else LAPACK is faster
        candidates = _krylov(M.astype(precision), block, rng, NEAR * cut)
        values, vectors, residuals = _refined(M, candidates)
        k = int(np.count_nonzero(values > cut))
        if (
            2 * len(values) <= block * STEPS
            and (residuals[:k] <= TOLERANCE * values[:k]).all()
            and _complete(M, (values[:k], vectors[:, :k]), cut, precision)
        ):
            return values[:k], vectors[:, :k]
        block *= 2
    values, vectors = scipy.linalg.eigh(
        M, subset_by_value=(cut, np.inf), driver="evr", check_finite=False
    )
    return values[::-1], vectors[:, ::-1]


def _krylov(M: FloatArray, block: int, rng: np.random.Generator, cut: float) -> FloatArray:
    """Ritz vectors with values above a cut, shape (h, at most block * STEPS)."""
    Q = np.empty((len(M), block * STEPS), M.dtype)
    images = np.empty_like(Q)
    new: FloatArray = rng.standard_normal((len(M), block)).astype(M.dtype)
    for step in range(STEPS):
        done, now = Q[:, : step * block], slice(step * block, (step + 1) * block)
        # Twice: what rounding leaves of a dominant vector would come back as a copy of it.
        for _ in range(2):
            new = np.linalg.qr(new - done @ (done.T @ new)).Q
        Q[:, now] = new
        new = images[:, now] = M @ new
    values, rotation = np.linalg.eigh((Q.T @ images).astype(np.float64))
    vectors: FloatArray = Q @ rotation[:, values > cut].astype(M.dtype)
    return vectors


def _refined(M: Float64, vectors: FloatArray) -> tuple[Float64, Float64, Float64]:
    """Ritz values in the span of some vectors, largest first, vectors and norms of residuals."""
    basis = np.linalg.qr(vectors.astype(np.float64)).Q
    images = M @ basis
    values, rotation = np.linalg.eigh(basis.T @ images)
    values, rotation = values[::-1], rotation[:, ::-1]
    refined = basis @ rotation
    return values, refined, np.linalg.norm(images @ rotation - refined * values, axis=0)


def _complete(M: Float64, pairs: Pairs, cut: float, precision: DTypeLike) -> bool:
    """Whether nothing else lies above the cut: then what they leave of it has a Cholesky factor.

    A space that began with 20 vectors holds as many copies of an eigenvalue at most.
    """
    values, vectors = pairs
    scaled = (vectors * np.sqrt(values)).astype(precision)
    left = scaled @ scaled.T
    left -= M.astype(precision)
    left.flat[:: len(M) + 1] += left.dtype.type(MARGIN * cut)
    try:
        scipy.linalg.cholesky(left, overwrite_a=True, check_finite=False)
    except scipy.linalg.LinAlgError:
        return False
    return True
