"""How good a reconstruction is: against the truth, and without it."""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from reucid_core.eigenpatches import FloatArray
from reucid_core.psf import autocorrelation

FALSE_ALARM = 0.01  # probability that white noise alone exceeds a bound below
RING = 1024  # frequencies of nearly equal magnitude whose median is their background


def psnr(image: FloatArray, truth: FloatArray) -> float:
    """Peak signal-to-noise ratio in dB, with the range of the truth as the peak.

    Parameters
    ----------
    image, truth : ndarray, same shape
        In the same intensity units.
    """
    error = np.mean((image.astype(np.float64) - truth) ** 2)
    return float(10 * np.log10(np.ptp(truth.astype(np.float64)) ** 2 / error))


def ief(noisy: FloatArray, reconstruction: FloatArray, truth: FloatArray) -> float:
    """Image enhancement factor, ||noisy - truth||^2 / ||reconstruction - truth||^2."""
    before = np.sum((noisy.astype(np.float64) - truth) ** 2)
    after = np.sum((reconstruction.astype(np.float64) - truth) ** 2)
    return float(before / after)


def ssim(image: FloatArray, truth: FloatArray) -> float:
    """Structural similarity, with the truth's range; needs scikit-image (extra `laboratory`).

    Gaussian weights of 1.5 px, as Wang, Bovik, Sheikh, Simoncelli, IEEE Trans. Image Process. 13,
    600 (2004), DOI 10.1109/TIP.2003.819861.

    Raises
    ------
    ImportError
        Where scikit-image is not installed.
    """
    try:
        from skimage.metrics import structural_similarity
    except ImportError as error:
        message = "scikit-image is not installed, which computes SSIM: install extra `laboratory`"
        raise ImportError(message) from error

    return float(
        structural_similarity(
            image.astype(np.float64),
            truth.astype(np.float64),
            data_range=float(np.ptp(truth)),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


@dataclass(frozen=True)
class Whiteness:
    """Largest autocorrelation of a residual outside lag 0, against white noise.

    White noise of n pixels keeps all n / 2 independent lags within `bound` with a probability of
    99 %. Beyond it, the residual has structure: signal that was removed, or noise that is
    correlated, as scan noise is.
    """

    largest: float  # |autocorrelation|, 1 at lag 0
    lag: tuple[int, int]  # rows, columns, px
    bound: float

    @property
    def is_white(self) -> bool:
        return self.largest <= self.bound


@dataclass(frozen=True)
class LatticePeak:
    """Highest peak of a residual's power spectrum over the median of its ring, against white noise.

    The spectrum of white noise is exponentially distributed: all n / 2 independent frequencies
    stay within `bound` times the mean with a probability of 99 %. Beyond it, a periodicity stands
    out: a lattice that was removed from the image, or line noise.
    """

    height: float  # relative to the mean of the ring of equal frequency
    share: float | None  # of the image's amplitude at this frequency, if the image was given
    period: float  # px
    direction: float  # degrees, from the columns' axis (x) towards the rows' (y)
    bound: float

    @property
    def stands_out(self) -> bool:
        return self.height > self.bound


def whiteness(residual: FloatArray) -> Whiteness:
    """Test a residual for correlations between its pixels.

    Parameters
    ----------
    residual : ndarray, shape (m, n)
    """
    correlation = np.abs(autocorrelation(residual.astype(np.float64)))
    correlation[0, 0] = 0.0
    row, column = np.unravel_index(np.argmax(correlation), correlation.shape)
    m, n = residual.shape
    lags = residual.size // 2
    # Gaussian tail of the largest of that many lags, each with standard error 1 / sqrt(mn).
    bound = np.sqrt(2 * np.log(2 * lags / FALSE_ALARM) / residual.size)
    return Whiteness(
        largest=float(correlation[row, column]),
        lag=(_signed(int(row), m), _signed(int(column), n)),
        bound=float(bound),
    )


def lattice_peak(residual: FloatArray, image: FloatArray | None = None) -> LatticePeak:
    """Find the periodicity that stands out most in a residual's power spectrum.

    Parameters
    ----------
    residual : ndarray, shape (m, n)
    image : ndarray, shape (m, n), optional
        What was denoised; to say how much of its periodicity the residual holds.
    """
    m, n = residual.shape
    power = _windowed_power(residual)
    fy, fx = scipy.fft.fftfreq(m)[:, None], scipy.fft.rfftfreq(n)[None, :]
    frequency = np.hypot(fy, fx)
    relative = power / _ring_mean(power, frequency)
    relative[frequency < 3 / min(m, n)] = 0.0  # what the window smears around zero frequency
    row, column = np.unravel_index(np.argmax(relative), relative.shape)
    peak = frequency[row, column]
    return LatticePeak(
        height=float(relative[row, column]),
        share=None
        if image is None
        else float(np.sqrt(power / _windowed_power(image))[row, column]),
        period=float(1 / peak) if peak > 0 else float("inf"),
        direction=float(np.degrees(np.arctan2(fy[row, 0], fx[0, column]))),
        bound=float(np.log(residual.size / 2 / FALSE_ALARM)),
    )


def _windowed_power(image: FloatArray) -> NDArray[np.float64]:
    """Power spectrum under a Hann window: without one, borders would show as a cross."""
    window = np.outer(*map(np.hanning, image.shape))
    centred = (image - image.mean(dtype=np.float64)) * window
    return np.asarray(np.abs(scipy.fft.rfft2(centred)) ** 2)


def _ring_mean(power: NDArray[np.float64], frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the background at each frequency: its ring's median, which no peak can lift."""
    order = np.argsort(frequency, axis=None, kind="stable")
    background = np.empty(power.size)
    for ring in np.array_split(order, max(1, power.size // RING)):
        background[ring] = np.median(power.ravel()[ring])
    means = background.reshape(power.shape) / np.log(2)  # of an exponential distribution
    return np.asarray(np.maximum(means, np.finfo(np.float64).tiny))


def _signed(index: int, length: int) -> int:
    return index - length if index > length // 2 else index
