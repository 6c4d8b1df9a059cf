"""What a user would pick instead of the eigenpatches, as far as it is installed (extra `bench`)."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.floating[Any]]
Float64 = NDArray[np.float64]
Kind = Literal["fast", "peer", "slow"]

COMPONENTS = 16  # kept by the methods that want the number stated
SMALLEST = 2 * np.sqrt(3 / 8)  # Anscombe transform of a mean of zero counts


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Counts times a gain, and Gaussian noise: intensity = gain * Poisson + N(offset, read^2).

    Parameters
    ----------
    gain : float
        Intensity of one electron: 1 / (dose * sampling^2) for `simulate.detect`. 0 where nothing is
        known of it: then all noise is taken to be Gaussian.
    read : float
        Standard deviation of the Gaussian noise, in intensity.
    offset : float
        Intensity of no electrons.
    """

    gain: float = 1.0
    read: float = 0.0
    offset: float = 0.0


@dataclass(frozen=True)
class Rival:
    """A denoiser of images.

    Parameters
    ----------
    name : str
    module : str
        What it needs installed.
    kind : {"fast", "peer", "slow"}
        Below a second, seconds, and up to a minute at 1024 x 1024 px.
    restore : callable
        Of an image, shape (m, n), its noise and the patch size in px; in the image's units.
    """

    name: str
    module: str
    kind: Kind
    restore: Callable[[Image, Noise, int], Float64]

    @property
    def installed(self) -> bool:
        return find_spec(self.module) is not None

    def __call__(self, image: Image, noise: Noise, patch_size: int) -> Float64:
        return self.restore(image, noise, patch_size)


def available() -> tuple[list[Rival], dict[str, str]]:
    """The rivals that can be run, and the missing module of each that cannot."""
    missing = {rival.name: rival.module for rival in RIVALS if not rival.installed}
    return [rival for rival in RIVALS if rival.installed], missing


def stabilise(image: Image, noise: Noise) -> Float64:
    """Generalised Anscombe transform: noise of a standard deviation of about 1 everywhere.

    Source: Starck, Murtagh, Bijaoui, "Image Processing and Data Analysis" (1998), sec. 1.6.
    """
    if noise.gain == 0.0:  # the limit of the transform
        return np.asarray((image.astype(np.float64) - noise.offset) / noise.read)
    counts = (image.astype(np.float64) - noise.offset) / noise.gain
    return np.asarray(2 * np.sqrt(np.maximum(counts + 3 / 8 + (noise.read / noise.gain) ** 2, 0.0)))


def unstabilise(stabilised: Float64, noise: Noise) -> Float64:
    """The exact unbiased inverse in its closed form: of a mean transform, the mean.

    The algebraic inverse would be too low by a quarter of a count and more, where they are few.
    Source: Makitalo, Foi, IEEE Trans. Image Process. 20, 2697 (2011), DOI
    10.1109/TIP.2011.2121085; with Gaussian noise 22, 91 (2013), DOI 10.1109/TIP.2012.2202675.
    """
    if noise.gain == 0.0:
        return np.asarray(noise.offset + noise.read * stabilised)
    D = np.maximum(stabilised, SMALLEST)
    root = np.sqrt(3 / 2)
    counts = D**2 / 4 + root / 4 / D - 11 / 8 / D**2 + 5 / 8 * root / D**3 - 1 / 8
    counts = np.maximum(counts - (noise.read / noise.gain) ** 2, 0.0)
    return np.asarray(noise.offset + noise.gain * counts)


@dataclass(frozen=True)
class OnStabilised:
    """A method for noise of unit deviation, between the transform and its inverse."""

    method: Callable[[Float64], Any]

    def __call__(self, image: Image, noise: Noise, _patch_size: int) -> Float64:
        restored = np.asarray(self.method(stabilise(image, noise)), dtype=np.float64)
        return unstabilise(restored, noise)


def _gaussian(image: Image, _: Noise, patch_size: int) -> Float64:
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(image.astype(np.float64), 2 / 11 * patch_size))


def _wavelet(stabilised: Float64) -> Any:
    from skimage import restoration

    return restoration.denoise_wavelet(stabilised, sigma=1.0)


def _total_variation(stabilised: Float64) -> Any:
    from skimage import restoration

    return restoration.denoise_tv_chambolle(stabilised, weight=1.0)


def _non_local_means(stabilised: Float64) -> Any:
    from skimage import restoration

    return restoration.denoise_nl_means(stabilised, h=0.8, sigma=1.0, fast_mode=True)


def _bm3d(stabilised: Float64) -> Any:
    import bm3d

    return bm3d.bm3d(stabilised, 1.0)


def _wiener(image: Image, _: Noise, __: int) -> Float64:
    from hrtem_filter import filters

    filtered, _removed = filters.wiener_filter(image.astype(np.float64))
    return np.asarray(filtered, dtype=np.float64)


def _motif_svd(image: Image, _: Noise, patch_size: int) -> Float64:
    from mtflearn.denoise._denoise_svd import denoise_svd

    return np.asarray(denoise_svd(image.astype(np.float64), patch_size, COMPONENTS, verbose=False))


def _motif_svd_all(image: Image, _: Noise, patch_size: int) -> Float64:
    from mtflearn.denoise import denoise_svd_memory_view

    restored, _variances, _components = denoise_svd_memory_view(
        image.astype(np.float64), patch_size, COMPONENTS, show_progress=False
    )
    return np.asarray(restored, dtype=np.float64)


BM3D = Rival("BM3D + Anscombe", "bm3d", "slow", OnStabilised(_bm3d))
RIVALS = (
    Rival("Gaussian", "scipy", "fast", _gaussian),
    Rival("wavelet", "pywt", "fast", OnStabilised(_wavelet)),
    Rival("total variation", "skimage", "peer", OnStabilised(_total_variation)),
    Rival("non-local means", "skimage", "peer", OnStabilised(_non_local_means)),
    Rival("hrtem-filter, Wiener", "hrtem_filter", "peer", _wiener),
    Rival("motif-learn SVD, every p/4", "mtflearn", "peer", _motif_svd),
    Rival("motif-learn SVD, all patches", "mtflearn", "slow", _motif_svd_all),
    BM3D,
)
