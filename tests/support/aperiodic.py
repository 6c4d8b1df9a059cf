"""Scenes in which nothing repeats, or not everywhere; intensities in counts a pixel."""

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from tests.support.strategies import blob_lattice

Float64 = NDArray[np.float64]
SIDE = 192


def particles(seed: int) -> Float64:
    """Bright discs with sharp edges on a dark ground."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((SIDE, SIDE))
    image = np.full((SIDE, SIDE), 2.0)
    for _ in range(9):
        cy, cx, radius, height = rng.uniform([10, 10, 6, 20], [182, 182, 24, 60])
        image += height * (np.hypot(y - cy, x - cx) < radius)
    return scipy.ndimage.gaussian_filter(image, 1.0)


def vacuum(seed: int) -> Float64:
    return np.full((SIDE, SIDE), 4.0 + seed % 7)


def interface(seed: int) -> Float64:
    """A crystal that ends at an oblique edge, vacuum beyond."""
    y, x = np.indices((SIDE, SIDE))
    edge = 1 / (1 + np.exp(-(x - 90 + 0.3 * (y - 96) - 5 * (seed % 3)) / 2))
    return 1.0 + edge * (4 + 40 * blob_lattice((SIDE, SIDE), period=9.3, sigma=2.0))


def single_atoms(seed: int) -> Float64:
    """Spots of 1.5 px on a support."""
    rng = np.random.default_rng(seed)
    image = np.zeros((SIDE, SIDE))
    for y, x in rng.uniform(6, SIDE - 6, (40, 2)):
        Y, X = np.ogrid[:SIDE, :SIDE]
        image += 30 * np.exp(-((Y - y) ** 2 + (X - x) ** 2) / (2 * 1.5**2))
    return 5 + image


SCENES = {f.__name__: f for f in (particles, vacuum, interface, single_atoms)}


def noisy(truth: Float64, *, dose: float, next_pixel: float, seed: int) -> Float64:
    """With counting noise at a share of the dose, correlated along x."""
    import scipy.signal

    rng = np.random.default_rng([seed, 7])
    noise = rng.poisson(truth * dose) / dose - truth
    settled = scipy.signal.lfilter([np.sqrt(1 - next_pixel**2)], [1, -next_pixel], noise, axis=1)
    return truth + np.asarray(settled)
