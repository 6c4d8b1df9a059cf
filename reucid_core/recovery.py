"""What departs from an image's lattice, recovered from patches at the probe's scale.

It looks like the rest of the image at that scale, so both the patterns that are tested for and the
eigenpatches that recover are those of the image, not of the residual.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from reucid_core.departures import (
    MOST_REACH,
    Columns,
    LocalVariance,
    error_of_spot,
    find_departures,
    least_deviation,
    mark,
)
from reucid_core.eigenpatches import FloatArray
from reucid_core.lattice import SumGrams, standing_out
from reucid_core.outcome import Task
from reucid_core.patches import gather, origins_of, scatter_add
from reucid_core.report import StackReport
from reucid_core.terrain import full_terrain
from reucid_core.whitening import Whitening

Mask = NDArray[np.bool_]

RECOVERY, PATTERN, PATTERNS = 7, 9, 3  # px, px, and how many patterns are tested
MEASURED = 2**20  # pixels of an image in which the variance by intensity is measured
TOGETHER = 2**16  # patches held at a time


@dataclass(frozen=True)
class Details:
    """How whitened frames look at the probe's scale.

    Parameters
    ----------
    patterns : ndarray, shape (at most 3, p, p)
        That departures are tested for.
    eigenpatches : ndarray, shape (k, p, p)
        All that were offered.
    verdict : StackReport
        Which of them recover.
    diameter : int or None
        Of the point-spread function in px.
    """

    patterns: FloatArray
    eigenpatches: FloatArray
    verdict: StackReport
    diameter: int | None

    @property
    def useful(self) -> FloatArray:
        """Eigenpatches that recover, shape (k, p, p)."""
        useful: FloatArray = self.eigenpatches[np.array(self.verdict.kept, dtype=bool)]
        return useful

    @property
    def patch_size(self) -> int:
        """In px."""
        return int(self.eigenpatches.shape[-1])

    @property
    def passed(self) -> float:
        """Share of the noise that stays where something is recovered."""
        return self.verdict.n_kept / self.patch_size**2


def find_details(grams: SumGrams, side: int, diameter: int | None, task: Task) -> Details:
    """Decompose whitened images at the probe's scale.

    Parameters
    ----------
    grams : callable
        As `reucid_core.grids.WhitenedFrames.grams`.
    side : int
        The shorter one of an image, in px.
    diameter : int or None
        Of the point-spread function in px.
    task : Task
    """
    sizes = [min(size, side - 1 + side % 2) for size in (PATTERN, RECOVERY)]
    patterns, decomposition = standing_out(grams(1, sizes), 1.0)
    clear = int(np.count_nonzero(patterns.singular_values**2 > 2.0 * patterns.n_patches))
    return Details(
        patterns.eigenpatches[: min(PATTERNS, max(1, clear))],
        decomposition.eigenpatches,
        task.judge(decomposition, stack=2),
        diameter,
    )


def departures_from(
    lattice: FloatArray,
    residual: FloatArray,
    whitening: Whitening,
    details: Details,
    height: int | None = None,
) -> Mask:
    """Where a whitened image departs from its lattice, shape (m, n).

    Parameters
    ----------
    lattice, residual : ndarray, shape (m, n)
        Whitened.
    whitening : Whitening
    details : Details
    height : int, optional
        Rows of a band that is looked at, at a time; all by default.
    """
    m, n = lattice.shape
    bands = height is not None and height < m
    # Across the rows a band cannot be coloured by itself.
    apart = bands and whitening.by_row
    whole = None if apart else whitening.colour(lattice)
    twice = None if apart else whitening.whiten(residual)

    def intensity(rows: slice) -> FloatArray:
        return whitening.colour(lattice[rows]) if whole is None else whole[rows]

    some = slice(None, None, -(-lattice.size // MEASURED))
    line = LocalVariance.of(residual[some], intensity(some))
    columns = Columns.of(intensity(some), details.diameter)
    error = error_of_spot(whitening, lattice.shape, columns.sigma)
    mask = np.empty((m, n), dtype=bool)
    places, deviations = [], []
    for rows, window in _windows(m, height or m, MOST_REACH):
        coloured = intensity(window)
        found = find_departures(
            residual[window],
            whitening.whiten(residual[window]) if twice is None else twice[window],
            coloured,
            line.at(coloured),
            details.patterns,
            columns,
            error,
        )
        found = found.rows(slice(rows.start - window.start, rows.stop - window.start))
        mask[rows] = found.sure
        places.append(rows.start * n + np.flatnonzero(found.columns))
        deviations.append(found.deviations)
        del coloured, found
    deviation = np.concatenate(deviations)
    departing = np.concatenate(places)[deviation >= least_deviation(deviation)]
    mark(mask, np.divmod(departing, n), columns.reach)
    return mask


def recover(
    lattice: FloatArray,
    residual: FloatArray,
    mask: Mask,
    E: FloatArray,
    height: int | None = None,
) -> None:
    """Move what departs from the residual into the image: both are written into.

    Parameters
    ----------
    lattice, residual : ndarray, shape (m, n)
        Whitened.
    mask : ndarray of bool, shape (m, n)
        Where patches are centred.
    E : ndarray, shape (k, p, p)
        The patches are truncated to these, then fused over all patches' terrain.
    height : int, optional
        Rows of a band that is worked on at a time; all by default.
    """
    p, m = E.shape[-1], len(lattice)
    before: tuple[slice, FloatArray] | None = None
    for rows, window in _windows(m, height or m, 2 * (p // 2)):
        fused = _fused_at(residual[window], mask[window], E)[rows.start - window.start :]
        found = fused[: rows.stop - rows.start] / _terrain(lattice.shape, p, rows, fused.dtype)
        lattice[rows] += found
        if before is not None:  # no sooner: its last rows are also in this band's patches
            residual[before[0]] -= before[1]
        before = rows, found
    if before is not None:
        residual[before[0]] -= before[1]


def _windows(m: int, height: int, reach: int) -> Iterator[tuple[slice, slice]]:
    """Bands of rows, and each with those around it that have a say in it."""
    for start in range(0, m, height):
        stop = min(start + height, m)
        yield slice(start, stop), slice(max(0, start - reach), min(m, stop + reach))


def _fused_at(residual: FloatArray, mask: Mask, E: FloatArray) -> FloatArray:
    """The truncated patches centred where the mask is, added up, shape (m, n)."""
    canvas = np.zeros_like(residual)
    m, n = residual.shape
    h = E.shape[-1] // 2
    basis = E.reshape(len(E), -1).astype(residual.dtype)
    centres = origins_of(mask[h : m - h, h : n - h], n)
    for start in range(0, len(centres), TOGETHER):
        origins = centres[start : start + TOGETHER]
        patches = gather(residual, origins, E.shape[-1])
        scatter_add(canvas, (basis.T @ (basis @ patches.T)).T, origins, E.shape[-1])
    return canvas


def _terrain(shape: tuple[int, ...], p: int, rows: slice, dtype: DTypeLike) -> FloatArray:
    """How many patches overlap the pixels of some rows."""
    down, across = (full_terrain((side, p), p)[:, 0] for side in shape)
    return np.outer(down[rows], across).astype(dtype)
