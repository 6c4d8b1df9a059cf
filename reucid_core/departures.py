"""Where an image departs from its lattice.

Three tests of the whitened residual: at every column of the lattice and, more strictly, at every
pixel, whether something as large as a column is missing or too much there; and at every pixel
whether the image's leading patterns are stronger than noise makes them. How far a column must
deviate depends on how many others do: of a perfect crystal's, a few would by noise alone.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.special
from numpy.typing import NDArray

from reucid_core.correlation import fast_shape
from reucid_core.eigenpatches import FloatArray
from reucid_core.whitening import Whitening

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
Places = tuple[NDArray[np.intp], ...]  # rows and columns

FALSE_ALARM_COLUMN = 1e-2  # of the test of a column, at most: there are 100 times fewer than pixels
FALSE_COLUMNS = 0.3  # of the columns that depart, so many may be expected of noise
FALSE_ALARM_SPOT = 1e-5  # of the same test at a pixel
FALSE_ALARM_PATTERN = 1e-6  # of the test for patterns at a pixel; few counts are skewed
MOST_REACH = 28  # px from which pixels have a say in whether one departs
GROW = 3  # px around a pixel where a pattern is
SPOT = 2.5  # px, standard deviation of the spot that is tested for, at least
LARGEST_SPOT = 5.0  # px
REACH = 2.0  # standard deviations of the spot around its middle that depart with it
SPOTS = 4  # standard deviations of a column in the diameter of the point-spread function
DARK, BRIGHT = 0.05, 0.99  # quantiles of intensity: of the background and of the columns
FAINT = 0.1  # of the range between them above the background: a column is brighter
LEVELS = 16  # of intensity, in which the residual's variance is measured
SIGNIFICANT = 4.0  # standard errors of the variance's slope that count
LEAST_VARIANCE = 0.1
BLOCK = 2**20  # pixels of a map that are compared with their neighbours at a time


@dataclass(frozen=True)
class LocalVariance:
    """Variance of the whitened noise by the intensity of the image, of mean 1: a clipped line."""

    centre: float = 0.0  # intensity
    at_centre: float = 1.0
    slope: float = 0.0
    lowest: float = 1.0
    highest: float = 1.0

    @classmethod
    def of(cls, residual: FloatArray, estimate: FloatArray) -> "LocalVariance":
        """Measured in the whitened residual of an image, or in a sample of its pixels.

        Parameters
        ----------
        residual, estimate : ndarray, shape (m, n)
            The estimate in the image's own colours.
        """
        levels = np.quantile(estimate[::3, ::3], np.linspace(0, 1, LEVELS + 1)[1:-1])
        level = np.searchsorted(levels, estimate.ravel())
        counts = np.bincount(level, minlength=LEVELS)
        used = counts > estimate.size / (8 * LEVELS)
        squares = residual.ravel().astype(np.float64) ** 2
        means = np.bincount(level, estimate.ravel(), LEVELS)[used] / counts[used]
        variances = np.bincount(level, squares, LEVELS)[used] / counts[used]
        if len(means) < 3 or np.ptp(means) == 0 or not variances.all():
            return cls()
        errors = variances * np.sqrt(2 / counts[used])
        centre = np.average(means, weights=errors**-2)
        spread = float(np.sum(((means - centre) / errors) ** 2))
        slope = float(np.sum((means - centre) * variances / errors**2)) / spread
        if slope * np.sqrt(spread) < SIGNIFICANT:
            return cls()
        at_centre = float(np.average(variances, weights=errors**-2))
        lowest = max(float(variances.min()), LEAST_VARIANCE)
        highest = max(lowest, float(variances.max()))
        line = cls(float(centre), at_centre, slope, lowest, highest)
        mean = float(line.at(estimate).mean(dtype=np.float64))
        return cls(float(centre), *(each / mean for each in (at_centre, slope, lowest, highest)))

    def at(self, estimate: FloatArray) -> FloatArray:
        """Where the image is so bright, shape (m, n), in the type of the estimate."""
        if self.slope == 0.0:
            return np.ones_like(estimate)
        kind = estimate.dtype.type
        variance = estimate - kind(self.centre)
        variance *= kind(self.slope)
        variance += kind(self.at_centre)
        return np.clip(variance, kind(self.lowest), kind(self.highest), out=variance)


@dataclass(frozen=True)
class Columns:
    """What a column of the lattice is.

    Parameters
    ----------
    sigma : float
        Its standard deviation in px, about.
    faintest : float
        Intensity that all columns exceed; infinite where there are none.
    """

    sigma: float
    faintest: float

    @classmethod
    def of(cls, lattice: FloatArray, diameter: int | None) -> "Columns":
        """Those of a lattice.

        Parameters
        ----------
        lattice : ndarray, shape (m, n)
            In its own colours; or a sample of its pixels.
        diameter : int or None
            Of the point-spread function in px, if it is known.
        """
        low, high = np.quantile(lattice[::4, ::4], (DARK, BRIGHT))
        sigma = min(max(SPOT, (diameter or 0) / SPOTS), LARGEST_SPOT)
        return cls(sigma, float(low + FAINT * (high - low)) if high > low else np.inf)

    @property
    def reach(self) -> float:
        """Px around the middle of one that departs, that depart with it."""
        return REACH * self.sigma

    def at(self, lattice: FloatArray) -> Mask:
        """Where they are: local maxima, shape (m, n)."""
        smooth = scipy.ndimage.gaussian_filter(lattice, 0.7)
        highest = scipy.ndimage.maximum_filter(smooth, 2 * round(self.sigma) + 1)
        return np.asarray((smooth == highest) & (smooth > self.faintest))


@dataclass(frozen=True)
class Found:
    """What the tests of a whitened residual say.

    Parameters
    ----------
    sure : ndarray of bool, shape (m, n)
        Pixels that depart whatever the columns say, and those around them.
    columns : ndarray of bool, shape (m, n)
        Where the lattice's columns are.
    deviations : ndarray, shape (number of columns,)
        How much is missing or too much at each, in row order, in standard errors and without sign.
    """

    sure: Mask
    columns: Mask
    deviations: FloatArray

    def rows(self, rows: slice) -> "Found":
        """The same of these rows alone."""
        before = np.count_nonzero(self.columns[: rows.start])
        columns = self.columns[rows]
        own = slice(before, before + np.count_nonzero(columns))
        return Found(self.sure[rows], columns, self.deviations[own])


def find_departures(
    residual: FloatArray,
    twice: FloatArray,
    lattice: FloatArray,
    variance: FloatArray,
    patterns: FloatArray,
    columns: Columns,
    error: float,
) -> Found:
    """Pixels that depart from the lattice, and how much each of its columns deviates.

    Parameters
    ----------
    residual, twice : ndarray, shape (m, n)
        Whitened, and whitened once more.
    lattice : ndarray, shape (m, n)
        In its own colours.
    variance : ndarray, shape (m, n)
        Of the residual.
    patterns : ndarray, shape (k, p, p)
        Leading eigenpatches of the whitened image.
    columns : Columns
    error : float
        `error_of_spot`.
    """
    spot = np.abs(spot_deviation(twice, variance, columns.sigma, error))
    strength = _pattern_strength(residual, variance, patterns)
    shaped = strength > scipy.special.chdtri(len(patterns), FALSE_ALARM_PATTERN)
    sure = np.zeros(residual.shape, dtype=bool)
    mark(sure, np.nonzero(spot > bound(FALSE_ALARM_SPOT)), columns.reach)
    mark(sure, np.nonzero(shaped), GROW)
    where = columns.at(lattice)
    return Found(sure, where, spot[where])


def least_deviation(deviations: FloatArray) -> float:
    """From which deviation on columns depart, by those of all columns, in standard errors.

    The lowest one of which noise explains at most the share `FALSE_COLUMNS` of those that reach
    it, and never less than `FALSE_ALARM_COLUMN` allows (Benjamini and Hochberg 1995,
    doi:10.1111/j.2517-6161.1995.tb02031.x).

    Parameters
    ----------
    deviations : ndarray, shape (number of columns,)
        Without sign.

    Returns
    -------
    float
        Infinite where no column departs.
    """
    highest_first = np.sort(deviations)[::-1].astype(np.float64)
    by_noise = 2 * scipy.special.ndtr(-highest_first) * len(highest_first)
    few = by_noise <= FALSE_COLUMNS * np.arange(1, len(highest_first) + 1)
    if not few.any():
        return np.inf
    return max(bound(FALSE_ALARM_COLUMN), float(highest_first[np.flatnonzero(few)[-1]]))


def spot_deviation(
    twice: FloatArray, variance: FloatArray, sigma: float, error: float
) -> FloatArray:
    """How much of a spot is missing (negative) or too much in standard errors, shape (m, n).

    The noise is white only where the image is whitened, and there a spot is whitened as well: its
    matched filter is the spot after the whitening once more, which is its own transpose.
    """
    fitted = scipy.ndimage.gaussian_filter(twice, sigma, truncate=3, mode="constant")
    around = scipy.ndimage.gaussian_filter(variance, sigma / np.sqrt(2), truncate=3)
    deviation: FloatArray = fitted / (np.sqrt(around) * around.dtype.type(error))
    return deviation


def error_of_spot(whitening: Whitening, shape: tuple[int, ...], sigma: float) -> float:
    """Standard error of the noise in a spot's matched filter where its variance is 1."""
    rows, columns = (
        _passed(factors, length, sigma)
        for factors, length in zip((whitening.rows, whitening.columns), shape, strict=True)
    )
    # The squared spot sums to 1 / (4 pi sigma^2).
    return float(np.sqrt(rows * columns / (4 * np.pi)) / sigma)


