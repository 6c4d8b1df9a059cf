"""Projecting all patches on eigenpatches and fusing them, as filters of the image.

``canvas = sum over k of correlate_valid(I, e_k) convolved back with e_k``, divided by the terrain.
Where p*p patches overlap that is one FIR filter, ``h = sum over k of autocorrelation(e_k)``,
whatever the number of eigenpatches. In the border band, q = p - 1 wide on each side, each row is a
filter of its own, along the row only; the corners are small images. All in the precision of the
eigenpatches. Derivation: docs/algorithm.md.
"""

from functools import cached_property
from typing import Any

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from reucid_core.correlation import fast_shape
from reucid_core.eigenpatches import FloatArray
from reucid_core.terrain import full_terrain

Spectrum = NDArray[np.complexfloating[Any, Any]]

MOST_DENSE = 24  # q up to which a corner has an operator, of 5 MB in single precision
SHAPES = 8  # of images, for which a held projection has its response
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
        As of `Projection`.
    spectrum, offset, height, threads
        As of `Projection.fuse`.

    Returns
    -------
    ndarray, shape (m, n), in the type of the image
        Cost O(mn log mn + p^2 (m + n) + k p^3).
    """
    return Projection(E).fuse(
        image, spectrum=spectrum, offset=offset, height=height, threads=threads
    )


class Projection:
    """The projection on eigenpatches, for one image after another.

    Parameters
    ----------
    E : ndarray, shape (k, p, p), float32 or float64
        Orthonormal, or so weighted that each is scaled by the root of its weight. Their type is the
        precision: in single precision the result is good to 1e-6 of the largest magnitude.
    held : bool
        Hold what is computed of them for images of the last few shapes.
    """

    def __init__(self, E: FloatArray, *, held: bool = False) -> None:
        self._E, self._held = E, held
        self._responses: dict[tuple[int, int], FloatArray] = {}

    def fuse(
        self,
        image: FloatArray,
        *,
        spectrum: Spectrum | None = None,
        offset: float = 0.0,
        height: int | None = None,
        threads: int | None = None,
        out: FloatArray | None = None,
    ) -> FloatArray:
        """All patches of an image, projected, fused and divided by the terrain.

        Parameters
        ----------
        image : ndarray, shape (m, n), float32 or float64
            Or several of one shape, (c, m, n), which takes less time than one after the other.
        spectrum : ndarray, shape (M, N // 2 + 1), complex, optional
            The ``rfft2`` of one image less `offset`, with zeros behind it up to
            `correlation.fast_shape`, if it is at hand.
        offset : float
            What the spectrum leaves out.
        height : int, optional
            Rows of a band that is filtered at a time; all by default.
        threads : int, optional
            Threads of the FFT.
        out : ndarray, shape (m, n), optional
            Where one image's result is written, apart from the image; by default a new array.

        Returns
        -------
        ndarray, shape (m, n) or (c, m, n), in the type of the image
        """
        m, n = image.shape[-2:]
        E, p = self._E, self._E.shape[-1]
        out = np.empty(image.shape, image.dtype) if out is None else out
        q = p - 1
        dense = self._held or q <= MOST_DENSE  # else corners cost more than a small image does
        if min(m, n) < (2 * q + 1 if dense else 4 * q):
            fused = _by_eigenpatch(image.astype(E.dtype, copy=False), E) / full_terrain((m, n), p)
            out[...] = fused
            return out
        if spectrum is not None:
            self._filter_whole(spectrum, out, offset, threads)
        else:
            for each, into in zip(image.reshape(-1, m, n), out.reshape(-1, m, n), strict=True):
                self._filter_bands(each, into, height or m, threads)
        self._fill_sides(image.reshape(-1, m, n), out.reshape(-1, m, n))
        self._fill_corners(image.reshape(-1, m, n), out.reshape(-1, m, n))
        return out

    def _filter_whole(
        self, spectrum: Spectrum, out: FloatArray, offset: float, threads: int | None
    ) -> None:
        """Fill what is q pixels inside of the edges with the filtered image."""
        q = len(self._h) // 2
        inside = slice(q, -q)
        n = out.shape[1]
        M, N = fast_shape(out.shape)
        filtered = spectrum * self._response((M, N), threads)
        lines = scipy.fft.ifft(filtered, axis=0, overwrite_x=True, workers=threads)
        lines = lines[q : len(out) - q]
        field = scipy.fft.irfft(lines, n=N, axis=1, overwrite_x=True, workers=threads)
        level = offset * self._h.sum()
        np.add(field[:, q : n - q], level, out=out[inside, inside], casting="same_kind")

    def _filter_bands(
        self, image: FloatArray, out: FloatArray, height: int, threads: int | None
    ) -> None:
        """The same band by band, each transformed with q more rows on both sides."""
        m, n = image.shape
        h = self._h
        q = len(h) // 2
        height = min(height, m - 2 * q)
        shape = fast_shape((height + 2 * q, n))
        response = self._response(shape, threads)
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

    def _response(self, shape: tuple[int, int], threads: int | None) -> FloatArray:
        if not self._held:
            return _response(self._h, shape, threads)
        if shape not in self._responses:
            if len(self._responses) >= SHAPES:
                del self._responses[next(iter(self._responses))]
            self._responses[shape] = _response(self._h, shape, threads)
        return self._responses[shape]

    def _fill_sides(self, images: FloatArray, out: FloatArray) -> None:
        """Fill the first and last q rows and columns but for the corners, under a ramp."""
        E, p = self._E, self._E.shape[-1]
        q = p - 1
        ramp = np.arange(1, p, dtype=E.dtype)
        for turn in range(4):
            side, source = (np.rot90(each, turn, axes=(1, 2)) for each in (out, images))
            strips = source[:, : 2 * q].astype(E.dtype)
            band = _top_band(strips, self._rows_filters[turn], _segment(q))
            side[:, :q, q:-q] = band / (p * ramp[:, None])

    def _fill_corners(self, images: FloatArray, out: FloatArray) -> None:
        """Fill the four corners, each from the 2q x 2q pixels around it."""
        E, q = self._E, self._E.shape[-1] - 1
        ramp = np.arange(1, q + 1, dtype=E.dtype)
        if q > MOST_DENSE:
            for image, into in zip(images, out, strict=True):
                _fill_corners(image, E, into)
            return
        for turn in range(4):
            corner, source = (np.rot90(each, turn, axes=(1, 2)) for each in (out, images))
            near = source[:, : 2 * q, : 2 * q].astype(E.dtype).reshape(len(images), -1)
            canvases = (near @ self._corner_operators[turn]).reshape(-1, q, q)
            corner[:, :q, :q] = canvases / np.outer(ramp, ramp)

    @cached_property
    def _h(self) -> FloatArray:
        p = self._E.shape[-1]
        h: FloatArray = _filter(self._E) / self._E.dtype.type(p**2)
        return h

    @cached_property
    def _rows_filters(self) -> list[Spectrum]:
        """Of the first q rows of the image turned 0 to 3 times, as of `_top_band`."""
        length = _segment(self._E.shape[-1] - 1)
        found: list[Spectrum] = []
        for turn in range(2):
            products = _row_products(np.rot90(self._E, turn, axes=(1, 2)), length)
            found += [_rows_filters(products)]
            # Patches turned by half: the same pairs of rows, from the other end.
            found += [_rows_filters(products[:, ::-1, ::-1].transpose(0, 2, 1))]
        return [found[number] for number in (0, 2, 1, 3)]

    @cached_property
    def _corner_operators(self) -> list[FloatArray]:
        """From the pixels around a corner to its canvas, shape (4q*q, q*q), for each turn."""
        found = [_corner_operator(np.rot90(self._E, turn, axes=(1, 2))) for turn in range(2)]
        for turn in range(2):  # turned by half, most eigenpatches are themselves or their opposite
            E = np.rot90(self._E, turn, axes=(1, 2)).reshape(len(self._E), -1)
            same = np.array_equal(np.abs(E), np.abs(E[:, ::-1]))
            turned = np.rot90(self._E, turn + 2, axes=(1, 2))
            found.append(found[turn] if same else _corner_operator(turned))
        return found


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


def _segment(q: int) -> int:
    return scipy.fft.next_fast_len(SEGMENT * q, real=True)


def _row_products(E: FloatArray, length: int) -> Spectrum:
    """Cross spectra of all pairs of rows, summed over the eigenpatches, shape (f, p, p)."""
    spectra = scipy.fft.rfft(E, n=length, axis=2).transpose(2, 1, 0)  # (f, p, k)
    products: Spectrum = spectra @ spectra.conj().transpose(0, 2, 1)
    return products


def _rows_filters(products: Spectrum) -> Spectrum:
    """Filters along the row that make the first q rows of the canvas of the first 2q of the image.

    Row r is the sum over the rows j of the image of a filter along the row,
    ``h[r, j] = h[r - 1, j - 1] + sum over k of correlation along the columns(e_k[r], e_k[j])``:
    one more patch reaches it than its predecessor.

    Parameters
    ----------
    products : ndarray, shape (f, p, p)
        Of the rows of the eigenpatches, at the frequencies of a segment.

    Returns
    -------
    ndarray, shape (f, q, 2q)
    """
    frequencies, p = products.shape[:2]
    q = p - 1
    filters = np.zeros((frequencies, q, 2 * q), products.dtype)
    for r in range(q):
        filters[:, r, :p] = products[:, r]
        if r:
            filters[:, r, 1:] += filters[:, r - 1, :-1]
    return filters


def _top_band(strips: FloatArray, filters: Spectrum, length: int) -> FloatArray:
    """First q rows of canvases, without their first and last q columns.

    The rows are filtered in segments that overlap by a filter's 2q + 1 taps (overlap-save).

    Parameters
    ----------
    strips : ndarray, shape (c, 2q, n)
    filters : ndarray, shape (f, q, 2q)
    length : int
        Of a segment, in px.

    Returns
    -------
    ndarray, shape (c, q, n - 2q)
    """
    c, q = len(strips), filters.shape[1]
    columns = strips.shape[2] - 2 * q
    step = length - 2 * q
    count = -(-columns // step)
    padded = np.zeros((c, 2 * q, (count - 1) * step + length), strips.dtype)
    padded[:, :, : strips.shape[2]] = strips
    segments = sliding_window_view(padded, length, axis=2)[:, :, ::step]  # (c, 2q, count, length)
    spectra = scipy.fft.rfft(segments, axis=3).transpose(3, 1, 0, 2)  # (f, 2q, c, count)
    filtered = filters @ spectra.reshape(len(filters), 2 * q, -1)
    filtered = filtered.reshape(-1, q, c, count).transpose(2, 1, 3, 0)  # (c, q, count, f)
    band: FloatArray = scipy.fft.irfft(filtered, n=length, axis=3)[..., q : q + step]
    return band.reshape(c, q, -1)[:, :, :columns]


def _corner_operator(E: FloatArray) -> FloatArray:
    """From the first 2q x 2q pixels of an image to the first q x q of the canvas.

    As in `_rows_filters`, along both axes: a pixel has the patches of the one up and left of it,
    and those that begin in its own row or column's first.

    Returns
    -------
    ndarray, shape (4q*q, q*q)
    """
    p = E.shape[-1]
    q = p - 1
    flat = E.reshape(len(E), -1)
    G = (flat.T @ flat).reshape(p, p, p, p)
    operator = np.zeros((q, q, 2 * q, 2 * q), E.dtype)
    operator[:, :, :p, :p] = G[:q, :q]
    for row in range(1, q):
        operator[row, :, 1:] += operator[row - 1, :, :-1]
    for column in range(1, q):
        operator[:, column, :, 1:] += operator[:, column - 1, :, :-1]
    return operator.reshape(q * q, 4 * q * q).T


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
