"""Which eigenpatches are useful, when the truth is known.

Two oracles: the patch oracle judges each eigenpatch alone by the error of the patches, in closed
form; the image oracle judges subsets by the error of the fused image, which is what is looked at.
Both for a single stack, where every patch of the image takes part.
"""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from reucid_core.eigenpatches import Decomposition, FloatArray
from reucid_core.terrain import terrain

Kept = NDArray[np.bool_]


@dataclass(frozen=True)
class SubsetError:
    """Squared error of the image fused from any subset of eigenpatches.

    With F_k the fused image of eigenpatch k alone, and T the truth,
    |sum_k z_k F_k - T|^2 = z.G z - 2 z.h + |T|^2.

    Parameters
    ----------
    gram : ndarray, shape (k, k), float64
        G, the inner products of the F_k.
    overlap : ndarray, shape (k,), float64
        h, the inner products of the F_k with the truth.
    energy : float
        |T|^2.
    n_pixels : int
    peak : float
        Range of the truth.
    """

    gram: NDArray[np.float64]
    overlap: NDArray[np.float64]
    energy: float
    n_pixels: int
    peak: float

    def squared_error(self, kept: NDArray[np.bool_] | NDArray[np.float64]) -> float:
        """|sum_k z_k F_k - T|^2, for z of shape (k,)."""
        z = kept.astype(np.float64)
        return float(z @ self.gram @ z - 2 * z @ self.overlap + self.energy)

    def psnr(self, kept: NDArray[np.bool_] | NDArray[np.float64]) -> float:
        """In dB, as `reucid_core.metrics.psnr` of the fused image."""
        return float(10 * np.log10(self.peak**2 * self.n_pixels / self.squared_error(kept)))

    def flips(self, kept: Kept) -> NDArray[np.float64]:
        """Change of the squared error when one eigenpatch is added or left out, shape (k,)."""
        slope = self.gram @ kept - self.overlap
        changes: NDArray[np.float64] = 2 * np.where(kept, -1, 1) * slope + np.diag(self.gram)
        return changes


def patch_changes(
    decomposition: Decomposition, noisy: FloatArray, truth: FloatArray
) -> NDArray[np.float64]:
    """Change of the squared patch error when an eigenpatch is included, shape (k,).

    sum_x c(x)^2 - 2 c(x) t(x), with the coefficients c of the noisy patches and t of the true
    ones. The eigenpatches are orthonormal, so each stands for itself.
    """
    c = coefficients(noisy, decomposition.eigenpatches)
    t = coefficients(truth, decomposition.eigenpatches)
    changes: NDArray[np.float64] = np.einsum("kyx,kyx->k", c, c - 2 * t)
    return changes


def patch_oracle(decomposition: Decomposition, noisy: FloatArray, truth: FloatArray) -> Kept:
    """The eigenpatches whose inclusion lowers the squared patch error, shape (k,)."""
    return patch_changes(decomposition, noisy, truth) < 0


def subset_error(decomposition: Decomposition, noisy: FloatArray, truth: FloatArray) -> SubsetError:
    """The squared error of every subset's image, as a quadratic form. Cost O(k mn (log mn + k))."""
    fused = fused_components(decomposition, noisy).reshape(len(decomposition.eigenpatches), -1)
    return fused_error(fused, fused @ fused.T, truth)


def fused_error(
    fused: NDArray[np.float64], gram: NDArray[np.float64], truth: FloatArray
) -> SubsetError:
    """As `subset_error`, where the fused components are at hand.

    Parameters
    ----------
    fused : ndarray, shape (k, m * n)
        Of `fused_components`.
    gram : ndarray, shape (k, k)
        ``fused @ fused.T``, which does not depend on the truth.
    truth : ndarray, shape (m, n)
    """
    return SubsetError(
        gram=gram,
        overlap=fused @ truth.ravel(),
        energy=float(np.vdot(truth, truth)),
        n_pixels=truth.size,
        peak=float(np.ptp(truth)),
    )


def image_oracle(error: SubsetError, start: Kept) -> Kept:
    """A subset that no single flip improves, by steepest descent from `start`, shape (k,)."""
    kept = start.copy()
    while True:
        changes = error.flips(kept)
        best = int(np.argmin(changes))
        # Rounding must not send it to and fro between two equal subsets.
        if changes[best] >= -1e-12 * error.energy:
            return kept
        kept[best] ^= True


def fused_components(decomposition: Decomposition, noisy: FloatArray) -> NDArray[np.float64]:
    """Image fused from one eigenpatch alone, for each, shape (k, m, n).

    The sum of the eigenpatch at every origin, times its coefficient there, over the terrain.
    """
    c = coefficients(noisy, decomposition.eigenpatches)
    overlaps = terrain(np.ones(c.shape[1:], dtype=np.bool_), decomposition.patch_size)
    spectra = scipy.fft.rfft2(c, s=noisy.shape)
    spectra *= _spectra(decomposition.eigenpatches, noisy.shape)
    fused: NDArray[np.float64] = scipy.fft.irfft2(spectra, s=noisy.shape) / overlaps
    return fused


def coefficients(image: FloatArray, eigenpatches: FloatArray) -> NDArray[np.float64]:
    """Inner products of eigenpatches with every patch of the image, shape (k, m - q, n - q).

    By circular correlation of the image's own size, whose valid part never wraps around.
    """
    m, n = image.shape
    q = eigenpatches.shape[-1] - 1
    spectra = _spectra(eigenpatches, image.shape).conj()
    spectra *= scipy.fft.rfft2(image.astype(np.float64))
    correlations: NDArray[np.float64] = scipy.fft.irfft2(spectra, s=image.shape)
    return correlations[:, : m - q, : n - q]


def _spectra(eigenpatches: FloatArray, shape: tuple[int, ...]) -> NDArray[np.complex128]:
    spectra: NDArray[np.complex128] = scipy.fft.rfft2(eigenpatches.astype(np.float64), s=shape)
    return spectra
