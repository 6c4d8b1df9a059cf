"""Scenes in which nothing repeats, or not everywhere; intensities in counts a pixel."""

import numpy as np
import scipy.ndimage
import scipy.signal
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
SIDE = 192  # px


def particles(seed: int) -> Float64:
    """Bright discs with sharp edges on a dark ground."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((SIDE, SIDE))
    image = np.full((SIDE, SIDE), 2.0)
    for _ in range(9):
        cy, cx, radius, height = rng.uniform([10, 10, 6, 20], [182, 182, 24, 60])
        image += height * (np.hypot(y - cy, x - cx) < radius)
    return np.asarray(scipy.ndimage.gaussian_filter(image, 1.0))


def vacuum(seed: int) -> Float64:
    """Nothing."""
    return np.full((SIDE, SIDE), 4.0 + seed % 7)


def interface(seed: int) -> Float64:
    """A crystal that ends at an oblique edge, vacuum beyond."""
    y, x = np.indices((SIDE, SIDE))
    edge = 1 / (1 + np.exp(-(x - 90 + 0.3 * (y - 96) - 5 * (seed % 3)) / 2))
    return np.asarray(1.0 + edge * (4 + 40 * blob_lattice((SIDE, SIDE), period=9.3, sigma=2.0)))


def single_atoms(seed: int) -> Float64:
    """Spots of 1.5 px on a support."""
    rng = np.random.default_rng(seed)
    image = np.zeros((SIDE, SIDE))
    for y, x in rng.uniform(6, SIDE - 6, (40, 2)):
        Y, X = np.ogrid[:SIDE, :SIDE]
        image += 30 * np.exp(-((Y - y) ** 2 + (X - x) ** 2) / (2 * 1.5**2))
    return 5 + image


def amorphous(seed: int) -> Float64:
    """Many overlapping atoms anywhere, as in a thin film of carbon or glass."""
    rng = np.random.default_rng([seed, 1])
    places = rng.integers(0, SIDE, (2, 4000))
    image = np.zeros((SIDE, SIDE))
    np.add.at(image, tuple(places), rng.uniform(20, 60, places.shape[1]))
    return np.asarray(5 + scipy.ndimage.gaussian_filter(image, 2.0, mode="wrap"))


SCENES = {f.__name__: f for f in (particles, vacuum, interface, single_atoms, amorphous)}


def noisy(truth: Float64, *, dose: float, next_pixel: float, seed: int) -> Float64:
    """With counting noise at a share of the dose, correlated along x."""
    rng = np.random.default_rng([seed, 7])
    noise = rng.poisson(truth * dose) / dose - truth
    settled = scipy.signal.lfilter([np.sqrt(1 - next_pixel**2)], [1, -next_pixel], noise, axis=1)
    return truth + np.asarray(settled)


def blob_lattice(shape: tuple[int, int], *, period: float, sigma: float) -> Float64:
    """Gaussian blobs on a square lattice, peak about 1."""
    y, x = (np.arange(length)[:, None] for length in shape)
    profile_y, profile_x = (
        np.exp(-((t - period * np.arange(-2, t.max() / period + 3)) ** 2) / (2 * sigma**2)).sum(1)
        for t in (y, x)
    )
    return np.outer(profile_y, profile_x)
