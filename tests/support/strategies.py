"""Images, patch sizes and classifiers that tests draw."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from reucid_core import Decomposition
from reucid_core.training.micrographs.aperiodic import blob_lattice as blob_lattice

Float64Image = NDArray[np.float64]

seeds = st.integers(0, 2**32 - 1)
shapes = st.tuples(st.integers(12, 30), st.integers(12, 30))
tiny_shapes = st.tuples(st.integers(3, 8), st.integers(3, 8))
odd_patch_sizes = st.sampled_from([3, 5, 7, 9, 11])


def keep_first(number: int) -> Callable[[Decomposition], Float64Image]:
    """A classifier that finds the first eigenpatches useful and no other."""
    return lambda decomposition: (np.arange(len(decomposition.singular_values)) < number) * 1.0


def keep_all(decomposition: Decomposition) -> Float64Image:
    return np.ones(len(decomposition.singular_values))


def keep_none(decomposition: Decomposition) -> Float64Image:
    return np.zeros(len(decomposition.singular_values))


def waves(shape: tuple[int, int], *, number: int, seed: int) -> Float64Image:
    """A sum of plane waves: its patch matrix has rank 2 for each."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape)
    image = np.zeros(shape)
    for _ in range(number):
        period, direction, phase = rng.uniform([4, 0, 0], [9, np.pi, 2 * np.pi])
        along = np.cos(direction) * x + np.sin(direction) * y
        image += rng.uniform(0.5, 1) * np.cos(2 * np.pi * along / period + phase)
    return image


@dataclass(frozen=True)
class Micrograph:
    """A low-rank scene on a bright background under weak noise; `rank` lies at a spectral gap."""

    image: Float64Image
    rank: int


@st.composite
def micrographs(draw: st.DrawFn, shapes: Any = shapes) -> Micrograph:
    shape, seed, number = draw(shapes), draw(seeds), draw(st.integers(1, 3))
    noise = np.random.default_rng(seed).normal(0, 1e-3, shape)
    return Micrograph(3 + waves(shape, number=number, seed=seed) + noise, 2 * number + 1)


@st.composite
def noise_images(draw: st.DrawFn, shapes: Any = shapes) -> Float64Image:
    shape = draw(shapes)
    rng = np.random.default_rng(draw(seeds))
    return draw(st.sampled_from([0.0, 5.0])) + rng.normal(size=shape)


def scattered_blobs(
    shape: tuple[int, int], *, number: int, sigma: float, seed: int
) -> Float64Image:
    """Gaussian blobs anywhere, peak about 1: an aperiodic image."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, shape, (number, 2))
    y, x = (np.arange(length)[:, None] for length in shape)
    return (
        np.exp(-((y - places[:, 0]) ** 2) / (2 * sigma**2))
        @ np.exp(-((x - places[:, 1]) ** 2) / (2 * sigma**2)).T
    )
