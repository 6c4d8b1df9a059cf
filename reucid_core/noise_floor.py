"""A classifier without a network: an eigenpatch is useful where its signal exceeds its noise."""

import numpy as np
from numpy.typing import NDArray

from reucid_core.eigenpatches import Decomposition
from reucid_core.features import noise_level

SIGNAL_AND_NOISE = 2.0  # noises: where the signal begins to outweigh the noise


class NoiseFloor:
    """Utilities w / (w + 2), w = lambda / (N sigma^2): half where signal and noise are equal.

    sigma^2 is the decomposition's `noise_variance`; where none is known, that of its noise floor.
    """

    threshold = 0.5
    identity = "noise floor: eigenvalue above twice the noise's"

    def __call__(self, decomposition: Decomposition) -> NDArray[np.float64]:
        """Utilities in [0, 1], shape (k,)."""
        variance = decomposition.noise_variance
        if variance is None:
            variance = noise_level(decomposition)
        power = decomposition.singular_values**2 / decomposition.n_patches
        total = power + SIGNAL_AND_NOISE * variance
        return np.asarray(np.divide(power, total, out=np.zeros_like(power), where=total > 0))


noise_floor = NoiseFloor()
