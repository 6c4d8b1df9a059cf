"""Where an image departs from its lattice.

Three tests of the whitened residual: at every column of the lattice and, more strictly, at every
pixel, whether something as large as a column is missing or too much there; and at every pixel
whether the image's leading patterns are stronger than noise makes them.
"""

from typing import Any

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.special
from numpy.typing import NDArray

from reucid_core.eigenpatches import FloatArray
from reucid_core.whitening import Whitening

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

FALSE_ALARM_COLUMN = 1e-2  # of the test of a column: there are 100 times fewer than pixels
FALSE_ALARM_SPOT = 1e-4  # of the same test at a pixel
FALSE_ALARM_PATTERN = 1e-5  # of the test for patterns at a pixel
GROW = 3  # px around a pixel where a pattern is
SPOT = 2.5  # px, standard deviation of the spot that is tested for, at least
LARGEST_SPOT = 5.0  # px
REACH = 2.0  # standard deviations of the spot around its middle that depart with it
FAINT = 0.1  # of the range of intensity above the background: a column is brighter
LEVELS = 16  # of intensity, in which the residual's variance is measured
SIGNIFICANT = 4.0  # standard errors of the variance's slope that count
LEAST_VARIANCE = 0.1


def local_variance(residual: FloatArray, estimate: FloatArray) -> Float64:
    """Variance of the whitened noise by the intensity of the image, of mean 1, shape (m, n)."""
    levels = np.quantile(estimate[::3, ::3], np.linspace(0, 1, LEVELS + 1))
    level = np.clip(np.searchsorted(levels, estimate.ravel()) - 1, 0, LEVELS - 1)
    counts = np.bincount(level, minlength=LEVELS)
    used = counts > estimate.size / (8 * LEVELS)
    squares = residual.ravel().astype(np.float64) ** 2
    means = np.bincount(level, estimate.ravel(), LEVELS)[used] / counts[used]
    variances = np.bincount(level, squares, LEVELS)[used] / counts[used]
    if len(means) < 3 or np.ptp(means) == 0 or not variances.all():
        return np.ones(residual.shape)
    errors = variances * np.sqrt(2 / counts[used])
    centre = np.average(means, weights=errors**-2)
    spread = float(np.sum(((means - centre) / errors) ** 2))
    slope = float(np.sum((means - centre) * variances / errors**2)) / spread
    if slope * np.sqrt(spread) < SIGNIFICANT:
        return np.ones(residual.shape)
    at_centre = np.average(variances, weights=errors**-2)
    lowest = max(float(variances.min()), LEAST_VARIANCE)
    variance = np.clip(
        at_centre + slope * (estimate - centre), lowest, max(lowest, float(variances.max()))
    )
    return np.asarray(variance / variance.mean(dtype=np.float64), dtype=np.float64)


def find_departures(
    residual: FloatArray,
    estimate: FloatArray,
    whitening: Whitening,
    patterns: FloatArray,
    sigma: float = SPOT,
) -> Mask:
    """Pixels that depart from the lattice, and those around them, shape (m, n).

    Parameters
    ----------
    residual : ndarray, shape (m, n)
        Whitened.
    estimate : ndarray, shape (m, n)
        The lattice, not whitened.
    whitening : Whitening
    patterns : ndarray, shape (k, p, p)
        Leading eigenpatches of the whitened image.
    sigma : float
        Standard deviation of a column in px, about.
    """
    variance = local_variance(residual, estimate)
    spot = np.abs(spot_deviation(residual, variance, whitening, sigma))
    found = spot > _bound(FALSE_ALARM_SPOT)
    found |= columns_of(estimate, sigma) & (spot > _bound(FALSE_ALARM_COLUMN))
    strength = _pattern_strength(residual, variance, patterns)
    shaped = strength > scipy.special.chdtri(len(patterns), FALSE_ALARM_PATTERN)
    return _grown(found, REACH * sigma) | _grown(shaped, GROW)


