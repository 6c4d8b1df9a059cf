"""The canvas that reconstructed patches are fused on (paper, Algorithm 1)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from reucid_core.eigenpatches import FloatArray
from reucid_core.patches import Origins, block_length, gather, origins_of, scatter_add
from reucid_core.terrain import terrain


class Canvas:
    """Sum of the patches reconstructed so far, and which ones those are.

    Parameters
    ----------
    noisy : ndarray, shape (m, n), float32 or float64
    assignment : ndarray, shape (m - q, n - q), unsigned
        Stack number, from 1, of each patch origin.
    p : int
        Patch size in px.
    """

    def __init__(self, noisy: FloatArray, assignment: NDArray[np.uint32], p: int) -> None:
        self._noisy = noisy
        self._assignment = assignment
        self._p = p
        self._sum = np.zeros_like(noisy)
        self._stacks_done = 0

    def origins(self, stack: int) -> Origins:
        """Origins of a stack's patches, shape (N,)."""
        return origins_of(self._assignment == stack, self._noisy.shape[1])

    def fuse(self, patches: FloatArray, origins: Origins, useful: FloatArray) -> None:
        """Add a stack's patches, each truncated to its useful eigenpatches.

        Parameters
        ----------
        patches : ndarray, shape (N, p*p)
        origins : ndarray, shape (N,), intp
        useful : ndarray, shape (k, p, p)
            Orthonormal.
        """
        for block in self._blocks(len(patches)):
            self._add(patches[block], origins[block], useful)
        self._stacks_done += 1

    def fuse_stack(self, stack: int, useful: FloatArray) -> None:
        """The same from the image, without the matrix of the stack's patches."""
        origins = self.origins(stack)
        for block in self._blocks(len(origins)):
            self._add(gather(self._noisy, origins[block], self._p), origins[block], useful)
        self._stacks_done += 1

    def coverage(self) -> NDArray[np.int32]:
        """Number of fused patches over each pixel, shape (m, n)."""
        return terrain(self._assignment <= self._stacks_done, self._p)

    def image(self, coverage: NDArray[np.int32]) -> FloatArray:
        """The sum divided by the patch terrain; the raw value where no patch lies."""
        image = self._noisy.copy()
        return np.divide(self._sum, coverage, out=image, where=coverage > 0, casting="same_kind")

    def _blocks(self, n_patches: int) -> Iterator[slice]:
        length = block_length(self._p**2)
        return (slice(start, start + length) for start in range(0, n_patches, length))

    def _add(self, patches: FloatArray, origins: Origins, useful: FloatArray) -> None:
        E = useful.reshape(len(useful), -1)  # (k, p*p)
        coefficients = E @ patches.T  # (k, block)
        scatter_add(self._sum, (E.T @ coefficients).T, origins, self._p)
