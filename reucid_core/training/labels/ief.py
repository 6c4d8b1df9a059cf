"""The paper's edited image enhancement factor: how many leading eigenpatches are best.

No formula is printed. By the text ("Informing a qualitatively-aligned metric"), with alpha the
number of leading eigenpatches in the reconstruction, IEF(alpha) = |noisy - truth|^2 /
|rec - truth|^2 is "divided by a factor of c^alpha", and c = 0.64 was fitted to the answers of a
survey. Read literally, c^-alpha grows faster than any IEF falls; hence the exponent's sign is a
parameter here.
"""

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reucid_core.eigenpatches import Decomposition, FloatArray
from reucid_core.training.labels.oracle import Components, Kept, SubsetError

PAPER_BASE = 0.64
PAPER_MOST = 25  # eigenpatches in the paper's largest reconstruction

Exponent = Literal[1, -1]


def leading(decomposition: Decomposition, count: int) -> Decomposition:
    """The decomposition without all but its `count` leading eigenpatches."""
    return replace(
        decomposition,
        eigenpatches=decomposition.eigenpatches[:count],
        singular_values=decomposition.singular_values[:count],
    )


def first(alpha: int, components: int) -> Kept:
    """Labels that keep the first alpha eigenpatches, shape (components,)."""
    return np.arange(components) < alpha


def prefix_errors(error: SubsetError) -> NDArray[np.float64]:
    """Squared error of the images fused from the first 1, 2, ..., k eigenpatches, shape (k,).

    Cost O(k^2): sums over the leading squares of the quadratic form.
    """
    squares = np.cumsum(np.cumsum(error.gram, axis=0), axis=1).diagonal()
    errors: NDArray[np.float64] = squares - 2 * np.cumsum(error.overlap) + error.energy
    return errors


def ief_curve(
    decomposition: Decomposition, noisy: FloatArray, truth: FloatArray, *, most: int = PAPER_MOST
) -> NDArray[np.float64]:
    """IEF of the images fused from the first alpha eigenpatches, alpha = 1, 2, ..., shape (a,).

    Parameters
    ----------
    decomposition : Decomposition
        Of all patches of the noisy image.
    noisy, truth : ndarray, shape (m, n)
        In the same intensity units.
    most : int
        The largest alpha; a decomposition of fewer components ends earlier.
    """
    before = float(np.sum((noisy.astype(np.float64) - truth) ** 2))
    return before / prefix_errors(Components.of(leading(decomposition, most), noisy).error(truth))


def edited(
    curve: NDArray[np.float64], *, base: float = PAPER_BASE, exponent: Exponent = 1
) -> NDArray[np.float64]:
    """An IEF curve divided by ``base ** (exponent * alpha)``, shape (a,).

    Parameters
    ----------
    curve : ndarray, shape (a,)
        IEF for alpha = 1, 2, ..., as of `ief_curve`.
    base : float
        The paper's c.
    exponent : {1, -1}
        1 as printed; -1 turns its sign, so that eigenpatches cost instead of paying.
    """
    alpha = np.arange(1, len(curve) + 1)
    divided: NDArray[np.float64] = curve / base ** (exponent * alpha)
    return divided


def best_alpha(curve: NDArray[np.float64]) -> int:
    """The number of eigenpatches at a curve's maximum."""
    return int(np.argmax(curve)) + 1
