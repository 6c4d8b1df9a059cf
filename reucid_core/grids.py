"""Frames whose noise is white: without outliers, on the full and on the coarse grid, transformed.

Frames are read when they are asked for. What is computed of a single one that fits into the memory
is computed once; several, or one in bands of rows, are computed anew instead of held.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reucid_core.eigenpatches import FloatArray
from reucid_core.exact import Sums, Transform, grams_of
from reucid_core.image import as_working_image
from reucid_core.outliers import outliers_of, without
from reucid_core.params import DenoiseParams
from reucid_core.report import OutlierReport
from reucid_core.whitening import Whitening, half_band

Phase = tuple[slice, slice]

SAMPLE = 2**20  # pixels in which the patch size is chosen
TILE = 512  # px, side of the parts of a larger image that are looked at for that


class Frames:
    """Frames of one shape, as they are computed with: floats, without their outliers."""

    def __init__(
        self, frames: Sequence[NDArray[Any]] | NDArray[Any], params: DenoiseParams
    ) -> None:
        self._frames = frames
        self._params = params
        self._outliers: dict[int, OutlierReport] = {}

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def shape(self) -> tuple[int, int]:
        """Of a frame, (m, n)."""
        m, n = self._frames[0].shape
        return m, n

    def raw(self, number: int) -> FloatArray:
        """With their outliers, shape (m, n)."""
        return as_working_image(self._frames[number], self._params.precision)

    def outliers(self, number: int) -> OutlierReport:
        """Those that are left out."""
        if number not in self._outliers:
            found = outliers_of(self.raw(number), self._params.outliers)
            self._outliers[number] = found
        return self._outliers[number]

    def __getitem__(self, number: int) -> FloatArray:
        """Shape (m, n); to be read only."""
        return without(self.raw(number), self.outliers(number))

    def spread(self, pixels: int) -> list[int]:
        """Numbers of so many frames, evenly spread, that they have no more pixels; at least one."""
        m, n = self.shape
        count = min(len(self), max(1, pixels // (m * n)))
        return [int((k + 0.5) * len(self) / count) for k in range(count)]


class Grids:
    """A whitened image on the full grid, and its lower half band on the coarse one.

    The coarse grid holds every other pixel: four images, one of each phase.

    Parameters
    ----------
    image : ndarray, shape (m, n), float32 or float64
    lags : (int, int)
        Longest lag in px of each grid, full and coarse, at which patches will be correlated.
    height : int, optional
        Rows of a band that is transformed at a time; by default all, and transforms are kept.
    threads : int, optional
    """

    def __init__(
        self,
        image: FloatArray,
        *,
        lags: tuple[int, int],
        height: int | None = None,
        threads: int | None = None,
    ) -> None:
        self.image = image
        self.threads = threads
        self.height = height if height is not None and height < len(image) else None
        self._lags = lags
        self._low: FloatArray | None = None
        self._kept: dict[int, list[tuple[Phase, Transform]]] = {}
        self._filtered: tuple[object, FloatArray] | tuple[None, None] = None, None

    def parts(self, spacing: int) -> Iterator[tuple[Phase, Transform]]:
        """Where in the image each part of a grid lies, and the part's transform."""
        if spacing in self._kept:
            yield from self._kept[spacing]
            return
        made = []
        for phase in phases(spacing):
            part = self.image if spacing == 1 else self._half_band()[phase].copy()
            transform = Transform.of(
                part,
                lags=min(self._lags[spacing - 1], min(part.shape) - 1),
                height=self.height,
                threads=self.threads,
                precision=part.dtype,
            )
            if self.height is None:
                made.append((phase, transform))
            yield phase, transform
            del part, transform  # before the next take their place
        if self.height is None:
            self._kept[spacing] = made

    def canvas(self, spacing: int) -> FloatArray:
        """Where the filtered parts may be written, shape (m, n): in place of the half band.

        In bands each part is read when it is asked for, so none may be written before.
        """
        return np.empty_like(self.image) if spacing == 1 else self._half_band()

    def forget_canvas(self) -> None:
        """Leave what was written to whoever wrote it."""
        self._low = None

    def keep_from(self, lattice: object, filtered: FloatArray) -> None:
        """Keep what a lattice's filter made of the image, in the place of what another made."""
        self._filtered = lattice, filtered

    def taken_from(self, lattice: object) -> FloatArray | None:
        """What is kept from this lattice, shape (m, n), handed over; None if nothing is."""
        by, filtered = self._filtered
        if by is not lattice:
            return None
        self._filtered = None, None
        return filtered

    def _half_band(self) -> FloatArray:
        if self._low is None:
            self._low = half_band(self.image, threads=self.threads)
        return self._low


class WhitenedFrames:
    """The grids of frames whose noise has been whitened.

    Parameters
    ----------
    frames : Frames
    whitening : Whitening
    lags : (int, int)
    height : int or None
        As in `Grids`.
    """

    def __init__(
        self,
        frames: Frames,
        whitening: Whitening,
        *,
        lags: tuple[int, int],
        height: int | None = None,
    ) -> None:
        self._frames = frames
        self._whitening = whitening
        self._lags = lags
        self._height = height
        self._only: Grids | None = None

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, number: int) -> Grids:
        if self._only is not None:
            return self._only
        grids = self._grids(self._whitening.whiten(self._frames[number]), self._height)
        if len(self) == 1:
            self._only = grids
        return grids

    def take(self, number: int) -> Grids:
        """The same to be written into: nobody will ask for it again."""
        grids, self._only = self[number], None
        return grids

    @property
    def pixels(self) -> int:
        """Of all frames."""
        m, n = self._frames.shape
        return len(self) * m * n

    def transforms(self, spacing: int) -> Iterator[Transform]:
        """Of all parts of all frames, one at a time."""
        for number in range(len(self)):
            for _, transform in self[number].parts(spacing):
                yield transform

    def grams(self, spacing: int, sizes: Sequence[int]) -> Sums:
        """Gram matrices of all patches of all frames, one for each patch size."""
        return grams_of(self.transforms(spacing), sizes)

    def sample(self) -> list[Grids]:
        """All frames if they are few and small; else some of them, or parts of one."""
        m, n = self._frames.shape
        chosen = self._frames.spread(SAMPLE)
        if m * n <= SAMPLE:
            return [self[number] for number in chosen]
        image = self[chosen[0]].image
        return [self._grids(image[tile].copy(), None) for tile in tiles((m, n), TILE)]

    def _grids(self, image: FloatArray, height: int | None) -> Grids:
        return Grids(image, lags=self._lags, height=height, threads=self._whitening.threads)


def phases(spacing: int) -> list[Phase]:
    """Where the parts of a grid lie in the image."""
    starts = range(spacing)
    return [(slice(y, None, spacing), slice(x, None, spacing)) for y in starts for x in starts]


def tiles(shape: tuple[int, int], side: int) -> list[Phase]:
    """Up to four parts of an image, in the middle of its quarters, at most `side` px a side."""
    rows, columns = (
        [slice(start, start + min(length, side)) for start in sorted({gap // 4, 3 * gap // 4})]
        for length in shape
        for gap in [max(0, length - side)]
    )
    return [(y, x) for y in rows for x in columns]
