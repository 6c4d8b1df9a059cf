"""The Gram matrix of all patches of an image, without ever holding the patches.

``G[u, v] = sum over origins x of I(x + u) I(x + v)`` depends on the displacement v - u alone but
for the borders. The circular autocorrelation of the image, which finds the point-spread function
too, yields one entry for each displacement; a recurrence along each axis yields the others:
``G(u + 1, v + 1) = G(u, v) - line that leaves + line that enters``. Derivation: docs/algorithm.md.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from reucid_core.eigenpatches import FloatArray

Float64 = NDArray[np.float64]
Spectrum = NDArray[np.complex128]


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


def gram_matrix(
    edges: Edges, correlation: FloatArray, p: int, *, torus: tuple[int, int] | None = None
) -> Float64:
    """Gram matrix of all (m - q)(n - q) patches, q = p - 1.

    Parameters
    ----------
    edges : Edges
        Of the image, q lines each.
    correlation : ndarray, shape (at least p, N), float64
        The image's circular autocorrelation, ``sum over y of I(y) I(y + lag)``.
    p : int
        Patch size in px, at most min(m, n).
    torus : (int, int), optional
        (M, N), if the correlation is that of the image in a field of zeros; (m, n) by default.

    Returns
    -------
    ndarray, shape (p*p, p*p), float64
        Cost O(p^3 (m + n) + p^4).
    """
    q = p - 1
    rows = edges.shape[0] - q  # of patch origins
    G = np.empty((p, p, p, p))  # pixel (a, c) of a patch times its pixel (b, d)

    # G[0, c, b, d]: seeds where c or d is 0, then along the columns.
    # (p, 2p - 1), displacement (b, d - c)
    seeds = _seeds(edges, correlation, p, torus or edges.shape)
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
    change = _line_gram(edges.rows[:q], edges.rows[q:], p)  # (q, p, q, p)
    for a in range(q):
        G[a + 1, :, 0, :] = G[0, :, a + 1, :].T
        G[a + 1, :, 1:, :] = G[a, :, :q, :] + change[a]
    return G.reshape(p * p, p * p)


def _seeds(edges: Edges, correlation: FloatArray, p: int, torus: tuple[int, int]) -> Float64:
    """Correlations over the window [0, m - q) x [0, n - q) of the leading pixel.

    The circular ones less what their sums have outside of the window: the last q rows, and what is
    left of the last q columns.

    Returns
    -------
    ndarray, shape (p, 2p - 1)
        Displacements 0 to q along the rows, -q to q along the columns.
    """
    q = p - 1
    m, n = edges.shape
    M, N = torus
    lags, shifts = np.arange(p), np.arange(-q, p)
    seeds = correlation[lags[:, None], shifts].astype(np.float64, copy=False)

    rows = scipy.fft.rfft(_apart(edges.rows, M - m), n=N, axis=1)  # (2q, f)
    power = np.stack([_products(rows[:q], rows[b : b + q]) for b in lags])
    seeds -= scipy.fft.irfft(power, n=N, axis=1)[:, shifts]

    columns = _apart(edges.columns.T, N - n)  # (2q, m)
    length = scipy.fft.next_fast_len(m)
    spectra = scipy.fft.rfft(columns, n=length, axis=1)  # (2q, f)
    leading = scipy.fft.rfft(columns[:, : m - q], n=length, axis=1)  # rows of leading pixels
    right = [_products(leading[:q], spectra[d : d + q]) for d in lags]
    left = [_products(leading[d : d + q], spectra[:q]) for d in lags[:0:-1]]
    power = np.stack(left + right)  # (2p - 1, f)
    seeds -= scipy.fft.irfft(power, n=length, axis=1)[:, lags].T
    return seeds


def _apart(lines: Float64, gap: int) -> Float64:
    """The lines of two edges with those zeros between them that still are among the 2q nearest."""
    q = len(lines) // 2
    gap = min(gap, q)
    apart = np.zeros_like(lines)
    apart[:q] = lines[:q]
    apart[q + gap :] = lines[q : 2 * q - gap]
    return apart


def _products(leading: Spectrum, partners: Spectrum) -> Spectrum:
    """Cross spectra of pairs of lines, shape (q, f), summed."""
    total: Spectrum = np.vecdot(leading.T, partners.T)
    return total


def _line_gram(entering: Float64, leaving: Float64, p: int) -> Float64:
    """Gram matrices of all windows of p columns between the rows of a strip, less another's.

    Parameters
    ----------
    entering, leaving : ndarray, shape (q, n)
    p : int

    Returns
    -------
    ndarray, shape (q, p, q, p)
        ``sum over x of strip[a, x + c] strip[b, x + d]`` at [a, c, b, d].
    """
    q = p - 1
    columns = entering.shape[1] - q
    T = np.empty((q, p, q, p))
    for d in range(p):
        T[:, 0, :, d] = (
            entering[:, :columns] @ entering[:, d : d + columns].T
            - leaving[:, :columns] @ leaving[:, d : d + columns].T
        )
    # Along the columns: the products with the last column's pixels come, with the first's go.
    pixels = np.stack(
        [entering[:, columns:], entering[:, :q], leaving[:, columns:], leaving[:, :q]]
    )  # (4, q, q)
    signed = np.array([1.0, -1.0, -1.0, 1.0])[:, None] * pixels.reshape(4, -1)
    for c in range(q):
        change = pixels[:, :, c].T @ signed  # (q, q*q)
        T[:, c + 1, :, 0] = T[:, 0, :, c + 1].T
        T[:, c + 1, :, 1:] = T[:, c, :, :q] + change.reshape(q, q, q)
    return T
