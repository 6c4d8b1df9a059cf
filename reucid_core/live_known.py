"""Frames of a specimen that is known: the filters that were found, applied to one after another.

What `two_scale.denoise_frame` does of an image, with what does not change from frame to frame at
hand, and each step where it costs least. Whitening, band limit and colouring are factors of one
cosine transform. On a coarse grid one image, between the four of every other pixel, has the patches
of all: below half of the highest frequency they hold the same. Where a frame departs from its
lattice is tested on the lattice's grid, which resolves all that the tests look for.
"""

from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.special
from numpy.typing import NDArray

from reucid_core.departures import (
    FALSE_ALARM_PATTERN,
    FALSE_ALARM_SPOT,
    GROW,
    Columns,
    LocalVariance,
    bound,
    least_deviation,
    mark,
)
from reucid_core.eigenpatches import FloatArray
from reucid_core.exact import Transform, gram_of_patches
from reucid_core.fir import Projection
from reucid_core.grids import phases
from reucid_core.lattice import Lattice
from reucid_core.live_memory import Patches
from reucid_core.patches import origin_grid
from reucid_core.recovery import recover
from reucid_core.scales import Scales

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

FIELDS = 8  # shapes of frames and of parts of them for which factors are held


@dataclass(frozen=True)
class Seen:
    """A frame, or rows of one, as the known lattice shows it.

    Parameters
    ----------
    image : ndarray, shape (m, n)
        Denoised.
    departs : ndarray of bool, shape (m, n)
        Where it is not its lattice.
    residual : ndarray, shape (m, n)
        Whitened.
    """

    image: FloatArray
    departs: Mask
    residual: FloatArray


class Coefficients:
    """The cosine transform of an image, whitened, and what it is sampled at.

    Parameters
    ----------
    image : ndarray, shape (m, n)
        Mirrored at its end up to the field's shape.
    field : Field
    """

    def __init__(self, image: FloatArray, field: "Field") -> None:
        self.shape, self._field = image.shape, field
        self.white = field.analysed(image)
        self.white *= field.factors

    @cached_property
    def grid(self) -> FloatArray:
        """The whitened image on the lattice's grid, between its pixels where that is coarse."""
        return self._field.sampled(self.white)

    @cached_property
    def image(self) -> FloatArray:
        """The whitened image, shape (m, n)."""
        return self._field.shown(self.white)

    @cached_property
    def band(self) -> FloatArray:
        """The same, of the frequencies that the lattice's grid has."""
        if self._field.spacing == 1:
            return self.image
        return self._field.shown(self._field.low(self.white))


class Field:
    """An image's place in a field of fast transforms, and the factors of its frequencies.

    Parameters
    ----------
    shape : (int, int)
        Of the images.
    scales : Scales
    dtype : numpy.dtype
    threads : int or None
    """

    def __init__(
        self, shape: tuple[int, int], scales: Scales, dtype: np.dtype[Any], threads: int | None
    ) -> None:
        spacing = scales.lattice.spacing
        self.shape, self.threads, self.spacing = shape, threads, spacing
        self.size = M, N = _fast(shape[0], spacing), _fast(shape[1], spacing)
        self._coarse = M // spacing, N // spacing
        whitening = scales.whitening
        self._along = tuple(
            _at_length(factors, length)
            for factors, length in zip((whitening.rows, whitening.columns), (M, N), strict=True)
        )
        self.factors = np.outer(*self._along).astype(dtype)
        self._dtype = dtype

    def extended(self, image: FloatArray) -> FloatArray:
        """A copy, mirrored at its end, shape (M, N)."""
        margins = [(0, size - side) for size, side in zip(self.size, image.shape, strict=True)]
        return np.pad(image.astype(self._dtype, copy=False), margins, mode="symmetric")

    def sampled(self, coefficients: FloatArray) -> FloatArray:
        """The image of coefficients on the lattice's grid, shape (M / spacing, N / spacing)."""
        rows, columns = self._coarse
        low = coefficients[:rows, :columns] / self._dtype.type(self.spacing)
        image: FloatArray = scipy.fft.idctn(low, norm="ortho", workers=self.threads)
        return image

    def analysed(self, image: FloatArray) -> FloatArray:
        """Coefficients of an image, shape (m, n), at all frequencies."""
        found: FloatArray = scipy.fft.dctn(
            self.extended(image), norm="ortho", workers=self.threads, overwrite_x=True
        )
        return found

    def shown(self, coefficients: FloatArray) -> FloatArray:
        """The image of coefficients, of which the highest may be left out, shape (m, n)."""
        m, n = self.shape
        M, N = self.size  # one axis after the other: rows without coefficients stay zero
        lines = scipy.fft.idct(coefficients, n=N, axis=1, norm="ortho", workers=self.threads)
        image: FloatArray = scipy.fft.idct(
            lines[:, :n], n=M, axis=0, norm="ortho", workers=self.threads
        )
        return np.ascontiguousarray(image[:m])

    def low(self, factors: FloatArray) -> FloatArray:
        """Those of the frequencies that the lattice's grid has."""
        return factors[: self._coarse[0], : self._coarse[1]]

    def error_of_spot(self, sigma: float) -> tuple[FloatArray, FloatArray]:
        """What makes a spot's deviation of the whitened residual, in standard errors.

        Returns
        -------
        factors : ndarray, shape (M / spacing, N / spacing)
            Of the coefficients: whitened once more, and fitted by the spot.
        errors : ndarray, of the same shape
            Standard error of the result on the grid, where the noise's variance is 1. Spots at the
            border are mirrored, and so is their noise.
        """
        factors, errors = [], []
        for whitening, size, number in zip(self._along, self.size, self._coarse, strict=True):
            frequency = np.pi * np.arange(number) / size
            factor = whitening[:number] * np.exp(-0.5 * (sigma * frequency) ** 2)
            at = self.spacing * np.arange(number) + (self.spacing - 1) / 2
            power = 1 + np.cos(2 * np.outer(at + 0.5, frequency))
            power[:, 0] = 1
            factors.append(factor)
            errors.append(np.sqrt(power @ factor**2 / size))
        return np.outer(*factors).astype(self._dtype), np.outer(*errors).astype(self._dtype)


