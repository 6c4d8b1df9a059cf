"""The circular autocorrelation of an image of any size, by Fourier transforms of fast lengths.

A transform as long as a prime side takes five times as long as its neighbours. In a field of zeros
a few pixels larger the lengths are fast, and the sums differ from those on the image's own torus
only by the pairs of pixels across its seams, which are correlated apart. Derivation:
docs/algorithm.md.
"""

from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from reucid_core.eigenpatches import FloatArray

Spectrum = NDArray[np.complexfloating[Any, Any]]

LONG = 128  # px, from which the length of a transform matters


def fast_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """A shape that holds an image, shape (m, n), and has sides of fast transforms."""
    m, n = (_fast_length(side) for side in shape)
    return m, n


def fast_middle(shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The middle of an image, nearly all of it, that has sides of fast transforms."""
    rows, columns = (_fast_at_most(side) for side in shape)
    return rows, columns


def _fast_at_most(side: int) -> slice:
    if side < LONG:
        return slice(0, side)
    length = next(k for k in range(side, 0, -1) if _fast_length(k) == k)
    start = (side - length) // 2
    return slice(start, start + length)


def _fast_length(side: int) -> int:
    """The side itself if all its prime factors are small; if it has to grow, to even fewer."""
    if scipy.fft.next_fast_len(side) == side:
        return side
    return scipy.fft.next_fast_len(side, real=True)


def correlation_of(
    spectrum: Spectrum, columns: int, lags: int, *, threads: int | None = None
) -> FloatArray:
    """Circular autocorrelation, on the torus of a spectrum, at lags 0 to `lags` along the rows.

    Parameters
    ----------
    spectrum : ndarray, shape (M, N // 2 + 1)
    columns : int
        N.
    lags : int
        At most M - 1.
    threads : int, optional
        Threads of the FFT.

    Returns
    -------
    ndarray, shape (lags + 1, N)
        Not normalised.
    """
    M = len(spectrum)
    power = np.square(spectrum.real)
    power += np.square(spectrum.imag)
    # A power spectrum is real: half a transform leads back along the rows.
    half = scipy.fft.rfft(power, axis=0, norm="forward", workers=threads)
    wanted = np.arange(lags + 1)
    rows = half[np.minimum(wanted, M - wanted)]
    np.conj(rows[: M // 2 + 1], out=rows[: M // 2 + 1])
    correlation: FloatArray = scipy.fft.irfft(rows, n=columns, axis=1, workers=threads)
    return correlation


def close_seams(
    correlation: FloatArray, image: FloatArray, lags: int, *, threads: int | None = None
) -> FloatArray:
    """The autocorrelation of an image on its own torus, from that in a field of zeros.

    The seams are correlated in single precision: 5e-7 of lag 0 at most, far below any noise.

    Parameters
    ----------
    correlation : ndarray, shape (at least lags + 1, N)
        On a torus `fast_shape` wide.
    image : ndarray, shape (m, n)
        Less its mean.
    lags : int
        Less than half of the shorter side.
    threads : int, optional

    Returns
    -------
    ndarray, shape (lags + 1, 2 * lags + 1)
        Lags 0, 1, ..., `lags`, -`lags`, ..., -1 along the columns.
    """
    m, n = image.shape
    M, N = fast_shape(image.shape)
    columns = np.roll(np.arange(-lags, lags + 1), -lags)
    if 3 * lags > min(m, n):  # a slow transform of the image is faster than its wide seams
        spectrum = scipy.fft.rfft2(image.astype(np.float32), workers=threads)
        own = correlation_of(spectrum, n, lags, threads=threads)
        return own[:, columns].astype(correlation.dtype)
    closed = correlation[: lags + 1, columns]
    if m < M:
        ends = image[m - lags :].astype(np.float32), image[:lags].astype(np.float32)
        before, after = (scipy.fft.rfft(end, n=N, axis=1, workers=threads) for end in ends)
        rows = _row_seam(before, after, M - m, threads)
        closed += scipy.fft.irfft(rows, n=N, axis=1, workers=threads)[:, columns]
    if n < N:
        there, back = _column_seams(image, lags, threads)
        gap = min(lags, N - n)
        for side, seam in ((closed[:, 1 : lags + 1], there), (closed[:, :lags:-1], back)):
            side += seam
            side[:, gap:] -= seam[:, : lags - gap]
    return closed


def _row_seam(before: Spectrum, after: Spectrum, gap: int, threads: int | None) -> Spectrum:
    """Products of the last rows with the first, less those that a gap of zeros has moved away.

    Parameters
    ----------
    before, after : ndarray, shape (lags, f)
        Spectra of the rows.
    gap : int
        Rows of zeros.
    threads : int or None

    Returns
    -------
    ndarray, shape (lags + 1, f)
        Summed by their distance, 0 to `lags`.
    """
    lags = len(before)
    length = scipy.fft.next_fast_len(max(1, 2 * lags - 1))
    product = scipy.fft.fft(before[::-1].conj(), n=length, axis=0, workers=threads)
    product *= scipy.fft.fft(after, n=length, axis=0, workers=threads)
    seam = scipy.fft.ifft(product, axis=0, overwrite_x=True, workers=threads)[:lags]
    rows = np.zeros((lags + 1, seam.shape[1]), seam.dtype)
    rows[1:] = seam
    rows[1 + gap :] -= seam[: max(0, lags - gap)]
    return rows


def _column_seams(
    image: FloatArray, lags: int, threads: int | None
) -> tuple[FloatArray, FloatArray]:
    """Products of the last columns with the first, round the torus along the rows.

    Returns
    -------
    two ndarrays, shape (lags + 1, lags)
        At lags 0 to `lags` along the rows and 1 to `lags` along the columns, then -1 to -`lags`.
    """
    m, n = image.shape
    width = scipy.fft.next_fast_len(max(1, 2 * lags - 1), real=True)
    length = scipy.fft.next_fast_len(m + 2 * lags)
    ends = image[:, : n - lags - 1 : -1].astype(np.float32), image[:, :lags].astype(np.float32)
    before, after = (scipy.fft.rfft(end, n=width, axis=1, workers=threads) for end in ends)
    reach = np.concatenate([after[m - lags :], after, after[:lags]])
    # The conjugate of the transform of the conjugate is a transform back.
    product = scipy.fft.ifft(before, n=length, axis=0, norm="forward", workers=threads)
    product *= scipy.fft.fft(reach, n=length, axis=0, workers=threads)
    rows = scipy.fft.ifft(product, axis=0, overwrite_x=True, workers=threads)  # from lag -L on
    there, back = rows[lags : 2 * lags + 1], rows[lags::-1]
    first, second = (
        scipy.fft.irfft(each, n=width, axis=1, workers=threads)[:, :lags] for each in (there, back)
    )
    return first, second
