"""The spectrum of a microscope's noise along the fast scan, as three parts of its variance.

*White*; correlated by the detector's *decay*, from pixel to pixel by a first-order autoregression;
and in *streaks*, the same over tens to hundreds of pixels. Across the scan it is white.
"""

from dataclasses import dataclass
from math import exp, log

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from reucid_core.noise import NoiseModel
from reucid_core.whitening import cosine_filter

Float64 = NDArray[np.float64]

SHORTEST, LONGEST = 8.0, 400.0  # px, of streaks: below, they are a decay; above, offsets of rows
LARGEST_DECAY = float(np.exp(-1 / SHORTEST))
STARTS = [(decay, length) for decay in (0.2, 0.5, 0.8) for length in (20.0, 60.0, 200.0)]


@dataclass(frozen=True, kw_only=True)
class ScanSpectrum:
    """Shares of the noise's variance and how they are correlated; the rest is white.

    Parameters
    ----------
    decay : float
        Share that the detector's decay correlates.
    next_pixel : float
        Correlation of that share with the next pixel along the scan.
    streaks : float
        Share that is in streaks.
    length : float
        In px, over which the streaks' correlation falls to 1/e.
    """

    decay: float = 0.0
    next_pixel: float = 0.5
    streaks: float = 0.0
    length: float = 50.0

    @property
    def white(self) -> float:
        """The share that is not correlated."""
        return 1 - self.decay - self.streaks

    def power(self, n: int) -> Float64:
        """Power at the cosine frequencies of a row of n px, of a noise of variance 1."""
        return self._short(n) + self.streaks * autoregressive(exp(-1 / self.length), n)

    def coloured(self, noise: Float64, rng: np.random.Generator) -> Float64:
        """White noise coloured, of the same variance, shape (m, n).

        What is white or decays keeps its variance by place, as that of counts; streaks are added by
        the electronics wherever the beam is.
        """
        n = noise.shape[1]
        short = cosine_filter(noise, np.sqrt(self._short(n)), axis=1)
        if not self.streaks:
            return np.asarray(short)
        added = rng.normal(0.0, noise.std(), noise.shape)
        power = self.streaks * autoregressive(exp(-1 / self.length), n)
        return np.asarray(short + cosine_filter(added, np.sqrt(power), axis=1))

    def _short(self, n: int) -> Float64:
        return self.white + self.decay * autoregressive(self.next_pixel, n)


WHITE = ScanSpectrum()


def autoregressive(next_pixel: float, n: int) -> Float64:
    """Power at n cosine frequencies of a first-order autoregression of variance 1."""
    cosines = np.cos(np.pi * np.arange(n) / n)
    power = (1 - next_pixel**2) / (1 + next_pixel**2 - 2 * next_pixel * cosines)
    return np.asarray(power / power.mean())


def fit(noise: NoiseModel) -> tuple[ScanSpectrum, float]:
    """The parts of a measured noise, and the root mean square of what they leave of its logarithm.

    The line of row offsets is left out.

    Parameters
    ----------
    noise : NoiseModel
        Of kind `white` or `row`.
    """
    measured = np.array(noise.along) / np.mean(noise.along)
    n = len(measured)
    logs = np.log(measured)

    def misfit(parameters: Float64) -> Float64:
        return np.asarray((np.log(_spectrum(parameters).power(n)) - logs)[1:])

    starts = ([0.4, decay, 0.02, log(length)] for decay, length in STARTS)
    bounds = ([0.0, 0.0, 0.0, log(SHORTEST)], [1.0, LARGEST_DECAY, 0.9, log(LONGEST)])
    found = [scipy.optimize.least_squares(misfit, start, bounds=bounds) for start in starts]
    best = min(found, key=lambda each: float(each.cost))
    return _spectrum(best.x), float(np.sqrt(np.mean(best.fun**2)))


def _spectrum(parameters: Float64) -> ScanSpectrum:
    decay, next_pixel, streaks, length = (float(each) for each in parameters)
    return ScanSpectrum(
        decay=decay * (1 - streaks), next_pixel=next_pixel, streaks=streaks, length=exp(length)
    )


def draw_spectrum(rng: np.random.Generator) -> ScanSpectrum:
    """One as raw files have it: the ranges and shares of the table in docs/evaluation.md."""
    if rng.random() < 0.1:
        return WHITE
    streaks = float(np.exp(rng.uniform(log(0.002), log(0.1)))) if rng.random() < 0.5 else 0.0
    wholly = rng.random() < 0.3  # a slow detector: nothing is white
    decay = 1.0 if wholly else rng.uniform(0.03, 0.5)
    return ScanSpectrum(
        decay=decay * (1 - streaks),
        next_pixel=rng.uniform(0.05, 0.4) if wholly else rng.uniform(0.35, 0.88),
        streaks=streaks,
        length=float(np.exp(rng.uniform(log(SHORTEST), log(LONGEST)))),
    )