class Known:
    """A specimen that is known, to filter frames of it, or rows of them.

    Parameters
    ----------
    scales : Scales
        Whose lattice has eigenpatches.
    dtype : numpy.dtype
        Of the images.
    threads : int or None
    """

    def __init__(self, scales: Scales, dtype: np.dtype[Any], threads: int | None) -> None:
        self.scales, self._dtype, self._threads = scales, dtype, threads
        self._projection = _projection(scales.lattice, dtype)
        self._patterns = scales.details.patterns.astype(dtype)
        self._details = scales.details.useful.astype(dtype)
        self._fields: dict[tuple[int, int], Field] = {}
        self._pattern_spectra: dict[tuple[int, int], Any] = {}
        self._spots: dict[tuple[int, int], tuple[FloatArray, FloatArray]] = {}

    @property
    def lattice(self) -> Lattice:
        """That frames are filtered by."""
        return self.scales.lattice

    def of(self, lattice: Lattice) -> "Known":
        """The same with another lattice of such patches."""
        other = copy(self)
        plan = replace(self.scales.plan, components=len(lattice.weights))
        other.scales = replace(self.scales, lattice=lattice, plan=plan)
        other._projection = _projection(lattice, self._dtype)
        return other

    def coefficients(self, image: FloatArray) -> Coefficients:
        """An image without its outliers, shape (m, n), transformed."""
        return Coefficients(image, self._field((image.shape[0], image.shape[1])))

    def patches(self, found: Coefficients) -> Patches:
        """The Gram matrix of all patches, and their number: those of all images of the grid."""
        p, images = self.lattice.patch_size, self.lattice.spacing**2
        transform = Transform.of(found.grid, lags=p - 1, threads=self._threads)
        rows, columns = origin_grid(transform.image.shape, p)
        G = gram_of_patches(transform, p)
        G *= images
        return G, images * rows * columns

    def denoise(self, found: Coefficients) -> Seen:
        """The image, denoised by what is known."""
        field = self._field(found.shape)
        image = self._filtered(found.band)
        residual = found.image - image
        coefficients = field.analysed(image)
        departs = self._departures(found, coefficients, residual, field)
        if departs.any():
            recover(image, residual, departs, self._details)
            coefficients = field.analysed(image)
        coefficients /= field.factors
        return Seen(field.shown(coefficients), departs, residual)

    def _filtered(self, band: FloatArray) -> FloatArray:
        """The lattice in a whitened image of its band."""
        image = np.zeros_like(band)
        if self._projection is None:
            return image
        parts = [band[phase] for phase in phases(self.lattice.spacing)]
        together = len({part.shape for part in parts}) == 1
        stacks = [np.stack(parts)] if together else [part[None].copy() for part in parts]
        fused = [
            each for stack in stacks for each in self._projection.fuse(stack, threads=self._threads)
        ]
        for phase, part in zip(phases(self.lattice.spacing), fused, strict=True):
            image[phase] = part
        return image

    def _departures(
        self, found: Coefficients, lattice: FloatArray, residual: FloatArray, field: Field
    ) -> Mask:
        """Where an image departs from its lattice: the tests of `departures`, on the grid."""
        spacing = self.lattice.spacing
        low = field.low(field.factors)
        lattice = field.low(lattice)
        coloured = field.sampled(lattice / low)
        columns = Columns.of(coloured, self.scales.details.diameter)
        grid_columns = Columns(columns.sigma / spacing, columns.faintest)
        on_grid = coloured[: -(-found.shape[0] // spacing), : -(-found.shape[1] // spacing)]
        line = LocalVariance.of(residual[:: 2 * spacing, ::spacing], on_grid[::2])
        if found.shape not in self._spots:
            _bounded(self._spots)[found.shape] = field.error_of_spot(columns.sigma)
        factors, errors = self._spots[found.shape]
        deviation = np.abs(field.sampled((field.low(found.white) - lattice) * factors)) / errors
        deviation = deviation[: on_grid.shape[0], : on_grid.shape[1]]
        variance = line.at(on_grid)
        if line.slope:
            width = columns.sigma / np.sqrt(2) / spacing
            deviation /= np.sqrt(scipy.ndimage.gaussian_filter(variance, width, truncate=3))
        shaped = self._pattern_strength(residual, variance) > scipy.special.chdtri(
            len(self._patterns), FALSE_ALARM_PATTERN
        )
        departs = np.zeros(on_grid.shape, dtype=bool)
        mark(departs, np.nonzero(deviation > bound(FALSE_ALARM_SPOT)), grid_columns.reach)
        mark(departs, np.nonzero(shaped), GROW / spacing)
        y, x = np.nonzero(grid_columns.at(on_grid))
        at_columns = deviation[y, x]
        departing = at_columns >= least_deviation(at_columns)
        mark(departs, (y[departing], x[departing]), grid_columns.reach)
        if spacing > 1:
            departs = departs.repeat(spacing, axis=0).repeat(spacing, axis=1)
        return departs[: found.shape[0], : found.shape[1]]

    def _pattern_strength(self, residual: FloatArray, variance: FloatArray) -> FloatArray:
        """Sum of squared coefficients of the patterns over their variance, on the grid."""
        spacing, p = self.lattice.spacing, self._patterns.shape[-1]
        q, (m, n) = p // 2, residual.shape
        size = _fast(m, 1), _fast(n, 1)
        if size not in self._pattern_spectra:
            spectra = scipy.fft.rfft2(self._patterns, s=size).conj()
            _bounded(self._pattern_spectra)[size] = spectra
        spectrum = scipy.fft.rfft2(residual, s=size, workers=self._threads)
        strength = np.zeros_like(variance)
        first = -(-q // spacing) * spacing  # the first pixel of the grid with a whole pattern
        inside = slice(first - q, m - 2 * q, spacing), slice(first - q, n - 2 * q, spacing)
        there = strength[first // spacing :, first // spacing :]
        for pattern in self._pattern_spectra[size]:
            fitted = scipy.fft.irfft2(spectrum * pattern, s=size, workers=self._threads)[inside]
            there[: fitted.shape[0], : fitted.shape[1]] += np.square(fitted)
        strength /= scipy.ndimage.uniform_filter(variance, max(1, p // spacing))
        return strength

    def _field(self, shape: tuple[int, ...]) -> Field:
        key = shape[0], shape[1]
        if key not in self._fields:
            field = Field(key, self.scales, self._dtype, self._threads)
            _bounded(self._fields)[key] = field
        return self._fields[key]


def _projection(lattice: Lattice, dtype: np.dtype[Any]) -> Projection | None:
    """On the weighted eigenpatches; None where none is kept."""
    used = lattice.weights > 0
    if not used.any():
        return None
    roots = np.sqrt(lattice.weights[used])[:, None, None]
    E = lattice.decomposition.eigenpatches[used] * roots
    return Projection(E.astype(dtype), held=True)


def _bounded(held: dict[tuple[int, int], Any]) -> dict[tuple[int, int], Any]:
    """With room for one more."""
    if len(held) >= FIELDS:
        del held[next(iter(held))]
    return held


def _fast(side: int, spacing: int) -> int:
    """The shortest fast length from a side on that the grid divides."""
    length = scipy.fft.next_fast_len(side)
    while length % spacing:
        length = scipy.fft.next_fast_len(length + 1)
    return length


def _at_length(factors: Float64, length: int) -> Float64:
    """Factors by cosine frequency for another number of pixels."""
    if len(factors) == 1:
        return np.full(length, factors[0])
    if len(factors) == length:
        return factors
    own = np.arange(len(factors)) / len(factors)
    return np.interp(np.arange(length) / length, own, factors)