def _passed(factors: Float64, length: int, sigma: float) -> float:
    """Mean square of a whitening's factors over the frequencies of a spot."""
    if len(factors) == 1:
        return float(factors[0] ** 2)
    frequency = np.arange(length) / (2 * length)
    weight = np.exp(-((2 * np.pi * sigma * frequency) ** 2))
    weight[0] /= 2  # the others stand for two frequencies each
    return float(np.average(factors**2, weights=weight))


def bound(false_alarm: float) -> float:
    """Standard errors that noise exceeds with this probability, above or below."""
    return float(-scipy.special.ndtri(false_alarm / 2))


def mark(mask: Mask, places: Places, reach: float) -> None:
    """Set all pixels of a mask within a distance of any of the places: it is written into.

    Parameters
    ----------
    mask : ndarray of bool, shape (m, n)
    places : (ndarray of int, ndarray of int)
        Rows and columns.
    reach : float
        In px.
    """
    around = np.arange(-int(reach), int(reach) + 1)
    y, x = places
    for dy in around:
        for dx in around[np.hypot(around, dy) < reach + 0.5]:
            inside = (y + dy >= 0) & (y + dy < mask.shape[0])
            inside &= (x + dx >= 0) & (x + dx < mask.shape[1])
            mask[y[inside] + dy, x[inside] + dx] = True


