"""Projecting all patches on eigenpatches and fusing them, as filters of the image.

``canvas = sum over k of correlate_valid(I, e_k) convolved back with e_k``. Where p*p patches
overlap that is one FIR filter, ``h = sum over k of autocorrelation(e_k)``, whatever the number of
eigenpatches. In the border band, q = p - 1 wide on each side, each row is a filter of its own,
along the row only; the corners are small images. Derivation: docs/algorithm.md.
"""

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

BLOCK_NUMBERS = 2**21  # of the windows of a strip multiplied at a time


def project_and_fuse(
    image: Float64, spectrum: NDArray[np.complex128], E: Float64, *, threads: int | None = None
) -> Float64:
    """Canvas of all patches, each truncated to the given eigenpatches; not divided by the terrain.

    Parameters
    ----------
    image : ndarray, shape (m, n), float64
    spectrum : ndarray, shape (m, n // 2 + 1), complex128
        Its ``rfft2``.
    E : ndarray, shape (k, p, p), float64
        Orthonormal.
    threads : int, optional
        Threads of the FFT.

    Returns
    -------
    ndarray, shape (m, n), float64
        Cost O(mn log mn + p^3 (m + n) + k p^2 log p).
    """
    p = E.shape[-1]
    q = p - 1
    m, n = image.shape
    if min(m, n) < 4 * q:
        return _by_eigenpatch(image, E)
    response = scipy.fft.rfft2(_wrapped(_filter(E), image.shape), workers=threads)
    canvas: Float64 = scipy.fft.irfft2(spectrum * response, s=image.shape, workers=threads)

    # The bands: each side in turn, seen as the top.
    for turn in range(4):
        turned_canvas, turned_image = np.rot90(canvas, turn), np.rot90(image, turn)
        turned_E = np.rot90(E, turn, axes=(1, 2))
        turned_canvas[:q, q:-q] = _top_band(turned_image[: 2 * q], turned_E)
        turned_canvas[:q, :q] = _by_eigenpatch(turned_image[: 2 * q, : 2 * q], turned_E)[:q, :q]
    return canvas


def _filter(E: Float64) -> Float64:
    """Sum of the eigenpatches' autocorrelations, shape (2p - 1, 2p - 1), lag 0 in the middle."""
    q = E.shape[-1] - 1
    length = 2 * q + 1
    spectra = scipy.fft.rfft2(E, s=(length, length))
    total = scipy.fft.irfft2((np.abs(spectra) ** 2).sum(axis=0), s=(length, length))
    return np.fft.fftshift(total)


def _wrapped(h: Float64, shape: tuple[int, ...]) -> Float64:
    """A filter in a field of zeros, its middle at index (0, 0)."""
    q = len(h) // 2
    field = np.zeros(shape)
    field[: 2 * q + 1, : 2 * q + 1] = h
    return np.roll(field, (-q, -q), axis=(0, 1))


def _top_band(strip: Float64, E: Float64) -> Float64:
    """First q rows of the canvas, without their first and last q columns.

    Row r is the sum over the rows j of the image of a filter along the row,
    ``h[r, j] = h[r - 1, j - 1] + sum over k of correlation along the columns(e_k[r], e_k[j])``:
    one more patch reaches it than its predecessor.

    Parameters
    ----------
    strip : ndarray, shape (2q, n)
    E : ndarray, shape (k, p, p)

    Returns
    -------
    ndarray, shape (q, n - 2q)
    """
    p = E.shape[-1]
    q = p - 1
    length = 2 * q + 1
    spectra = scipy.fft.rfft(E, n=length, axis=2).transpose(2, 1, 0)  # (f, p, k)
    products = spectra @ spectra.conj().transpose(0, 2, 1)  # (f, p, p)
    pairs = np.fft.fftshift(scipy.fft.irfft(products, n=length, axis=0), axes=0)  # lag, r, j

    filters = np.zeros((q, 2 * q, length))
    for r in range(q):
        filters[r, :p] = pairs[:, r, :].T
        if r:
            filters[r, 1:] += filters[r - 1, :-1]
    taps = filters[:, :, ::-1].reshape(q, -1)  # (q, 2q * length)

    windows = sliding_window_view(strip, length, axis=1)  # (2q, n - 2q, length)
    band = np.empty((q, windows.shape[1]))
    step = max(1, BLOCK_NUMBERS // taps.shape[1])
    for start in range(0, band.shape[1], step):
        block = windows[:, start : start + step].transpose(0, 2, 1)
        band[:, start : start + step] = taps @ block.reshape(taps.shape[1], -1)
    return band


def _by_eigenpatch(image: Float64, E: Float64) -> Float64:
    """The canvas of a small image, by the definition, with FFTs of each eigenpatch's map."""
    p = E.shape[-1]
    rows, columns = image.shape[0] - p + 1, image.shape[1] - p + 1
    spectrum = scipy.fft.rfft2(image)
    canvas = np.zeros_like(spectrum)
    for e in E:
        e_spectrum = scipy.fft.rfft2(e, s=image.shape)
        coefficients = scipy.fft.irfft2(spectrum * e_spectrum.conj(), s=image.shape)
        coefficients[rows:] = 0  # no patch begins there
        coefficients[:, columns:] = 0
        canvas += scipy.fft.rfft2(coefficients) * e_spectrum
    result: Float64 = scipy.fft.irfft2(canvas, s=image.shape)
    return result
