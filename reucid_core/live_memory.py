"""What earlier frames of a session have shown: their Gram matrix and autocorrelation, forgotten."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reucid_core.eigenpatches import FloatArray
from reucid_core.running_gram import RunningGram, runs_of_rows

Float64 = NDArray[np.float64]

KEPT_FRAMES, KEPT_PIXELS = 8, 2**23  # that are held themselves, for another patch size


@dataclass
class Kept:
    """A frame as it was remembered."""

    image: FloatArray
    scanned: NDArray[np.bool_]
    weight: float


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

    def clear(self) -> None:
        """Forget everything."""
        self.matrix: Float64 | None = None
        self.n_patches = 0.0
        self.correlation: FloatArray | None = None
        self.frames = self.whole = 0.0
        self._kept: deque[Kept] = deque()
        self._all_kept = True

    @property
    def all_kept(self) -> bool:
        """Whether every frame that counts is held itself, so that any Gram matrix can be made."""
        return self._all_kept

    def add(
        self,
        gram: RunningGram,
        image: FloatArray,
        correlation: FloatArray | None,
    ) -> None:
        """Remember a frame; the others fade.

        Parameters
        ----------
        gram : RunningGram
            Of all rows that are there.
        image : ndarray, shape (m, n)
            Kept, not copied.
        correlation : ndarray or None
            None where the frame is not whole.
        """
        self._fade()
        if self._forgetting == 0.0:
            return
        self._take(gram, 1.0)
        if correlation is not None:
            before = 0.0 if self.correlation is None else self.correlation
            self.correlation = before + correlation
            self.whole += 1.0
        self.frames += float(gram.counted.mean())
        self._kept.append(Kept(image, gram.counted.copy(), 1.0))
        if len(self._kept) > max(1, min(KEPT_FRAMES, KEPT_PIXELS // image.size)):
            self._kept.popleft()
            self._all_kept = False

    def remake(self, p: int, threads: int | None) -> None:
        """Patches of another size: of the frames that are held; older ones are forgotten."""
        self.matrix, self.n_patches, self.frames = None, 0.0, 0.0
        for kept in self._kept:
            gram = RunningGram(kept.image, p, threads=threads)
            for rows in runs_of_rows(kept.scanned):
                gram.count(rows.start, rows.stop)
            self._take(gram, kept.weight)
            self.frames += kept.weight * float(kept.scanned.mean())
        self._all_kept = True

    def _take(self, gram: RunningGram, weight: float) -> None:
        if self.matrix is None:
            self.matrix = np.zeros_like(gram.matrix)
        self.matrix += weight * gram.matrix
        self.n_patches += weight * gram.n_patches

    def _fade(self) -> None:
        if self._forgetting == 1.0:
            return
        if self._forgetting == 0.0:
            self.clear()
            return
        if self.matrix is not None:
            self.matrix *= self._forgetting
        if self.correlation is not None:
            self.correlation = self.correlation * self._forgetting
        self.n_patches *= self._forgetting
        self.frames *= self._forgetting
        self.whole *= self._forgetting
        for kept in self._kept:
            kept.weight *= self._forgetting