def runs_of(mask: Mask) -> list[int]:
    """Lengths of the runs of False and True in row order, in turn, beginning with False."""
    flat = mask.ravel()
    starts = range(0, flat.size, BLOCK)
    blocks = (flat[start : start + BLOCK + 1] for start in starts)  # and the pixel after each
    changes = [
        start + 1 + np.flatnonzero(block[1:] != block[:-1])
        for start, block in zip(starts, blocks, strict=True)
    ]
    edges = np.concatenate([[0], *changes, [flat.size]])
    lengths: list[int] = np.diff(edges).tolist()
    return [0, *lengths] if flat[0] else lengths


def mask_of(runs: list[int], shape: tuple[int, ...]) -> Mask:
    """The map that `runs_of` tells, shape (m, n)."""
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(shape)


def _pattern_strength(residual: FloatArray, variance: FloatArray, patterns: FloatArray) -> Any:
    """Sum of squared coefficients of the patterns over their variance: chi-square of noise."""
    q, (m, n) = patterns.shape[-1] // 2, residual.shape
    field = fast_shape(residual.shape)
    spectrum = scipy.fft.rfft2(residual, s=field)
    strength = np.zeros_like(residual)
    inside = strength[q : m - q, q : n - q]  # where a whole pattern lies around a pixel
    for pattern in patterns.astype(residual.dtype):
        product = scipy.fft.rfft2(pattern, s=field).conj()
        product *= spectrum
        inside += scipy.fft.irfft2(product, s=field)[: m - 2 * q, : n - 2 * q] ** 2
    strength /= scipy.ndimage.uniform_filter(variance, patterns.shape[-1])
    return strength
