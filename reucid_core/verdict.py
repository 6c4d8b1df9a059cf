"""The classifier's verdict on the eigenpatches of a stack."""

import numpy as np
from numpy.typing import NDArray

from reucid_core.eigenpatches import Classify, Decomposition
from reucid_core.errors import ReucidError
from reucid_core.params import Select
from reucid_core.report import StackReport

DEFAULT_THRESHOLD = 0.5  # for a classifier that states none


def choose_threshold(stated: float | None, classify: Classify) -> float:
    """The caller's threshold, else the one that belongs to the classifier."""
    if stated is not None:
        return float(stated)
    return float(getattr(classify, "threshold", DEFAULT_THRESHOLD))


def judge(
    decomposition: Decomposition,
    classify: Classify,
    threshold: float,
    *,
    stack: int,
    select: Select = "any",
) -> StackReport:
    """Classify the eigenpatches of a stack; where none is useful enough, the first is kept.

    Parameters
    ----------
    decomposition : Decomposition
    classify : callable
    threshold : float
        Utility from which an eigenpatch is kept.
    stack : int
        The stack's number, from 1.
    select : {"any", "leading"}
        Whether those that reach it are kept, or as many from the first on.

    Raises
    ------
    ReucidError
        When the classifier does not give one finite utility for each eigenpatch.
    """
    utilities = np.asarray(classify(decomposition), dtype=np.float64)
    expected = decomposition.singular_values.shape
    if utilities.shape != expected or not np.isfinite(utilities).all():
        raise ReucidError(
            f"the classifier gave {utilities!r}, expected {expected[0]} finite utilities"
        )
    kept = selected(utilities >= threshold, select)
    nothing_useful = not kept.any()
    kept[0] |= nothing_useful
    return StackReport(
        stack=stack,
        n_patches=decomposition.n_patches,
        energy=decomposition.energy,
        singular_values=decomposition.singular_values.tolist(),
        relative_singular_values=decomposition.relative_singular_values.tolist(),
        energy_shares=decomposition.energy_shares.tolist(),
        utilities=utilities.tolist(),
        kept=kept.tolist(),
        nothing_useful=nothing_useful,
        found_by=decomposition.found_by,
    )


def selected(reached: NDArray[np.bool_], select: Select) -> NDArray[np.bool_]:
    """Which eigenpatches are kept, shape (k,), of those that reach the threshold."""
    if select == "leading":
        return np.arange(len(reached)) < np.count_nonzero(reached)
    return reached.copy()
