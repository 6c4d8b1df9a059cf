"""Algorithm 1 as it is written: patches taken and placed one by one. Slow on purpose."""

import numpy as np
from numpy.typing import NDArray

from reucid_core.decompose import randomised_svd
from reucid_core.eigenpatches import Classify
from reucid_core.patches import assign
from reucid_core.terrain import terrain
from reucid_core.verdict import choose_threshold


def denoise_literally(
    image: NDArray[np.float64], p: int, stacks: int, classify: Classify, *, seed: int = 0
) -> NDArray[np.float64]:
    """Reconstruction of an image, shape (m, n), from `stacks` patch stacks."""
    rng = np.random.default_rng(seed)
    assignment = assign((image.shape[0], image.shape[1]), p, stacks, rng)
    canvas = np.zeros_like(image)
    for stack in range(1, stacks + 1):
        origins = np.argwhere(assignment == stack)
        patches = np.empty((len(origins), p * p))
        for index, (row, column) in enumerate(origins):
            patches[index] = image[row : row + p, column : column + p].ravel()
        decomposition = randomised_svd(patches, max(64, 4 * p), rng=rng)
        kept = np.asarray(classify(decomposition)) >= choose_threshold(None, classify)
        E = decomposition.eigenpatches[kept].reshape(-1, p * p)
        truncated = (patches @ E.T @ E).reshape(-1, p, p)
        for patch, (row, column) in zip(truncated, origins, strict=True):
            canvas[row : row + p, column : column + p] += patch
    return canvas / terrain(assignment > 0, p)