def columns_of(estimate: FloatArray, sigma: float) -> Mask:
    """Local maxima of a lattice above its background, shape (m, n)."""
    low, high = np.quantile(estimate[::4, ::4], (0.05, 0.99))
    if high <= low:
        return np.zeros(estimate.shape, dtype=bool)
    smooth = scipy.ndimage.gaussian_filter(estimate, 0.7)
    highest = scipy.ndimage.maximum_filter(smooth, 2 * round(sigma) + 1)
    return np.asarray((smooth == highest) & (smooth > low + FAINT * (high - low)))


def spot_deviation(
    residual: FloatArray, variance: Float64, whitening: Whitening, sigma: float
) -> Float64:
    """How much of a spot is missing (negative) or too much in standard errors, shape (m, n).

    The noise is white only where the image is whitened, and there a spot is whitened as well: its
    matched filter is the spot after the whitening once more, which is its own transpose.
    """
    again = whitening.whiten(residual).astype(np.float64)
    fitted = scipy.ndimage.gaussian_filter(again, sigma, truncate=3, mode="constant")
    around = scipy.ndimage.gaussian_filter(variance, sigma / np.sqrt(2), truncate=3)
    rows, columns = (
        _passed(factors, length, sigma)
        for factors, length in zip((whitening.rows, whitening.columns), residual.shape, strict=True)
    )
    # The squared spot sums to 1 / (4 pi sigma^2).
    error = np.sqrt(rows * columns * around / (4 * np.pi)) / sigma
    return np.asarray(fitted / error, dtype=np.float64)


def _passed(factors: Float64, length: int, sigma: float) -> float:
    """Mean square of a whitening's factors over the frequencies of a spot."""
    if len(factors) == 1:
        return float(factors[0] ** 2)
    frequency = np.arange(length) / (2 * length)
    weight = np.exp(-((2 * np.pi * sigma * frequency) ** 2))
    weight[0] /= 2  # the others stand for two frequencies each
    return float(np.average(factors**2, weights=weight))


def _bound(false_alarm: float) -> float:
    return float(-scipy.special.ndtri(false_alarm / 2))


def _grown(found: Mask, reach: float) -> Mask:
    """All pixels within a distance, shape (m, n)."""
    grown = np.zeros_like(found)
    around = np.arange(-int(reach), int(reach) + 1)
    y, x = np.nonzero(found)
    for dy in around:
        for dx in around[np.hypot(around, dy) < reach + 0.5]:
            inside = (y + dy >= 0) & (y + dy < found.shape[0])
            inside &= (x + dx >= 0) & (x + dx < found.shape[1])
            grown[y[inside] + dy, x[inside] + dx] = True
    return grown


def runs_of(mask: Mask) -> list[int]:
    """Lengths of the runs of False and True in row order, in turn, beginning with False."""
    flat = mask.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate([[0], changes, [flat.size]])
    lengths: list[int] = np.diff(edges).tolist()
    return [0, *lengths] if flat[0] else lengths


def mask_of(runs: list[int], shape: tuple[int, ...]) -> Mask:
    """The map that `runs_of` tells, shape (m, n)."""
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(shape)


def _pattern_strength(residual: FloatArray, variance: Float64, patterns: FloatArray) -> Any:
    """Sum of squared coefficients of the patterns over their variance: chi-square of noise."""
    p = patterns.shape[-1]
    q, shape = p // 2, residual.shape
    spectrum = scipy.fft.rfft2(residual)
    strength = np.zeros(shape)
    for pattern in patterns:
        kernel = np.zeros(shape)
        kernel[:p, :p] = pattern
        kernel = np.roll(kernel, (-q, -q), (0, 1))
        strength += scipy.fft.irfft2(spectrum * scipy.fft.rfft2(kernel).conj(), s=shape) ** 2
    strength /= scipy.ndimage.uniform_filter(variance, p)
    strength[:q] = strength[-q:] = 0  # the transform wraps there
    strength[:, :q] = strength[:, -q:] = 0
    return strength
