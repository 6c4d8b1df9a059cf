"""Projecting all patches on eigenpatches and fusing them, as filters of the image.

``canvas = sum over k of correlate_valid(I, e_k) convolved back with e_k``, divided by the terrain.
Where p*p patches overlap that is one FIR filter, ``h = sum over k of autocorrelation(e_k)``,
whatever the number of eigenpatches. In the border band, q = p - 1 wide on each side, each row is a
filter of its own, along the row only; the corners are small images. Derivation: docs/algorithm.md.
"""

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from reucid_core.eigenpatches import FloatArray
from reucid_core.terrain import full_terrain

Float64 = NDArray[np.float64]
Spectrum = NDArray[np.complex128]

BLOCK_NUMBERS = 2**21  # of the windows of a strip multiplied at a time


def project_and_fuse(
    image: FloatArray,
    E: Float64,
    *,
    spectrum: Spectrum | None = None,
    height: int | None = None,
    threads: int | None = None,
) -> FloatArray:
    """All patches, each truncated to the given eigenpatches, fused and divided by the terrain.

    Parameters
    ----------
    image : ndarray, shape (m, n), float32 or float64
    E : ndarray, shape (k, p, p), float64
        Orthonormal.
    spectrum : ndarray, shape (m, n // 2 + 1), complex128, optional
        The image's ``rfft2``, if it is at hand.
    height : int, optional
        Rows of a band that is filtered at a time; all by default.
    threads : int, optional
        Threads of the FFT.

    Returns
    -------
    ndarray, shape (m, n), in the type of the image
        Computed in float64. Cost O(mn log mn + p^3 (m + n) + k p^2 log p).
    """
    m, n = image.shape
    p = E.shape[-1]
    q = p - 1
    if min(m, n) < 4 * q:
        fused = _by_eigenpatch(image, E) / full_terrain((m, n), p)
        return fused.astype(image.dtype, copy=False)
    out = np.empty(image.shape, image.dtype)
    h = _filter(E) / p**2
    if spectrum is None:
        _filter_bands(image, h, out, height or m, threads)
    else:
        _filter_whole(spectrum, h, out, threads)

    # The edges: each side in turn, seen as the top, under a ramp of the terrain.
    ramp = np.arange(1, p)
    for turn in range(4):
        side, source = np.rot90(out, turn), np.rot90(image, turn)
        turned_E = np.rot90(E, turn, axes=(1, 2))
        strip = source[: 2 * q].astype(np.float64)
        side[:q, q:-q] = _top_band(strip, turned_E) / (p * ramp[:, None])
        corner = _by_eigenpatch(strip[:, : 2 * q], turned_E)[:q, :q]
        side[:q, :q] = corner / np.outer(ramp, ramp)
    return out


def _filter_whole(spectrum: Spectrum, h: Float64, out: FloatArray, threads: int | None) -> None:
    """Fill what is q pixels inside of the edges with the filtered image."""
    q = len(h) // 2
    response = scipy.fft.rfft2(_wrapped(h, out.shape), workers=threads)
    response *= spectrum
    out[q:-q, q:-q] = scipy.fft.irfft2(response, s=out.shape, workers=threads)[q:-q, q:-q]


def _filter_bands(
    image: FloatArray, h: Float64, out: FloatArray, height: int, threads: int | None
) -> None:
    """The same band by band, each transformed with q more rows on both sides."""
    m, n = image.shape
    q = len(h) // 2
    height = min(height, m - 2 * q)
    shape = (
        scipy.fft.next_fast_len(height + 2 * q, real=True),
        scipy.fft.next_fast_len(n, real=True),
    )
    response = scipy.fft.rfft2(_wrapped(h, shape), workers=threads)
    gain = h.sum()
    for start in range(q, m - q, height):
        stop = min(start + height, m - q)
        lines = image[start - q : stop + q]
        offset = lines.mean(dtype=np.float64)  # set apart, as in `exact.Transform`
        spectrum = scipy.fft.rfft2(lines - offset, s=shape, workers=threads)
        spectrum *= response
        band = scipy.fft.irfft2(spectrum, s=shape, workers=threads, overwrite_x=True)
        band += offset * gain
        out[start:stop, q:-q] = band[q : q + stop - start, q : n - q]
        del spectrum, band  # before the next takes its place


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


def _by_eigenpatch(image: FloatArray, E: Float64) -> Float64:
    """The canvas of a small image, by the definition, with FFTs of each eigenpatch's map."""
    p = E.shape[-1]
    rows, columns = image.shape[0] - p + 1, image.shape[1] - p + 1
    spectrum = scipy.fft.rfft2(image.astype(np.float64, copy=False))
    canvas = np.zeros_like(spectrum)
    for e in E:
        e_spectrum = scipy.fft.rfft2(e, s=image.shape)
        coefficients = scipy.fft.irfft2(spectrum * e_spectrum.conj(), s=image.shape)
        coefficients[rows:] = 0  # no patch begins there
        coefficients[:, columns:] = 0
        canvas += scipy.fft.rfft2(coefficients) * e_spectrum
    result: Float64 = scipy.fft.irfft2(canvas, s=image.shape)
    return result
