"""What a decomposition yields, and all that a classifier may see."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.floating[Any]]
FoundBy = Literal["gram matrix", "randomised svd"]


@dataclass(frozen=True)
class Decomposition:
    """The leading eigenpatches of one stack of patches.

    Parameters
    ----------
    eigenpatches : ndarray, shape (k, p, p), float32 or float64
        Right singular vectors of the (N, p*p) patch matrix, unit norm, largest singular value
        first; the sign of each is arbitrary.
    singular_values : ndarray, shape (k,), float64
        In units of the image's intensity.
    n_patches : int
        N, the number of patches in the stack.
    energy : float
        Squared Frobenius norm of the patch matrix: the sum of *all* squared singular values, also
        of those not listed; the trace of the Gram matrix.
    noise_variance : float, optional
        Of a pixel of the patches' grid, where it is known: in a whitened image 1 on the full grid
        and 1/4 on the coarse one, which holds a quarter of the frequencies.
    found_by : {"gram matrix", "randomised svd"}
    """

    eigenpatches: FloatArray
    singular_values: NDArray[np.float64]
    n_patches: int
    energy: float
    noise_variance: float | None = None
    found_by: FoundBy = "gram matrix"

    @classmethod
    def of_gram_matrix(
        cls, G: NDArray[np.float64], components: int, *, n_patches: int
    ) -> "Decomposition":
        """The leading eigenpatches of patches whose Gram matrix is given.

        By LAPACK, for every order: among the nearly equal eigenvalues of noise, iterating converges
        too slowly to be faster (docs/performance.md).

        Parameters
        ----------
        G : ndarray, shape (p*p, p*p), float64
            Symmetric; overwritten.
        components : int
            Eigenpatches wanted; at most the number of patches and of pixels in one are found.
        n_patches : int

        Returns
        -------
        Decomposition
            float64. Cost O(p^6).
        """
        pixels = len(G)
        k = min(components, n_patches, pixels)
        energy = float(np.trace(G))
        eigenvalues, vectors = scipy.linalg.eigh(
            G.T,  # in the order of LAPACK, so that it is not copied
            subset_by_index=[pixels - k, pixels - 1],
            overwrite_a=True,
            check_finite=False,
        )
        p = math.isqrt(pixels)
        return cls(
            eigenpatches=np.ascontiguousarray(vectors[:, ::-1].T).reshape(k, p, p),
            singular_values=np.sqrt(np.maximum(eigenvalues[::-1], 0.0)),
            n_patches=n_patches,
            energy=energy,
        )

    @property
    def patch_size(self) -> int:
        """Side p of a patch in px."""
        return int(self.eigenpatches.shape[-1])

    @property
    def energy_shares(self) -> NDArray[np.float64]:
        """Share of the energy that each eigenpatch carries, in [0, 1], shape (k,)."""
        if self.energy == 0.0:
            return np.zeros_like(self.singular_values)
        return self.singular_values**2 / self.energy

    @property
    def relative_singular_values(self) -> NDArray[np.float64]:
        """s_k / s_0, in [0, 1], shape (k,); zeros where the image is zero."""
        largest = self.singular_values[0]
        return self.singular_values / largest if largest > 0.0 else self.singular_values


Classify = Callable[[Decomposition], ArrayLike]
"""Utilities in [0, 1], shape (k,), of a decomposition's eigenpatches.

A callable may carry a float attribute `threshold` (0.5 is assumed without) and string attributes
`identity` and `scan_noise` that the report will quote. One with the attribute `method` is for
decompositions of that method alone (`reucid_core.plan.choose_method`).
"""
