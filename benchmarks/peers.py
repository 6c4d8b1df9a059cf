"""What a user would pick instead of the eigenpatches, as far as it is installed (extra `bench`)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Method = Callable[[], object]
KINDS = ("fast", "peer", "slow")  # below a second, seconds, and up to a minute at 1024^2

COMPONENTS = 16  # kept by the methods that want the number stated


def peers(image: NDArray[np.float64], p: int) -> dict[str, tuple[str, Method]]:
    """Kind and call of each method, for an image of Poisson counts, shape (m, n)."""
    stabilised = 2 * np.sqrt(np.maximum(image, 0) + 3 / 8)  # Anscombe: Poisson noise gets sd 1
    found: dict[str, tuple[str, Method]] = {}
    for library in (_scipy, _scikit_image, _hrtem_filter, _motif_learn, _bm3d):
        try:
            found |= library(image, stabilised, p)
        except ImportError as error:
            print(f"left out, not installed: {error.name}")
    return found


def _scipy(image: NDArray[np.float64], _: object, __: int) -> dict[str, tuple[str, Method]]:
    from scipy.ndimage import gaussian_filter

    return {"Gaussian": ("fast", lambda: gaussian_filter(image, 2.0))}


def _scikit_image(
    _: object, stabilised: NDArray[np.float64], __: int
) -> dict[str, tuple[str, Method]]:
    from skimage import restoration

    return {
        "wavelet": ("fast", lambda: restoration.denoise_wavelet(stabilised, sigma=1.0)),
        "total variation": (
            "peer",
            lambda: restoration.denoise_tv_chambolle(stabilised, weight=1.0),
        ),
        "non-local means": (
            "peer",
            lambda: restoration.denoise_nl_means(stabilised, h=0.8, sigma=1.0, fast_mode=True),
        ),
    }


def _hrtem_filter(image: NDArray[np.float64], _: object, __: int) -> dict[str, tuple[str, Method]]:
    from hrtem_filter import filters

    return {"hrtem-filter, Wiener": ("peer", lambda: filters.wiener_filter(image))}


def _motif_learn(image: NDArray[np.float64], _: object, p: int) -> dict[str, tuple[str, Method]]:
    from mtflearn.denoise import denoise_svd_memory_view
    from mtflearn.denoise._denoise_svd import denoise_svd

    return {
        "motif-learn SVD, every p/4": (
            "peer",
            lambda: denoise_svd(image, p, COMPONENTS, verbose=False),
        ),
        "motif-learn SVD, all patches": (
            "slow",
            lambda: denoise_svd_memory_view(image, p, COMPONENTS, show_progress=False),
        ),
    }


def _bm3d(_: object, stabilised: NDArray[np.float64], __: int) -> dict[str, tuple[str, Method]]:
    import bm3d

    return {"BM3D + Anscombe": ("slow", lambda: bm3d.bm3d(stabilised, 1.0))}
