"""What earlier frames of a session have shown: their Gram matrix and autocorrelation, forgotten."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reucid_core.eigenpatches import FloatArray

Float64 = NDArray[np.float64]
Patches = tuple[Float64, int]  # Gram matrix, shape (p*p, p*p), and number of patches

KEPT_FRAMES, KEPT_PIXELS = 16, 2**22  # that are held themselves, for patches of another size


@dataclass
class Kept:
    """A frame as it was remembered.

    Parameters
    ----------
    image : ndarray, shape (m, n)
    scanned : ndarray of bool, shape (m,)
    weight : float
        What is not forgotten of it.
    """

    image: FloatArray
    scanned: NDArray[np.bool_]
    weight: float = 1.0

    @property
    def whole(self) -> bool:
        """Whether all rows are there."""
        return bool(self.scanned.all())


class Memory:
    """Sums over the frames before, each weighted by what is not forgotten of it.

    Parameters
    ----------
    forgetting : float
        Weight of what there is when another frame is added, in [0, 1].

    Attributes
    ----------
    matrix : ndarray, shape (p*p, p*p), or None
        Gram matrix of the patches; None while there is none.
    n_patches : float
    correlation : ndarray or None
        Autocorrelation of the whole frames, as of `exact.Transform`.
    frames : float
        Weight in whole frames.
    whole : float
        That of the frames in `correlation`.
    """

    def __init__(self, forgetting: float) -> None:
        self._forgetting = forgetting
        self.clear()

    @property
    def forgets_all(self) -> bool:
        """Whether each frame is by itself."""
        return self._forgetting == 0.0

    def clear(self) -> None:
        """Forget everything."""
        self.matrix: Float64 | None = None
        self.n_patches = 0.0
        self.correlation: FloatArray | None = None
        self.frames = self.whole = 0.0
        self.kept: deque[Kept] = deque()
        self.all_kept = True  # every frame that counts is held itself

    def together(self, patches: Patches) -> tuple[Float64, float]:
        """Gram matrix and number of the patches of the memory and of a frame, together."""
        G, n_patches = patches
        if self.matrix is None:
            return G.copy(), n_patches
        return self.matrix + G, self.n_patches + n_patches

    def add(self, patches: Patches, frame: Kept, correlation: FloatArray | None = None) -> None:
        """Remember a frame; the others fade.

        Parameters
        ----------
        patches : (ndarray, int)
        frame : Kept
            Its image is not copied.
        correlation : ndarray, optional
            Of a frame that is whole.
        """
        if self.forgets_all:
            return
        self._fade()
        self._take(patches, frame)
        if correlation is not None:
            before = 0.0 if self.correlation is None else self.correlation
            self.correlation = before + correlation
            self.whole += 1.0
        self.kept.append(frame)
        if len(self.kept) > max(1, min(KEPT_FRAMES, KEPT_PIXELS // frame.image.size)):
            self.kept.popleft()
            self.all_kept = False

    def remake(self, patches_of: Callable[[Kept], Patches]) -> None:
        """Other patches of the frames that are held; older frames are forgotten."""
        self.matrix, self.n_patches, self.frames = None, 0.0, 0.0
        for frame in self.kept:
            self._take(patches_of(frame), frame)
        self.all_kept = True

    def _take(self, patches: Patches, frame: Kept) -> None:
        G, n_patches = patches
        if self.matrix is None:
            self.matrix = np.zeros_like(G)
        self.matrix += frame.weight * G
        self.n_patches += frame.weight * n_patches
        self.frames += frame.weight * float(frame.scanned.mean())

    def _fade(self) -> None:
        if self._forgetting == 1.0:
            return
        if self.matrix is not None:
            self.matrix *= self._forgetting
        if self.correlation is not None:
            self.correlation = self.correlation * self._forgetting
        self.n_patches *= self._forgetting
        self.frames *= self._forgetting
        self.whole *= self._forgetting
        for frame in self.kept:
            frame.weight *= self._forgetting
