"""Power spectra of an image in which noise can be told from signal.

Along the fast scan a cosine transform, which knows no wrap at the borders; across it a windowed
Fourier transform. The probe passes nothing beyond its information limit, so lines of high frequency
across the scan hold noise alone, at every frequency along it. Derivation: docs/algorithm.md.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from reucid_core.correlation import fast_middle
from reucid_core.eigenpatches import FloatArray

Float64 = NDArray[np.float64]

PIXELS = 2**19  # transformed at a time; larger images are sampled in bands of rows
BANDS = 4
LEAST_ROWS = 256  # in a band
LOWEST = 0.15  # cycles/px across the scan, below which no line is taken for noise alone
MARGIN = 0.01  # cycles/px beyond the information limit
HIGHEST = (0.42, 0.5)  # lines of the first guess
BINS = np.linspace(0.1, 0.5, 17)  # across the scan, in which the profile has to be flat
FLAT = 4.5  # standard errors that a bin may differ from the highest two
FLATNESS = 0.03  # natural logarithms that it may differ in any case
MIDDLE, TOP = (0.30, 0.38), (0.44, 0.5)  # cycles/px: compared to tell correlation across the scan

SHORT_BANDS, SHORTEST = 8, 32  # px
PARTS = 4  # of the rows, in which the noise is compared; smaller ones in tall images

LOG_SD = 1.283  # of the logarithm of an exponential variable: pi / sqrt(6)
MEDIAN_SD = 1.44  # of the logarithm of the median of n exponential variables, times sqrt(n)
HALF_WIDTHS = (0, 1, 2, 4, 8, 16, 32, 64, 128)
AGREEMENT = 2.0  # standard errors within which a wider mean agrees with the narrower ones


@dataclass(frozen=True)
class Spectra:
    """Power by frequency across the scan (rows) and along it (columns).

    Parameters
    ----------
    across : ndarray, shape (r,)
        Frequency of each row in cycles/px.
    power : ndarray, shape (r, n), float32 or float64
        Intensity squared; exponentially distributed where there is noise alone, with the variance
        of a pixel as its mean if the noise is white.
    """

    across: Float64
    power: FloatArray

    @classmethod
    def of(cls, image: FloatArray) -> "Spectra":
        """Of an image scanned along its rows; large ones are sampled. Cost O(mn log mn)."""
        return cls.joined(cls._of_band(band) for band in _bands(image))

    @classmethod
    def joined(cls, spectra: Iterable["Spectra"]) -> "Spectra":
        """Of several images or bands of equal width together."""
        each = list(spectra)
        return cls(
            np.concatenate([one.across for one in each]),
            np.concatenate([one.power for one in each]),
        )

    @classmethod
    def _of_band(cls, band: FloatArray) -> "Spectra":
        wanted = band.shape[1]
        band = np.ascontiguousarray(band[fast_middle(band.shape)])
        window = np.hanning(len(band) + 2)[1:-1, None]
        centred = band - band.mean(dtype=np.float64)
        lines = scipy.fft.dct(centred, axis=1, norm="ortho", overwrite_x=True)
        lines *= window
        # Without the highest line of an even number: it is real, so its power is of another kind.
        amplitudes = scipy.fft.rfft(lines, axis=0)[: (len(band) + 1) // 2]
        power = amplitudes.real**2 + amplitudes.imag**2
        power /= float(np.square(window).sum())
        if wanted > power.shape[1]:  # the nearest of the frequencies that were measured
            power = power[:, np.arange(wanted) * power.shape[1] // wanted]
        return cls(np.arange(len(power)) / len(band), power)

    def noise_alone(self, limit: float) -> "Spectra":
        """The rows beyond an information limit."""
        return self._rows(max(LOWEST, limit + MARGIN), 0.5)

    def median(self) -> Float64:
        """Mean power by frequency along the scan, from the median, which outliers do not lift."""
        return np.asarray(np.median(self.power, axis=0) / np.log(2), dtype=np.float64)

    def information_limit(self) -> float:
        """Frequency across the scan, in cycles/px, from which the power is the same up to 0.5.

        Down from the top, bin by bin, while the power relative to that of the highest rows stays
        within the errors of the highest two bins.
        """
        first = self._rows(*HIGHEST).median()
        relative = _log(self.power) - running_mean(_log(first), lambda j: np.minimum(j // 2, 16))
        profile = relative.mean(axis=1) + np.euler_gamma
        bins = np.digitize(self.across, BINS[1:-1])
        inside = self.across >= BINS[0]
        counts = np.bincount(bins[inside], minlength=len(BINS) - 1)
        sums = np.bincount(bins[inside], profile[inside], minlength=len(BINS) - 1)
        means = sums / np.maximum(counts, 1)
        errors = LOG_SD / np.sqrt(np.maximum(counts * self.power.shape[1], 1))
        top = means[-2:].mean()
        flat = np.abs(means - top) <= np.maximum(FLAT * errors, FLATNESS)
        flat[-2:] = True
        flat |= counts == 0
        return float(BINS[len(flat) - int(np.argmin(flat[::-1]))] if not flat.all() else BINS[0])

    def correlation_across(self, spectrum: Float64) -> float:
        """How sure it is that the noise is correlated across the scan, too, in standard errors.

        Parameters
        ----------
        spectrum : ndarray, shape (n,)
            Of the noise along the scan.
        """
        means, numbers = [], []
        for low, high in (MIDDLE, TOP):
            rows = self._rows(low, high).power
            means.append(float((_log(rows) - np.log(spectrum)).mean()))
            numbers.append(rows.size)
        return (means[0] - means[1]) / (LOG_SD * float(np.sqrt(1 / numbers[0] + 1 / numbers[1])))

    def _rows(self, low: float, high: float) -> "Spectra":
        chosen = (self.across >= low) & (self.across <= high)
        return Spectra(self.across[chosen], self.power[chosen])


def steady_shape(image: FloatArray, limit: float) -> Float64 | None:
    """Shape of the noise's spectrum in most bands of rows, shape (n,); None where there are few.

    Edges along the scan are in few bands and in all lines of the image's spectrum, where they look
    like streaks; noise is in all bands. Relative to the mean of the upper half of frequencies.
    """
    m, n = image.shape
    height = max(SHORTEST, min(m // SHORT_BANDS, LEAST_ROWS))
    if m < 3 * height:
        return None
    shapes = []
    number = min(2 * m // height, 2 * SHORT_BANDS) - 1
    for start in np.linspace(0, m - height, number).astype(int):
        band = Spectra._of_band(image[start : start + height])
        alone = band.noise_alone(limit + 1 / height)
        if not len(alone.across):
            return None
        logs = running_mean(_log(alone.median()), lambda j: np.minimum(j // 4, 4))
        shapes.append(logs - logs[n // 2 :].mean())
    return np.asarray(np.exp(np.median(shapes, axis=0)))


def evenness(frames: Sequence[FloatArray], limit: float, weighed: "Spectra") -> float:
    """Noise in all rows over that in the rows which the window of the spectra weighs most.

    Counting noise is strongest where the image is bright, and that need not be in its middle. The
    median over all frequencies along the scan: signal that reaches far is at few of them.

    Parameters
    ----------
    frames : sequence of ndarray, shape (m, n)
    limit : float
        Information limit in cycles/px.
    weighed : Spectra
        Of the noise alone in the frames.
    """
    m = len(frames[0])
    height = max(SHORTEST, min(m // PARTS, LEAST_ROWS))
    if m < 2 * height:
        return 1.0
    number = max(2 * PARTS, min(2 * m // height, 2 * SHORT_BANDS)) - 1
    starts = np.linspace(0, m - height, number).astype(int)
    bands = (frame[start : start + height] for frame in frames for start in starts)
    total, rows = np.zeros(frames[0].shape[1]), 0
    for band in bands:  # one at a time: those of a large image are as large as it is
        alone = Spectra._of_band(band).noise_alone(limit + 1 / height)
        total += alone.power.sum(axis=0, dtype=np.float64)
        rows += len(alone.across)
    if not rows:
        return 1.0
    inside = weighed.power.mean(axis=0, dtype=np.float64)
    return float(np.median(total / rows / inside))


def smoothed(power: Float64, rows: int) -> Float64:
    """A spectrum smoothed as far as its errors allow: Lepski's rule on its logarithm.

    At each frequency the mean over the widest window that agrees with all narrower ones; then a
    running mean, wider towards high frequencies.

    Parameters
    ----------
    power : ndarray, shape (n,)
        Medians over so many rows.
    rows : int
    """
    logs = _log(power)
    n = len(logs)
    error = MEDIAN_SD / np.sqrt(rows)
    sums = np.concatenate([[0.0], np.cumsum(logs)])
    low, high = np.full(n, -np.inf), np.full(n, np.inf)
    agrees, best, j = np.ones(n, dtype=bool), logs.copy(), np.arange(n)
    for half_width in HALF_WIDTHS:
        first, last = np.maximum(j - half_width, 0), np.minimum(j + half_width, n - 1) + 1
        mean = (sums[last] - sums[first]) / (last - first)
        tolerance = AGREEMENT * error / np.sqrt(last - first)
        low, high = np.maximum(low, mean - tolerance), np.minimum(high, mean + tolerance)
        agrees &= low <= high
        best = np.where(agrees, mean, best)
    return np.asarray(np.exp(running_mean(best, lambda j: np.minimum(j // 4, 4))))


def running_mean(
    values: Float64, half_width: Callable[[NDArray[np.intp]], NDArray[np.intp]]
) -> Float64:
    """Symmetric means, as wide as asked for at each index but for the ends, shape (n,)."""
    n = len(values)
    j = np.arange(n)
    reach = np.minimum(np.minimum(half_width(j), n - 1 - j), j)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray((sums[j + reach + 1] - sums[j - reach]) / (2 * reach + 1))


def _bands(image: FloatArray) -> list[FloatArray]:
    """The image, or a few bands of its rows, evenly spread."""
    m, n = image.shape
    height = max(PIXELS // n, LEAST_ROWS)
    if image.size <= BANDS * PIXELS or m <= BANDS * height:
        return [image]
    starts = np.linspace(0, m - height, BANDS).astype(int)
    return [image[start : start + height] for start in starts]


def _log(power: FloatArray) -> Float64:
    return np.asarray(np.log(np.maximum(power, np.finfo(power.dtype).tiny)), dtype=np.float64)
