"""Who takes part: REUCID as published and with two scales, BM3D, and what other programs made."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from reucid_core import DenoiseParams, Result, denoise
from reucid_core.classifier import WEIGHTS, load_classifier
from reucid_core.eigenpatches import FloatArray
from reucid_core.metrics import ief, psnr, ssim
from reucid_core.training.judging.rivals import BM3D, Noise

PAPER, TWO_SCALE = "REUCID, paper", "REUCID, two scales"
WITHOUT_BM3D = "BM3D is not installed (extra `bench`), and left out."
WIDEST = 20.0  # px, of a Gaussian that is looked for

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Merits:
    """A restored image beside the truth, and what was taken away.

    Parameters
    ----------
    psnr : float
        In dB, with the truth's range.
    ssim, ief : float
    taken : float
        Standard deviation of the residual over that of the noise.
    signal : float
        Share of the truth's contrast that is in the residual: 0 nothing, 1 all of it.
    """

    psnr: float
    ssim: float
    ief: float
    taken: float
    signal: float

    @classmethod
    def of(cls, restored: FloatArray, noisy: FloatArray, truth: FloatArray) -> "Merits":
        """Of images in the same units, shape (m, n)."""
        residual = noisy.astype(np.float64) - restored
        centred = truth - truth.mean()
        return cls(
            psnr=psnr(restored, truth),
            ssim=ssim(restored, truth),
            ief=ief(noisy, restored, truth),
            taken=float(residual.std() / (noisy - truth).std()),
            signal=float(np.sum((residual - (noisy - truth)) * centred) / np.sum(centred**2)),
        )


def published(noisy: FloatArray) -> Result:
    """By the paper's method with a network of its Fig. 3."""
    classify = load_classifier(WEIGHTS / "paper.safetensors", scan_noise="keep")
    return denoise(noisy, DenoiseParams(method="paper", precision="float64"), classify=classify)


def by_reucid(noisy: FloatArray) -> dict[str, Float64]:
    """By the paper's method and by the default one."""
    two = denoise(noisy, DenoiseParams(method="two-scale", precision="float64"))
    found = {PAPER: published(noisy).image, TWO_SCALE: two.image}
    return {name: image.astype(np.float64) for name, image in found.items()}


def by_all(
    noisy: FloatArray, noise: Noise, beside: Mapping[str, FloatArray] | None = None
) -> dict[str, Float64]:
    """By REUCID, by BM3D where it is installed, and what other programs made of it."""
    found = by_reucid(noisy)
    if BM3D.installed:
        found[BM3D.name] = BM3D(noisy, noise, 0)
    return found | {name: image.astype(np.float64) for name, image in (beside or {}).items()}


def gaussian_as_strong(noisy: FloatArray, restored: FloatArray) -> tuple[Float64, float]:
    """Smoothed by the Gaussian that takes away as much, and its standard deviation in px.

    As much: the residuals have the same standard deviation. Any width would be someone's choice.
    """
    double = noisy.astype(np.float64)
    wanted = float(np.std(double - restored))

    def excess(sigma: float) -> float:
        return float(np.std(double - gaussian_filter(double, sigma))) - wanted

    if excess(WIDEST) <= 0:
        sigma = WIDEST
    else:
        sigma = float(scipy.optimize.brentq(excess, 1e-3, WIDEST, xtol=1e-3))
    return gaussian_filter(double, sigma), sigma
