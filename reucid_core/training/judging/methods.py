"""Methods of denoising an image by name, and what a rival is told of its noise."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from reucid_core import DenoiseParams, denoise, noise_floor
from reucid_core.classifier import Classifier, load_classifier
from reucid_core.metrics import psnr
from reucid_core.training.judging.rivals import Noise, stabilise, unstabilise
from reucid_core.training.micrographs.scan_spectra import ScanSpectrum

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Told:
    """All there is to know of a simulated micrograph's noise; only rivals are told.

    Parameters
    ----------
    noise : Noise
        Of counting and reading out.
    spectrum : ScanSpectrum
    truth : ndarray, shape (m, n)
        For what has two ways of which the better one is to count.
    """

    noise: Noise
    spectrum: ScanSpectrum
    truth: Float64


Method = Callable[[Float64, Told], Float64]


def noisy(image: Float64, _: Told) -> Float64:
    """As it is."""
    return image


def paper(image: Float64, _: Told) -> Float64:
    """The paper's method with the bundled network."""
    params = DenoiseParams(method="paper", threads=1)
    return np.asarray(denoise(image, params, classify=_bundled()).image)


def two_scale(image: Float64, _: Told, *, patch_size: int | None = None) -> Float64:
    """Two scales with the rule of the noise floor."""
    params = DenoiseParams(method="two-scale", patch_size=patch_size, threads=1)
    return np.asarray(denoise(image, params, classify=noise_floor).image)


def bm3d(image: Float64, told: Told) -> Float64:
    """BM3D told the exact spectrum, on the stabilised image or with the mean variance.

    The better of the two by the truth: which one it is depends on how much of the noise is that of
    counts.
    """
    import bm3d

    n = image.shape[1]
    waves = np.minimum(np.arange(n), n - np.arange(n))
    line = told.spectrum.power(n)[np.minimum(2 * waves, n - 1)]
    power = np.broadcast_to(line / line.mean() * image.size, image.shape)  # of unit variance
    variance = told.noise.gain * (told.truth - told.noise.offset).mean() + told.noise.read**2
    with _as_before_numpy_2():
        found = [
            np.asarray(bm3d.bm3d(image, power * variance)),
            unstabilise(np.asarray(bm3d.bm3d(stabilise(image, told.noise), power)), told.noise),
        ]
    return max(found, key=lambda each: psnr(each, told.truth))


METHODS: dict[str, Method] = {
    "noisy": noisy,
    "paper": paper,
    "two-scale": two_scale,
    "two-scale, p = 7": partial(two_scale, patch_size=7),
    "BM3D, told the spectrum": bm3d,
}


@contextmanager
def _as_before_numpy_2() -> Iterator[None]:
    """BM4D 4, beneath BM3D, asks numpy for a function by its former name."""
    with patch.object(np, "trapz", np.trapezoid, create=True):
        yield


@cache
def _bundled() -> Classifier:
    return load_classifier()
