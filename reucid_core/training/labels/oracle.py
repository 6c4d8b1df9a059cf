"""Which eigenpatches are useful, when the truth is known.

Two oracles: the patch oracle judges each eigenpatch alone by the error of the patches, in closed
form; the image oracle judges subsets by the error of the fused image, which is what is looked at.
Both for a single stack, where every patch of the image takes part.
"""

from dataclasses import dataclass
from functools import cached_property

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


@dataclass(frozen=True)
class Components:
    """What each eigenpatch alone makes of a noisy image.

    Parameters
    ----------
    fused : ndarray, shape (k, m * n), float64
        The image fused from it: its sum over all origins, times its coefficient there, over the
        terrain.
    energies : ndarray, shape (k,), float64
        Sum of its squared coefficients over all patches.
    overlaps : ndarray, shape (m * n,), float64
        The terrain.
    """

    fused: NDArray[np.float64]
    energies: NDArray[np.float64]
    overlaps: NDArray[np.float64]

    @classmethod
    def of(cls, decomposition: Decomposition, noisy: FloatArray) -> "Components":
        """Project and fuse, eigenpatch by eigenpatch. Cost O(k mn log mn)."""
        spectra = _spectra(decomposition.eigenpatches, noisy.shape)
        c = _correlated(noisy, spectra, decomposition.patch_size)
        overlaps = terrain(np.ones(c.shape[1:], dtype=np.bool_), decomposition.patch_size)
        spectra *= scipy.fft.rfft2(c, s=noisy.shape)
        fused = scipy.fft.irfft2(spectra, s=noisy.shape) / overlaps
        return cls(
            fused=fused.reshape(len(c), -1),
            energies=np.einsum("kyx,kyx->k", c, c),
            overlaps=overlaps.ravel().astype(np.float64),
        )

    @cached_property
    def gram(self) -> NDArray[np.float64]:
        """Inner products of the fused images, shape (k, k)."""
        products: NDArray[np.float64] = self.fused @ self.fused.T
        return products

    def patch_changes(self, truth: FloatArray) -> NDArray[np.float64]:
        """Change of the squared patch error when an eigenpatch is included, shape (k,).

        sum_x c(x)^2 - 2 c(x) t(x), with the coefficients c of the noisy patches and t of the true
        ones; the second sum is the truth's inner product with the fused image times the terrain.
        The eigenpatches are orthonormal, so each stands for itself.
        """
        shared: NDArray[np.float64] = self.fused @ (self.overlaps * truth.ravel())
        return self.energies - 2 * shared

    def patch_oracle(self, truth: FloatArray) -> Kept:
        """The eigenpatches whose inclusion lowers the squared patch error, shape (k,)."""
        return self.patch_changes(truth) < 0

    def error(self, truth: FloatArray) -> SubsetError:
        """The squared error of every subset's image, as a quadratic form. Cost O(k^2 mn)."""
        return SubsetError(
            gram=self.gram,
            overlap=self.fused @ truth.ravel(),
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


def coefficients(image: FloatArray, eigenpatches: FloatArray) -> NDArray[np.float64]:
    """Inner products of eigenpatches with every patch of the image, shape (k, m - q, n - q)."""
    return _correlated(image, _spectra(eigenpatches, image.shape), eigenpatches.shape[-1])


def _correlated(image: FloatArray, spectra: NDArray[np.complex128], p: int) -> NDArray[np.float64]:
    """By circular correlation of the image's own size, whose valid part never wraps around."""
    m, n = image.shape
    product = spectra.conj()
    product *= scipy.fft.rfft2(image.astype(np.float64))
    correlations: NDArray[np.float64] = scipy.fft.irfft2(product, s=image.shape)
    return correlations[:, : m - p + 1, : n - p + 1]


def _spectra(eigenpatches: FloatArray, shape: tuple[int, ...]) -> NDArray[np.complex128]:
    spectra: NDArray[np.complex128] = scipy.fft.rfft2(eigenpatches.astype(np.float64), s=shape)
    return spectra
