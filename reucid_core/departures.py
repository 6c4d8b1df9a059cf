"""Where an image departs from its lattice.

Two tests at every pixel of the whitened residual: whether its leading patterns are stronger than
noise makes them, and whether the lattice is weaker or stronger there than elsewhere.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.special
from numpy.typing import NDArray

from reucid_core.eigenpatches import FloatArray

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

FALSE_ALARM = 1e-4  # of each test, per pixel
GROW = 3  # px around a pixel that departs
REACH = 12  # px from which pixels have a say in whether one departs
SIGMA = 2.5  # px, of the window in which the lattice's local gain is measured
LEVELS = 16  # of intensity, in which the residual's variance is measured
SIGNIFICANT = 4.0  # standard errors of the variance's slope that count
LEAST_VARIANCE = 0.1


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


def find_departures(
    residual: FloatArray, template: FloatArray, variance: FloatArray, patterns: FloatArray
) -> Mask:
    """Pixels that depart from the lattice, and those around them, shape (m, n).

    Parameters
    ----------
    residual : ndarray, shape (m, n)
        Whitened.
    template : ndarray, shape (m, n)
        The whitened lattice above its background.
    variance : ndarray, shape (m, n)
        Of the residual.
    patterns : ndarray, shape (k, p, p)
        Leading eigenpatches of the residual.
    """
    strength = _pattern_strength(residual, variance, patterns)
    bound = scipy.special.chdtri(len(patterns), FALSE_ALARM)
    gain = _gain_deviation(residual, template, variance)
    found = (strength > bound) | (np.abs(gain) > -scipy.special.ndtri(FALSE_ALARM / 2))
    return np.asarray(scipy.ndimage.binary_dilation(found, iterations=GROW))


def runs_of(mask: Mask) -> list[int]:
    """Lengths of the runs of False and True in row order, in turn, beginning with False."""
    flat = mask.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate([[0], changes, [flat.size]])
    lengths: list[int] = np.diff(edges).tolist()
    return [0, *lengths] if flat[0] else lengths


def mask_of(runs: list[int], shape: tuple[int, int]) -> Mask:
    """The map that `runs_of` tells, shape (m, n)."""
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(shape)


def _pattern_strength(residual: FloatArray, variance: FloatArray, patterns: FloatArray) -> Any:
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


def _gain_deviation(residual: FloatArray, template: FloatArray, variance: FloatArray) -> Any:
    """Deviation of the lattice's local gain from 1, in standard errors."""
    projected = scipy.ndimage.gaussian_filter(residual * template, SIGMA, truncate=3)
    weight = scipy.ndimage.gaussian_filter(
        template.astype(np.float64) ** 2 * variance, SIGMA / np.sqrt(2), truncate=3
    )
    # The squared window is a narrower one: 4 pi sigma^2 times its square.
    error = np.sqrt(np.maximum(weight, np.finfo(np.float64).tiny) / (4 * np.pi)) / SIGMA
    return projected / error
