"""Algorithm 1, patch by patch: slow, and plain enough to be believed."""

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]


def denoise_literally(
    image: Float64Array, assignment: NDArray[np.uint32], p: int, *, kept: int
) -> tuple[Float64Array, NDArray[np.int64]]:
    """Result and terrain, each stack cut after its `kept` leading eigenpatches."""
    canvas = np.zeros(image.shape)
    terrain = np.zeros(image.shape, dtype=np.int64)
    for stack in range(1, int(assignment.max()) + 1):
        origins = [
            (y, x)
            for y in range(assignment.shape[0])
            for x in range(assignment.shape[1])
            if assignment[y, x] == stack
        ]
        patches = np.array([image[y : y + p, x : x + p].ravel() for y, x in origins])
        eigenpatches = np.linalg.svd(patches, full_matrices=False).Vh[:kept]
        for (y, x), patch in zip(origins, patches, strict=True):
            truncated = np.zeros(p * p)
            for eigenpatch in eigenpatches:
                truncated += (eigenpatch @ patch) * eigenpatch
            canvas[y : y + p, x : x + p] += truncated.reshape(p, p)
            terrain[y : y + p, x : x + p] += 1
    return canvas / np.maximum(terrain, 1), terrain
