"""What a decomposition yields, and all that a classifier may see."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.floating[Any]]


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
    """

    eigenpatches: FloatArray
    singular_values: NDArray[np.float64]
    n_patches: int
    energy: float

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

A callable may carry a float attribute `threshold` (0.5 is assumed without) and a string attribute
`identity` that the report will quote.
"""
