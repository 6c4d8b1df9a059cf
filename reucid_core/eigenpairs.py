"""The eigenpairs of a Gram matrix that stand out of the noise."""

import math

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


def eigenpairs_above(G: Float64, cut: float) -> tuple[Float64, Float64]:
    """Eigenvalues above a cut, descending, at least one, and their eigenvectors.

    Of the Gram matrix made symmetric under a half turn of the patch, which falls into two halves:
    that of even eigenvectors and that of odd ones. Its odd order leaves the middle pixel to the
    even half.

    Parameters
    ----------
    G : ndarray, shape (n, n), float64
        Symmetric, n odd.
    cut : float

    Returns
    -------
    eigenvalues : ndarray, shape (k,)
    eigenvectors : ndarray, shape (k, n)
    """
    even, odd = _halves(G)
    found = [_above(even, cut), _above(odd, cut)]
    if not any(len(values) for values, _ in found):
        found[0] = _largest(even)
    values = np.concatenate([values for values, _ in found])
    h = len(odd)
    (_, u), (_, v) = found
    root = math.sqrt(0.5)
    symmetric = np.concatenate([root * u[:h], u[h:], root * u[:h][::-1]])
    antisymmetric = np.concatenate([root * v, np.zeros((1, v.shape[1])), -root * v[::-1]])
    order = np.argsort(-values, kind="stable")
    vectors = np.concatenate([symmetric, antisymmetric], axis=1)
    return values[order], np.ascontiguousarray(vectors[:, order].T)


def _halves(G: Float64) -> tuple[Float64, Float64]:
    h = len(G) // 2
    turned = G[::-1, ::-1]
    A = (G[:h, :h] + turned[:h, :h]) / 2
    B = (G[:h, ::-1][:, :h] + G[::-1][:h, :h]) / 2
    middle = (G[:h, h] + turned[:h, h]) / 2
    even = np.empty((h + 1, h + 1))
    even[:h, :h] = A + B
    even[:h, h] = even[h, :h] = math.sqrt(2) * middle
    even[h, h] = G[h, h]
    return even, A - B


def _above(M: Float64, cut: float) -> tuple[Float64, Float64]:
    if not len(M):
        return np.empty(0), np.empty((0, 0))
    values, vectors = scipy.linalg.eigh(M, subset_by_value=[cut, np.inf])
    return values, vectors


def _largest(M: Float64) -> tuple[Float64, Float64]:
    last = len(M) - 1
    values, vectors = scipy.linalg.eigh(M, subset_by_index=[last, last])
    return values, vectors
