"""The Gram matrix of a frame's patches while its rows come in.

A patch counts once all of its rows are there. Rows that come again are discounted first, with all
patches they are in. Either way only the rows themselves and q = p - 1 on both sides are read: the
cost follows the number of rows that are new, not that of the frame.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from reucid_core.eigenpatches import FloatArray
from reucid_core.exact import Transform, gram_of_patches
from reucid_core.live_terms import runs_of_rows
from reucid_core.patches import origin_grid

Float64 = NDArray[np.float64]

LOST = 1e3  # times what is left: taking away so much leaves rounding errors


class RunningGram:
    """The Gram matrix of all patches that lie in the rows counted so far.

    Parameters
    ----------
    image : ndarray, shape (m, n), float32 or float64
        Whose rows are counted; it belongs to the caller, who writes a row only while it is not
        counted.
    p : int
        Patch size in px.
    threads : int, optional
        Threads of the FFT.

    Attributes
    ----------
    matrix : ndarray, shape (p*p, p*p), float64
    n_patches : int
    counted : ndarray of bool, shape (m,)
    rows_read : int
        Rows that have been transformed, in all: what the work is in proportion to.
    """

    def __init__(self, image: FloatArray, p: int, *, threads: int | None = None) -> None:
        self.p = p
        self.counted = np.zeros(len(image), dtype=bool)
        self.rows_read = 0
        self._image = image
        self._threads = threads
        self._clear()

    def count(self, first: int, stop: int, *, transform: Transform | None = None) -> None:
        """Count the patches of which rows `first` to `stop` - 1 were missing.

        Parameters
        ----------
        first, stop : int
            None of these rows is counted yet.
        transform : Transform, optional
            Of the whole image, with lags up to p - 1, if these are all of its rows.
        """
        self.counted[first:stop] = True
        if transform is not None:
            self._add(transform, 1)
            return
        for rows in self._runs_near(first, stop):
            self._add(self._transform(rows), 1)

    def discount(self, first: int, stop: int) -> None:
        """Take away all patches that hold one of these rows, before they are written."""
        before = float(np.trace(self.matrix))
        for rows in self._runs_near(first, stop):
            self._add(self._transform(rows), -1)
        self.counted[first:stop] = False
        if self.n_patches == 0:
            self._clear()
        elif before > LOST * float(np.trace(self.matrix)):
            self._recount()

    def missing(self, scanned: NDArray[np.bool_]) -> Iterator[slice]:
        """Runs of rows that are there and not counted."""
        yield from runs_of_rows(scanned & ~self.counted)

    def _recount(self) -> None:
        self._clear()
        for rows in runs_of_rows(self.counted):
            if rows.stop - rows.start >= self.p:
                self._add(self._transform(rows), 1)

    def _clear(self) -> None:
        self.matrix: Float64 = np.zeros((self.p**2, self.p**2))
        self.n_patches = 0

    def _runs_near(self, first: int, stop: int) -> list[slice]:
        """Runs of counted rows whose patches all hold one of the rows given."""
        q = self.p - 1
        start = max(0, first - q)
        near = runs_of_rows(self.counted[start : stop + q])
        runs = [slice(start + run.start, start + run.stop) for run in near]
        return [run for run in runs if run.stop - run.start >= self.p]

    def _transform(self, rows: slice) -> Transform:
        self.rows_read += rows.stop - rows.start
        return Transform.of(self._image[rows], lags=self.p - 1, threads=self._threads)

    def _add(self, transform: Transform, sign: int) -> None:
        G = gram_of_patches(transform, self.p)
        G *= sign
        self.matrix += G
        rows, columns = origin_grid((len(transform.image), transform.image.shape[1]), self.p)
        self.n_patches += sign * rows * columns
