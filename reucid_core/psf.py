"""The diameter of the point-spread function, by autocorrelation (paper, "PSF estimation")."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from reucid_core.correlation import close_seams, correlation_of, fast_shape
from reucid_core.eigenpatches import FloatArray
from reucid_core.errors import ParameterError
from reucid_core.params import MIN_PATCH_SIZE
from reucid_core.peaks import peaks

Origin = Literal["given", "minimum", "inflexion", "none", "least error"]

SMALLEST_AUTO = 5  # px; below it the classifier sees too little to tell structure from noise
LONGEST_LAG = 256  # px; the Gram matrix of patches of such a size would take 100 GiB
SIGNIFICANCE = 6.0  # standard errors of a turn that counts


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
        Lag of that feature in px: the diameter for a minimum, half of it for an inflexion.
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
    del centred  # every image-sized array counts against the memory budget
    power = np.square(spectrum.real)
    power += np.square(spectrum.imag)
    del spectrum
    correlation: FloatArray = scipy.fft.irfft2(power, s=image.shape, workers=threads)
    if correlation[0, 0] > 0:
        correlation /= correlation[0, 0].copy()
    else:
        correlation[:] = 0
    return correlation


def radial_mean(correlation: FloatArray, radius: int) -> NDArray[np.float64]:
    """Mean of a circular autocorrelation over rings one pixel wide, at lags 0 to `radius` px.

    Parameters
    ----------
    correlation : ndarray, shape (more than `radius`, more than 2 `radius`)
        Lags along the rows from 0 on, the negative ones mirror them; along the columns from 0 on,
        the negative ones at the end.
    radius : int
        In px.
    """
    lags = np.arange(radius + 1)
    rings = np.rint(np.hypot(lags[:, None], lags)).astype(np.intp).ravel()
    times = np.where(lags, 2.0, 1.0)  # lag 0 has no mirror image
    numbers = np.outer(times, times).ravel()
    rows = correlation[: radius + 1]
    values = (rows[:, lags] + rows[:, -lags]).ravel() / 2
    total = np.bincount(rings, weights=numbers * values)
    count = np.bincount(rings, weights=numbers)
    profile: NDArray[np.float64] = total[: radius + 1] / count[: radius + 1]
    return profile


def standard_error(profile: NDArray[np.float64], n_pixels: int) -> NDArray[np.float64]:
    """Standard error of a normalised radial mean, if nothing correlates from that lag on.

    Bartlett's formula (J. R. Stat. Soc. Suppl. 8, 27 (1946)): each lag of the autocorrelation of N
    pixels is known to sqrt((1 + S) / N), where S sums the squared autocorrelation over the shorter
    lags: a few large features make a profile rougher than white noise of as many pixels does. They
    also make neighbouring lags err together, over ~2 sqrt(S) px, so fewer of the ~pi r lags in a
    ring are independent. What has not decayed by the lag in question is background, which turns
    nothing, and is left out of S.

    Parameters
    ----------
    profile : ndarray, shape (r,)
        At lags 1, 2, ..., r px.
    n_pixels : int

    Returns
    -------
    ndarray, shape (r,)
        White noise: 1 / sqrt(pi r N).
    """
    lags = np.arange(1, len(profile) + 1)
    ring = 2 * np.pi * lags  # number of lags in it
    # Sums of ring * (profile - profile[r])**k over the lags before r, by expanding the square.
    zeroth, first, second = (np.cumsum(ring * profile**k) - ring * profile**k for k in (0, 1, 2))
    decayed = np.maximum(0.0, second - 2 * profile * first + profile**2 * zeroth)
    error: NDArray[np.float64] = np.sqrt((1 + 2 * decayed**1.5) / (np.pi * lags * n_pixels))
    return error


def first_turn(profile: NDArray[np.float64], n_pixels: int) -> tuple[int | None, Origin]:
    """Lag in px of the feature that tells the point-spread function's size.

    The first minimum of the autocorrelation's radial mean; the first inflexion, where the descent
    is steepest, where there is no minimum (aperiodic image). Lag 0 holds the noise's own spike and
    takes no part. A turn counts only when its prominence exceeds `SIGNIFICANCE` standard errors:
    the correlations of an aperiodic image fade into a tail with minima by chance, at lags that
    have nothing to do with the point-spread function.

    Parameters
    ----------
    profile : ndarray, shape (r,)
        Normalised, from lag 0 on.
    n_pixels : int
        Number of pixels the autocorrelation was computed from.

    Returns
    -------
    lag : int or None
        None where the profile shows neither feature. For an inflexion, the lag after which the
        descent is steepest.
    origin : {"minimum", "inflexion", "none"}
    """
    tail = profile[1:]
    bound = SIGNIFICANCE * standard_error(tail, n_pixels)
    if len(tail) < 3 or tail[0] < bound[0]:  # neighbouring pixels are unrelated: white noise
        return None, "none"
    for index in peaks(-tail, bound):  # minima
        if _ends_first_descent(index, tail, bound):
            return index + 1, "minimum"
    for index in peaks(-np.diff(tail), bound[:-1]):  # where it is steepest
        if _ends_first_descent(index, tail, bound):
            return index + 1, "inflexion"
    return None, "none"


def _ends_first_descent(index: int, tail: NDArray[np.float64], bound: NDArray[np.float64]) -> bool:
    """Whether the profile was still above a turn's value, by more than the noise, halfway there.

    A tail that wanders in the noise long after the descent turns by chance.
    """
    down = int(np.argmax(tail <= tail[index] + bound[index]))
    return 2 * (down + 1) >= index + 1


def diameter(lag: int | None, origin: Origin) -> int:
    """Diameter in px of the point-spread function, from where the autocorrelation turns.

    At the first minimum the copies of the point-spread function no longer overlap: its lag is the
    diameter. At the inflexion their overlap shrinks fastest, which is halfway: on lattices it lies
    at half the minimum's lag, and for a Gaussian at 0.6 of the full width at half maximum. There
    the diameter is twice the lag; the inflexion lies between `lag` and ``lag + 1``.
    """
    if lag is None:
        return 0
    return 2 * lag + 1 if origin == "inflexion" else lag


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
    correlation = _short_lags(image, threads)
    return patch_size_of(correlation / (correlation[0, 0] or 1.0), image.shape)


def _short_lags(image: FloatArray, threads: int | None) -> FloatArray:
    """The autocorrelation that is looked at, by transforms of fast lengths; not normalised."""
    lags = longest_lag(image.shape)
    deviation = image - image.mean(dtype=np.float64).astype(image.dtype)
    torus = fast_shape(image.shape)
    spectrum = scipy.fft.rfft2(deviation, s=torus, workers=threads)
    correlation = correlation_of(spectrum, torus[1], lags, threads=threads)
    if torus == image.shape:
        return correlation
    return close_seams(correlation, deviation, lags, threads=threads)


def longest_lag(shape: tuple[int, ...]) -> int:
    """Longest lag in px at which the autocorrelation of an image is looked at."""
    return min((min(shape) - 1) // 2, LONGEST_LAG)


def patch_size_of(correlation: FloatArray, shape: tuple[int, ...]) -> PatchSize:
    """Patch size from the normalised autocorrelation of an image; see `find_patch_size`.

    Parameters
    ----------
    correlation : ndarray, shape (more than r, at least 2 r + 1), r = ``longest_lag(shape)``
    shape : (int, int)
        Of the image, (m, n).
    """
    profile = radial_mean(correlation, longest_lag(shape))
    lag, origin = first_turn(profile, math.prod(shape))
    return PatchSize(clamped(diameter(lag, origin), shape), origin, lag, profile)


def clamped(diameter: float, shape: tuple[int, ...]) -> int:
    """The odd number nearest to a diameter in px, ties up, that a patch of an image may have.

    At least 5 and at most a quarter of the shorter side, 3 where a quarter is less than 5.
    """
    largest = max(MIN_PATCH_SIZE, _odd_up_to(min(min(shape) // 4, LONGEST_LAG)))
    smallest = min(SMALLEST_AUTO, largest)
    return int(np.clip(2 * int(diameter // 2) + 1, smallest, largest))


def check_patch_size(size: int, shape: tuple[int, ...]) -> PatchSize:
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
