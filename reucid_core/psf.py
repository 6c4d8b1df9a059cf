"""The diameter of the point-spread function, by autocorrelation (paper, "PSF estimation")."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.signal import find_peaks

from reucid_core.eigenpatches import FloatArray
from reucid_core.errors import ParameterError
from reucid_core.params import MIN_PATCH_SIZE

Origin = Literal["given", "minimum", "inflexion", "none"]

SMALLEST_AUTO = 5  # px; below it the classifier sees too little to tell structure from noise
SIGNIFICANCE = 5.0  # standard errors by which the profile must turn to count as turning


@dataclass(frozen=True)
class PatchSize:
    """A patch size and how it was found.

    Parameters
    ----------
    size : int
        p in px, odd.
    origin : {"given", "minimum", "inflexion", "none"}
        Stated by the caller, or the feature of the autocorrelation that decided; "none" where it
        shows neither, as for white noise, and the smallest patch size is taken.
    radius : int or None
        Lag of that feature in px, before rounding and clamping.
    profile : ndarray, shape (r,), float64
        Radial mean of the normalised autocorrelation at lags 0, 1, ..., r - 1 px; empty when the
        size was given.
    """

    size: int
    origin: Origin
    radius: int | None
    profile: NDArray[np.float64]


def autocorrelation(image: FloatArray, *, threads: int | None = None) -> FloatArray:
    """Circular autocorrelation of the mean-subtracted image, 1 at lag 0.

    Parameters
    ----------
    image : ndarray, shape (m, n), real
    threads : int, optional
        Threads of the FFT.

    Returns
    -------
    ndarray, shape (m, n)
        Lag (0, 0) at index (0, 0); all zeros for a constant image. Cost O(mn log mn).
    """
    centred = image - image.mean(dtype=np.float64).astype(image.dtype)
    spectrum = scipy.fft.rfft2(centred, workers=threads)
    power = spectrum.real**2 + spectrum.imag**2
    correlation: FloatArray = scipy.fft.irfft2(power, s=image.shape, workers=threads)
    peak = correlation[0, 0]
    return correlation / peak if peak > 0 else np.zeros_like(correlation)


def radial_mean(correlation: FloatArray, radius: int) -> NDArray[np.float64]:
    """Mean of a circular correlation over rings one pixel wide, at lags 0 to `radius` px."""
    lags = np.arange(-radius, radius + 1)
    window = correlation[np.ix_(lags, lags)]  # negative lags wrap around, as the FFT does
    ring = np.rint(np.hypot(lags[:, None], lags)).astype(np.intp)
    inside = ring <= radius
    total = np.bincount(ring[inside], weights=window[inside].astype(np.float64))
    return total / np.bincount(ring[inside])


def psf_diameter(profile: NDArray[np.float64], n_pixels: int) -> tuple[int | None, Origin]:
    """Lag in px at which copies of the point-spread function stop overlapping.

    The first minimum of the autocorrelation's radial mean; the first inflexion where there is no
    minimum (aperiodic image). Lag 0 holds the noise's own spike and takes no part. A turn counts
    only when it exceeds what white noise would do: the standard error of a mean over the ~pi*r
    independent lags of a ring, each known to 1 / sqrt(n_pixels).

    Parameters
    ----------
    profile : ndarray, shape (r,)
        Normalised, from lag 0 on.
    n_pixels : int
        Number of pixels the autocorrelation was computed from.

    Returns
    -------
    lag : int or None
        None where the profile shows neither feature.
    origin : {"minimum", "inflexion", "none"}
    """
    lags = np.arange(1, len(profile))
    tail = profile[1:]
    bound = SIGNIFICANCE / np.sqrt(n_pixels * np.pi * lags)
    minima, _ = find_peaks(-tail, prominence=bound)
    if len(minima):
        return int(lags[minima[0]]), "minimum"
    steepest, _ = find_peaks(-np.gradient(tail), prominence=bound) if len(tail) > 2 else ([], {})
    if len(steepest):
        return int(lags[steepest[0]]), "inflexion"
    return None, "none"


def find_patch_size(image: FloatArray, *, threads: int | None = None) -> PatchSize:
    """Patch size that fits the image's point-spread function.

    Parameters
    ----------
    image : ndarray, shape (m, n), real
        Sides at least 3 px.
    threads : int, optional
        Threads of the FFT.

    Returns
    -------
    PatchSize
        The odd number nearest to the diameter, ties up, between 5 and a quarter of the shorter
        side (3 where a quarter is less than 5).
    """
    shortest = min(image.shape)
    profile = radial_mean(autocorrelation(image, threads=threads), (shortest - 1) // 2)
    radius, origin = psf_diameter(profile, image.size)
    largest = max(MIN_PATCH_SIZE, _odd_up_to(shortest // 4))
    smallest = min(SMALLEST_AUTO, largest)
    nearest_odd = smallest if radius is None else 2 * (radius // 2) + 1
    return PatchSize(int(np.clip(nearest_odd, smallest, largest)), origin, radius, profile)


def check_patch_size(size: int, shape: tuple[int, int]) -> PatchSize:
    """Accept a stated patch size if it fits into the image.

    Raises
    ------
    ParameterError
        When a patch is larger than the image.
    """
    if size > min(shape):
        raise ParameterError(
            "patch_size",
            f"got {size} px, expected at most {_odd_up_to(min(shape))} px for an image of "
            f"{shape[0]} x {shape[1]} px",
        )
    return PatchSize(size, "given", None, np.empty(0))


def _odd_up_to(number: int) -> int:
    return number if number % 2 else number - 1
