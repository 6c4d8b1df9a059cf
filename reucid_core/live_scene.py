"""Whether a frame shows what the frames before have shown."""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from reucid_core.eigenpatches import FloatArray

Float64 = NDArray[np.float64]

LAGS = 64  # px, at which autocorrelations are compared
DIFFERENT = 0.5  # of the larger of two autocorrelations: from there on they are of other scenes
CERTAIN = 2.0  # times what noise makes them differ
BANDS = 8  # of frequency along the rows, in which noise is compared
LOUDER, ERRORS = 0.15, 6.0  # natural logarithms, and standard errors, of a power that has changed
DEPARTING, TWICE = 0.2, 2.0  # of the pixels, beside so many times as many as before


@dataclass(frozen=True)
class Lags:
    """The autocorrelation of a scene, for each pixel, where noise has no part in it.

    Patches of one scene are alike wherever they lie, so a drift changes nothing here; another
    crystal, orientation or magnification changes lags beyond the probe's size.

    Parameters
    ----------
    values : ndarray
        At lags of at least 1 px along the columns: without that of white noise, and of what is
        correlated along the rows. Intensity squared.
    power : float
        Sum of the squares of these, of their mirror images and of that at lag 0.
    pixels : float
        That it is from.
    """

    values: Float64
    power: float
    pixels: float

    @classmethod
    def of_correlation(cls, correlation: FloatArray, reach: int, pixels: float) -> "Lags":
        """From the circular autocorrelation of images less their mean, as of `exact.Transform`.

        Parameters
        ----------
        correlation : ndarray, shape (lags + 1, at least 2 lags + 1)
            Summed over so many pixels.
        reach : int
            Longest lag that is compared, in px; at least 1.
        pixels : float
        """
        lags = np.arange(-reach, reach + 1)
        values = correlation[1 : reach + 1][:, lags].astype(np.float64) / pixels
        return cls._of(values, float(correlation[0, 0]) / pixels, pixels)

    @classmethod
    def of_patches(cls, G: Float64, n_patches: float) -> "Lags":
        """From the Gram matrix of patches, shape (p*p, p*p): the pixels in two of its corners."""
        p = round(len(G) ** 0.5)
        right = G[0].reshape(p, p)  # with those below and to the right of the first
        left = G[p - 1].reshape(p, p)[:, :-1]  # and to the left of the last in the first row
        values = np.concatenate([left, right], axis=1)[1:] / n_patches
        mean = float(values.mean())  # about the square of the image's
        return cls._of(values - mean, float(G[0, 0]) / n_patches - mean, n_patches)

    @classmethod
    def _of(cls, values: Float64, variance: float, pixels: float) -> "Lags":
        return cls(values, variance**2 + 2 * float(np.vdot(values, values)), pixels)

    def unlike(self, before: "Lags") -> bool:
        """Whether these are of another scene."""
        # Bartlett's formula for what noise makes of each.
        noise = self.values.size * self.power * (1 / self.pixels + 1 / before.pixels)
        difference = float(np.square(self.values - before.values).sum())
        larger = max(float(np.vdot(each.values, each.values)) for each in (self, before))
        return difference > CERTAIN * noise and difference - noise > DIFFERENT * larger


@dataclass(frozen=True)
class Residual:
    """What a frame's lattice has left.

    Parameters
    ----------
    share : float
        Of the pixels that depart from it.
    powers : ndarray, shape (bands,)
        Mean power of the others in bands of frequency along the rows.
    numbers : ndarray, shape (bands,)
        How many independent numbers that is from.
    """

    share: float
    powers: Float64
    numbers: Float64

    @classmethod
    def of(cls, residual: FloatArray, departs: NDArray[np.bool_]) -> "Residual":
        """Of a whitened residual, shape (m, n), and where the frame departs from its lattice."""
        used = np.where(departs, 0, residual)
        power = np.abs(scipy.fft.rfft(used, axis=1)) ** 2
        by_frequency = power.mean(axis=0) / max(1.0, np.count_nonzero(~departs) / len(residual))
        edges = np.unique(np.geomspace(1, len(by_frequency), BANDS + 1).astype(int))
        bands = np.split(by_frequency, edges[:-1])[1:]
        numbers = np.array([len(band) for band in bands], dtype=float) * 2 * len(residual)
        return cls(float(departs.mean()), np.array([band.mean() for band in bands]), numbers)

    def exceeded_by(self, share: float) -> bool:
        """Whether so many pixels depart from a lattice that it is not theirs."""
        return share > TWICE * self.share + DEPARTING

    def unlike(self, before: "Residual") -> bool:
        """Whether it is that of another scene, or of other noise, than the one before."""
        if before.exceeded_by(self.share):
            return True
        tiny = np.finfo(np.float64).tiny
        change = np.abs(np.log(np.maximum(self.powers, tiny) / np.maximum(before.powers, tiny)))
        error = np.sqrt(2 / self.numbers + 2 / before.numbers)
        return bool((change > np.maximum(LOUDER, ERRORS * error)).any())
