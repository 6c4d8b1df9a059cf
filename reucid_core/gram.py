"""The Gram matrix of all patches of an image, without ever holding the patches.

``G[u, v] = sum over origins x of I(x + u) I(x + v)`` depends on the displacement v - u alone but
for the borders. The circular autocorrelation of the image, which finds the point-spread function
too, yields one entry for each displacement; a recurrence along each axis yields the others:
``G(u + 1, v + 1) = G(u, v) - line that leaves + line that enters``. Derivation: docs/algorithm.md.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Edges:
    """The q lines along each edge of an image, in the order in which they meet on a torus.

    Parameters
    ----------
    rows : ndarray, shape (2q, n)
        The last q rows, then the first q.
    columns : ndarray, shape (m, 2q)
        The last q columns, then the first q.
    """

    rows: Float64
    columns: Float64

    @classmethod
    def of(cls, image: NDArray[np.floating[Any]], q: int, *, offset: float = 0.0) -> "Edges":
        """Edges of an image, shape (m, n), less an offset."""
        m, n = image.shape
        rows = np.concatenate([image[m - q :], image[:q]], dtype=np.float64)
        columns = np.concatenate([image[:, n - q :], image[:, :q]], axis=1, dtype=np.float64)
        return cls(rows - offset, columns - offset)

    @property
    def shape(self) -> tuple[int, int]:
        """Of the image, (m, n)."""
        return len(self.columns), self.rows.shape[1]

    def window_sums(self) -> Float64:
        """Sums of a zero-mean image over the pixels that each pixel of a patch meets.

        The window of pixel (a, c) leaves out q rows and q columns; what is left sums to what they
        hold, with the opposite sign, but for where they cross.

        Returns
        -------
        ndarray, shape (p, p)
        """
        q = len(self.rows) // 2
        crossings = np.concatenate([self.columns[-q:], self.columns[:q]])  # (2q, 2q)
        rows = _window_sums(self.rows.sum(axis=1), q)
        columns = _window_sums(self.columns.sum(axis=0), q)
        crossings = _window_sums(_window_sums(crossings, q).T, q).T
        return crossings - rows[:, None] - columns


def _window_sums(values: Float64, length: int) -> Float64:
    """Sums over all windows of so many entries of the first axis."""
    running = np.zeros((len(values) + 1, *values.shape[1:]))
    np.cumsum(values, axis=0, out=running[1:])
    return running[length:] - running[:-length]


def gram_matrix(edges: Edges, correlation: Float64, p: int) -> Float64:
    """Gram matrix of all (m - q)(n - q) patches, q = p - 1.

    Parameters
    ----------
    edges : Edges
        Of the image, q lines each.
    correlation : ndarray, shape (at least p, n), float64
        The image's circular autocorrelation, ``sum over y of I(y) I(y + lag)``.
    p : int
        Patch size in px, at most min(m, n).

    Returns
    -------
    ndarray, shape (p*p, p*p), float64
        Cost O(p^3 (m + n) + p^4).
    """
    q = p - 1
    rows = edges.shape[0] - q  # of patch origins
    G = np.empty((p, p, p, p))  # pixel (a, c) of a patch times its pixel (b, d)

    # G[0, c, b, d]: seeds where c or d is 0, then along the columns.
    seeds = _seeds(edges, correlation, p)  # (p, 2p - 1), displacement (b, d - c)
    right, left = edges.columns[:, :q], edges.columns[:, q:]
    change = np.stack(
        [
            right[:rows].T @ right[b : b + rows] - left[:rows].T @ left[b : b + rows]
            for b in range(p)
        ],
        axis=1,
    )  # (q, p, q)
    G[0, 0] = seeds[:, q:]
    for c in range(q):
        G[0, c + 1, :, 0] = seeds[:, q - c - 1]
        G[0, c + 1, :, 1:] = G[0, c, :, :q] + change[c]

    # G[a, c, b, d]: where a or b is 0 it is known by symmetry, then along the rows.
    change = _line_gram(edges.rows[:q], p) - _line_gram(edges.rows[q:], p)  # (q, p, q, p)
    for a in range(q):
        G[a + 1, :, 0, :] = G[0, :, a + 1, :].T
        G[a + 1, :, 1:, :] = G[a, :, :q, :] + change[a]
    return G.reshape(p * p, p * p)


def _seeds(edges: Edges, correlation: Float64, p: int) -> Float64:
    """Correlations over the window [0, m - q) x [0, n - q) of the leading pixel.

    The circular ones less what their sums have outside of the window.

    Returns
    -------
    ndarray, shape (p, 2p - 1)
        Displacements 0 to q along the rows, -q to q along the columns.
    """
    q = p - 1
    rows, n = edges.shape[0] - q, edges.shape[1]
    shifts = np.arange(-q, p)
    seeds = correlation[: q + 1, shifts]

    bottom = np.pad(edges.rows, ((0, 0), (q, q)), mode="wrap")
    last = bottom[:q, q:-q]  # (q, n)
    for index, shift in enumerate(shifts):
        shifted = bottom[:, q + shift : q + shift + n]  # (2q, n)
        seeds[:, index] -= _diagonal_sums(last @ shifted.T)

    right = edges.columns  # (m, 2q)
    last = right[:, :q]
    for b in range(p):
        seeds[b, q:] -= _diagonal_sums(last[:rows].T @ right[b : b + rows])
        seeds[b, :q] -= _diagonal_sums(last[b : b + rows].T @ right[:rows])[:0:-1]
    return seeds


def _diagonal_sums(K: Float64) -> Float64:
    """``sum over r of K[r, r + k]`` for k = 0 to q, of a matrix of shape (q, 2q)."""
    q = len(K)
    down, across = K.strides
    diagonals = as_strided(K, (q, q + 1), (down + across, across), writeable=False)
    return np.asarray(diagonals.sum(axis=0))


def _line_gram(strip: Float64, p: int) -> Float64:
    """Gram matrices of all windows of p columns between the rows of a strip.

    Parameters
    ----------
    strip : ndarray, shape (q, n)
    p : int

    Returns
    -------
    ndarray, shape (q, p, q, p)
        ``sum over x of strip[a, x + c] strip[b, x + d]`` at [a, c, b, d].
    """
    q = p - 1
    columns = strip.shape[1] - q
    leaving, entering = strip[:, :q], strip[:, columns:]
    T = np.empty((q, p, q, p))
    for d in range(p):
        T[:, 0, :, d] = strip[:, :columns] @ strip[:, d : d + columns].T
    for c in range(q):
        T[:, c + 1, :, 0] = T[:, 0, :, c + 1].T
        T[:, c + 1, :, 1:] = (
            T[:, c, :, :q]
            + entering[:, c, None, None] * entering
            - leaving[:, c, None, None] * leaving
        )
    return T
