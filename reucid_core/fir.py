"""Projecting all patches on eigenpatches and fusing them, as filters of the image.

``canvas = sum over k of correlate_valid(I, e_k) convolved back with e_k``, divided by the terrain.
Where p*p patches overlap that is one FIR filter, ``h = sum over k of autocorrelation(e_k)``,
whatever the number of eigenpatches. In the border band, q = p - 1 wide on each side, each row is a
filter of its own, along the row only; the corners are small images. All in the precision of the
eigenpatches. Derivation: docs/algorithm.md.
"""

from typing import Any

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from reucid_core.correlation import fast_shape
from reucid_core.eigenpatches import FloatArray
from reucid_core.terrain import full_terrain

Spectrum = NDArray[np.complexfloating[Any, Any]]

SEGMENT = 4  # times q: of a row, transformed at a time; from 3 to 6 equally fast (measured)


def project_and_fuse(
    image: FloatArray,
    E: FloatArray,
    *,
    spectrum: Spectrum | None = None,
    offset: float = 0.0,
    height: int | None = None,
    threads: int | None = None,
) -> FloatArray:
    """All patches, each truncated to the given eigenpatches, fused and divided by the terrain.

    Parameters
    ----------
    image : ndarray, shape (m, n), float32 or float64
    E : ndarray, shape (k, p, p), float32 or float64
        Orthonormal, or so weighted that each is scaled by the root of its weight. Their type is the
        precision: in single precision the result is good to 1e-6 of the largest magnitude.
    spectrum : ndarray, shape (M, N // 2 + 1), complex128, optional
        The ``rfft2`` of the image less `offset`, with zeros behind it up to
        `correlation.fast_shape`, if it is at hand.
    offset : float
        What the spectrum leaves out.
    height : int, optional
        Rows of a band that is filtered at a time; all by default.
    threads : int, optional
        Threads of the FFT.

    Returns
    -------
    ndarray, shape (m, n), in the type of the image
        Cost O(mn log mn + p^2 (m + n) + k p^3).
    """
    m, n = image.shape
    p = E.shape[-1]
    q = p - 1
    if min(m, n) < 4 * q:
        fused = _by_eigenpatch(image.astype(E.dtype, copy=False), E) / full_terrain((m, n), p)
        return fused.astype(image.dtype, copy=False)
    out = np.empty(image.shape, image.dtype)
    h = _filter(E) / E.dtype.type(p**2)
    if spectrum is None:
        _filter_bands(image, h, out, height or m, threads)
    else:
        _filter_whole(spectrum, h, out, offset, threads)
    _fill_sides(image, E, out)
    _fill_corners(image, E, out)
    return out


def _filter_whole(
    spectrum: Spectrum, h: FloatArray, out: FloatArray, offset: float, threads: int | None
) -> None:
    """Fill what is q pixels inside of the edges with the filtered image."""
    q = len(h) // 2
    inside = slice(q, -q)
    n = out.shape[1]
    M, N = fast_shape(out.shape)
    filtered = spectrum * _response(h, (M, N), threads)
    lines = scipy.fft.ifft(filtered, axis=0, overwrite_x=True, workers=threads)[q : len(out) - q]
    field = scipy.fft.irfft(lines, n=N, axis=1, overwrite_x=True, workers=threads)
    np.add(field[:, q : n - q], offset * h.sum(), out=out[inside, inside], casting="same_kind")


def _filter_bands(
    image: FloatArray, h: FloatArray, out: FloatArray, height: int, threads: int | None
) -> None:
    """The same band by band, each transformed with q more rows on both sides."""
    m, n = image.shape
    q = len(h) // 2
    height = min(height, m - 2 * q)
    shape = fast_shape((height + 2 * q, n))
    response = _response(h, shape, threads)
    gain = float(h.sum(dtype=np.float64))
    for start in range(q, m - q, height):
        stop = min(start + height, m - q)
        lines = image[start - q : stop + q]
        offset = lines.mean(dtype=np.float64)  # set apart, as in `exact.Transform`
        deviation = (lines - offset).astype(h.dtype, copy=False)
        spectrum = scipy.fft.rfft2(deviation, s=shape, workers=threads)
        spectrum *= response
        band = scipy.fft.irfft2(spectrum, s=shape, workers=threads, overwrite_x=True)
        band += h.dtype.type(offset * gain)
        out[start:stop, q:-q] = band[q : q + stop - start, q : n - q]
        del deviation, spectrum, band  # before the next takes its place


def _filter(E: FloatArray) -> FloatArray:
    """Sum of the eigenpatches' autocorrelations, shape (2p - 1, 2p - 1), lag 0 in the middle."""
    q = E.shape[-1] - 1
    length = scipy.fft.next_fast_len(2 * q + 1, real=True)
    spectra = scipy.fft.rfft2(E, s=(length, length))
    power = (spectra.real**2 + spectra.imag**2).sum(axis=0)
    lags = np.arange(-q, q + 1)
    h: FloatArray = scipy.fft.irfft2(power, s=(length, length))[lags[:, None], lags]
    return h


