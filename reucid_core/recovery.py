"""What departs from an image's lattice, recovered from patches at the probe's scale."""

import numpy as np
from numpy.typing import NDArray

from reucid_core.departures import LARGEST_SPOT, SPOT, find_departures, runs_of
from reucid_core.eigenpatches import FloatArray
from reucid_core.exact import Transform
from reucid_core.lattice import standing_out
from reucid_core.outcome import Task
from reucid_core.patches import gather, origins_of, scatter_add
from reucid_core.report import RecoveryReport
from reucid_core.terrain import full_terrain
from reucid_core.whitening import Whitening

RECOVERY, PATTERN, PATTERNS = 7, 9, 3  # px, px, and how many patterns are tested
SPOTS = 4  # standard deviations of a column in the diameter of the point-spread function


def recover(
    whitened: FloatArray,
    first: FloatArray,
    whitening: Whitening,
    diameter: int | None,
    task: Task,
) -> tuple[FloatArray, RecoveryReport, FloatArray, float]:
    """What departs from the lattice, how it was found, its eigenpatches, and their share of all.

    What departs looks like the rest of the image at the probe's scale, so both the patterns that
    are tested for and the eigenpatches that recover are those of the image, not of the residual.
    """
    threads, side = task.params.threads, min(whitened.shape)
    residual = whitened - first
    estimate = whitening.colour(first)
    transform = Transform.of(whitened, lags=min(PATTERN, side) - 1, threads=threads)
    patterns = standing_out([transform], min(PATTERN, side - 1 + side % 2), 1.0)
    clear = int(np.count_nonzero(patterns.singular_values**2 > 2.0 * patterns.n_patches))
    mask = find_departures(
        residual,
        estimate,
        whitening,
        patterns.eigenpatches[: min(PATTERNS, max(1, clear))],
        min(max(SPOT, (diameter or 0) / SPOTS), LARGEST_SPOT),
    )
    p = min(RECOVERY, side - 1 + side % 2)
    decomposition = standing_out([transform], p, 1.0)
    verdict = task.judge(decomposition, stack=2)
    useful = decomposition.eigenpatches[np.array(verdict.kept, dtype=bool)]
    report = RecoveryReport(p, verdict, float(mask.mean()), runs_of(mask))
    return fused_at(residual, mask, useful), report, decomposition.eigenpatches, len(useful) / p**2


def fused_at(residual: FloatArray, mask: NDArray[np.bool_], E: FloatArray) -> FloatArray:
    """The patches centred where the mask is, truncated and fused over all patches' terrain."""
    canvas = np.zeros_like(residual)
    p = E.shape[-1]
    h = p // 2
    m, n = residual.shape
    origins = origins_of(mask[h : m - h, h : n - h], n)
    if len(origins) and len(E):
        basis = E.reshape(len(E), -1).astype(residual.dtype)
        patches = gather(np.ascontiguousarray(residual), origins, p)
        scatter_add(canvas, (basis.T @ (basis @ patches.T)).T, origins, p)
    fused: FloatArray = canvas / full_terrain((m, n), p).astype(canvas.dtype)
    return fused
