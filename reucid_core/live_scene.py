"""Whether a frame shows what the frames before have shown."""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from reucid_core.eigenpatches import FloatArray

Float64 = NDArray[np.float64]

LAGS = 64  # px, at which autocorrelations are compared
DIFFERENT = 0.5  # of the larger of two autocorrelations: from there on they are of other scenes
CERTAIN = 4.0  # times what noise makes them differ
BANDS = 8  # of frequency along the rows, in which noise is compared
LOUDER, ERRORS = 0.15, 6.0  # natural logarithms, and standard errors, of a power that has changed
DEPARTING, TWICE = 0.2, 2.0  # of the pixels, beside so many times as many as before


def shows_another(
    frame: FloatArray, before: FloatArray, weight: float, pixels: int, *, rows: int
) -> bool:
    """Whether the autocorrelation of a frame is of another scene than that of the frames before.

    Patches of one scene are alike wherever they lie, so a drift changes nothing; another crystal,
    orientation or magnification changes lags beyond the probe's size.

    Parameters
    ----------
    frame : ndarray, shape (lags + 1, at least 2 lags + 1)
        Circular autocorrelation of the frame less its mean, as of `exact.Transform`.
    before : ndarray
        Sum of those of whole frames.
    weight : float
        Number of frames in the sum.
    pixels : int
        Of the frame.
    rows : int
        Largest lag along the columns that is compared.
    """
    reach = min(LAGS, rows, len(frame) - 1, len(before) - 1)
    if reach < 1:
        return False
    lags = np.arange(-reach, reach + 1)
    # Without lag 0 along the columns: white noise, and what is correlated along the rows.
    new = frame[1 : reach + 1][:, lags]
    old = before[1 : reach + 1][:, lags] / weight
    power = float(frame[0, 0]) ** 2 + 2 * float(np.vdot(new, new))
    noise = (1 + 1 / weight) * new.size * power / pixels  # Bartlett's formula
    difference = float(np.square(new - old).sum())
    larger = max(float(np.vdot(new, new)), float(np.vdot(old, old)))
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
