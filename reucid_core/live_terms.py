"""What both ways of denoising live frames share: their terms, and what they refuse."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reucid_core.eigenpatches import FloatArray
from reucid_core.errors import MemoryBudgetError, ParameterError
from reucid_core.memory import available_memory
from reucid_core.noise import NoiseModel
from reucid_core.params import MIN_PATCH_SIZE, DenoiseParams
from reucid_core.patch_size_rules import check_name
from reucid_core.plan import check_fits, lags_needed
from reucid_core.report import StackReport
from reucid_core.workload import band_height

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Decision:
    """What frames are filtered by.

    Parameters
    ----------
    patch_size : int
        In px of the grid.
    spacing : int
        Px of the image between neighbours on the grid.
    eigenpatches : ndarray, shape (k, p, p), float64
        All that were offered.
    verdict : StackReport
    noise_variance : float
        Of a pixel, intensity squared.
    noise : NoiseModel or None
        As measured; None with method `paper`.
    """

    patch_size: int
    spacing: int
    eigenpatches: Float64
    verdict: StackReport
    noise_variance: float
    noise: NoiseModel | None = None

    @property
    def useful(self) -> Float64:
        """Eigenpatches that are kept, shape (k, p, p)."""
        useful: Float64 = self.eigenpatches[np.array(self.verdict.kept, dtype=bool)]
        return useful


def near(chosen: Mask, distance: int) -> Mask:
    """Rows at most so far from chosen ones, shape (m,)."""
    steps = np.concatenate([[0], np.cumsum(chosen)])
    rows = np.arange(len(chosen))
    first, stop = np.maximum(rows - distance, 0), np.minimum(rows + distance + 1, len(chosen))
    return np.asarray(steps[stop] > steps[first])


def runs_of_rows(chosen: Mask) -> list[slice]:
    """Runs of neighbouring rows that are chosen, in order."""
    edges = np.flatnonzero(np.diff(chosen.astype(np.int8), prepend=0, append=0))
    return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def longest_run(chosen: Mask) -> slice:
    """The longest run of rows that are chosen; at least one is."""
    return max(runs_of_rows(chosen), key=lambda run: run.stop - run.start)


def constant(image: FloatArray, scanned: Mask) -> bool:
    """Whether all rows that are there have one value."""
    rows = image[scanned]
    return bool((rows == rows.flat[0]).all())


def check_live(params: DenoiseParams, shape: tuple[int, int]) -> None:
    """Refuse what live frames cannot have, and frames that are too large.

    Raises
    ------
    ParameterError, MemoryBudgetError
    """
    if params.engine == "stacked" or params.stacks is not None:
        raise ParameterError(
            "engine",
            "got engine stacked or a number of stacks, expected neither: live frames are denoised "
            "by engine exact, which has one stack",
        )
    if params.deadline is not None or params.bias:
        raise ParameterError(
            "deadline" if params.deadline is not None else "bias",
            "got one, expected none: a live frame is shown as far as it has come",
        )
    check_fits(params, shape)
    check_name(params.patch_size_from)
    lags = lags_needed(shape, params)
    p = params.stated_patch_size or MIN_PATCH_SIZE
    budget = params.memory_budget or available_memory()
    if band_height(shape, p, lags, budget) < shape[0]:
        raise MemoryBudgetError(
            f"live frames of {math.prod(shape)} px do not fit into the {budget} bytes that may be "
            "used: raise the memory budget, or scan fewer pixels"
        )