def _response(h: FloatArray, shape: tuple[int, int], threads: int | None) -> FloatArray:
    """Frequency response of the filter, shape (M, N // 2 + 1): real, since h is even."""
    q = len(h) // 2
    M, N = shape
    lines = np.zeros((q + 1, N), h.dtype)  # the other rows mirror these
    lines[:, np.arange(-q, q + 1)] = h[q:]
    rows = scipy.fft.rfft(lines, axis=1, workers=threads)
    response: FloatArray = scipy.fft.hfft(rows, n=M, axis=0, workers=threads)
    return response


def _fill_sides(image: FloatArray, E: FloatArray, out: FloatArray) -> None:
    """Fill the first and last q rows and columns but for the corners, under a ramp of terrain."""
    p = E.shape[-1]
    q = p - 1
    ramp = np.arange(1, p, dtype=E.dtype)
    length = scipy.fft.next_fast_len(SEGMENT * q, real=True)
    for turn in range(2):
        products = _row_products(np.rot90(E, turn, axes=(1, 2)), length)
        for opposite in range(2):
            side, source = (np.rot90(each, turn + 2 * opposite) for each in (out, image))
            if opposite:  # patches turned by half: the same pairs of rows, from the other end
                products = products[:, ::-1, ::-1].transpose(0, 2, 1)
            strip = source[: 2 * q].astype(E.dtype)
            side[:q, q:-q] = _top_band(strip, products, length) / (p * ramp[:, None])


def _row_products(E: FloatArray, length: int) -> Spectrum:
    """Cross spectra of all pairs of rows, summed over the eigenpatches, shape (f, p, p)."""
    spectra = scipy.fft.rfft(E, n=length, axis=2).transpose(2, 1, 0)  # (f, p, k)
    products: Spectrum = spectra @ spectra.conj().transpose(0, 2, 1)
    return products


def _top_band(strip: FloatArray, products: Spectrum, length: int) -> FloatArray:
    """First q rows of the canvas, without their first and last q columns.

    Row r is the sum over the rows j of the image of a filter along the row,
    ``h[r, j] = h[r - 1, j - 1] + sum over k of correlation along the columns(e_k[r], e_k[j])``:
    one more patch reaches it than its predecessor. The rows are filtered in segments that overlap
    by the filter's 2q + 1 taps (overlap-save).

    Parameters
    ----------
    strip : ndarray, shape (2q, n)
    products : ndarray, shape (f, p, p)
        Of the rows of the eigenpatches, at the frequencies of a segment.
    length : int
        Of a segment, in px.

    Returns
    -------
    ndarray, shape (q, n - 2q)
    """
    frequencies, p = products.shape[:2]
    q = p - 1
    filters = np.zeros((frequencies, q, 2 * q), products.dtype)
    for r in range(q):
        filters[:, r, :p] = products[:, r]
        if r:
            filters[:, r, 1:] += filters[:, r - 1, :-1]

    columns = strip.shape[1] - 2 * q
    step = length - 2 * q
    count = -(-columns // step)
    padded = np.zeros((2 * q, (count - 1) * step + length), strip.dtype)
    padded[:, : strip.shape[1]] = strip
    segments = sliding_window_view(padded, length, axis=1)[:, ::step]  # (2q, count, length)
    spectra = np.ascontiguousarray(scipy.fft.rfft(segments, axis=2).transpose(2, 0, 1))
    filtered = (filters @ spectra).transpose(1, 2, 0)  # (q, count, f)
    band: FloatArray = scipy.fft.irfft(filtered, n=length, axis=2)[:, :, q : q + step]
    return band.reshape(q, -1)[:, :columns]


def _fill_corners(image: FloatArray, E: FloatArray, out: FloatArray) -> None:
    """Fill the four corners, each from the canvas of the 2q x 2q pixels around it."""
    q = E.shape[-1] - 1
    ramp = np.arange(1, q + 1, dtype=E.dtype)
    near = (slice(None, 2 * q), slice(None, q), ramp)
    far = (slice(-2 * q, None), slice(-q, None), ramp[::-1])
    corners = [(rows, columns) for rows in (near, far) for columns in (near, far)]
    images = np.stack([image[rows[0], columns[0]] for rows, columns in corners])
    canvases = _by_eigenpatch(images.astype(E.dtype, copy=False), E)
    for (rows, columns), canvas in zip(corners, canvases, strict=True):
        terrain = np.outer(rows[2], columns[2])
        out[rows[1], columns[1]] = canvas[rows[1], columns[1]] / terrain


def _by_eigenpatch(images: FloatArray, E: FloatArray) -> FloatArray:
    """The canvases of small images, shape (..., m, n), by the definition.

    With FFTs of each eigenpatch's map of coefficients.
    """
    p = E.shape[-1]
    m, n = images.shape[-2:]
    M, N = shape = fast_shape((m, n))
    spectra = scipy.fft.rfft2(images, s=shape)
    canvas = np.zeros_like(spectra)
    for e in E:
        e_spectrum = scipy.fft.rfft2(e, s=shape)
        lines = scipy.fft.ifft(spectra * e_spectrum.conj(), axis=-2, overwrite_x=True)
        maps = scipy.fft.irfft(lines[..., : m - p + 1, :], n=N, axis=-1)[..., : n - p + 1]
        canvas += scipy.fft.fft(scipy.fft.rfft(maps, n=N, axis=-1), n=M, axis=-2) * e_spectrum
    result: FloatArray = scipy.fft.irfft2(canvas, s=shape)[..., :m, :n]
    return result
