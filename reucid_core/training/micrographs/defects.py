"""Seven kinds of defects of a crystal whose columns are known."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reucid_core.training.micrographs.crystals import Crystal
from reucid_core.training.micrographs.simulate import Columns, View

Place = NDArray[np.float64]  # y and x in angstrom, shape (2,)
Defect = Callable[[Columns, Place, Crystal, View], Columns]

HALF, HEAVIER = 0.5, 1.5  # of a column's weight
INTERSTITIAL = 0.5  # of the mean weight of a column
STEP = 0.75  # thickness beyond a step
ACROSS_STEP = (0.4, 0.9165)  # unit vector, y and x
POISSON_RATIO = 0.3
NEAR = 12.0  # angstrom, in which the widest gap is looked for
GRID = 0.25  # angstrom, in that search


def vacancy(columns: Columns, place: Place, _: Crystal, __: View) -> Columns:
    """An empty column."""
    return _with_gain(columns, place, 0.0)


def half_column(columns: Columns, place: Place, _: Crystal, __: View) -> Columns:
    """A column of half the atoms."""
    return _with_gain(columns, place, HALF)


def dopant(columns: Columns, place: Place, _: Crystal, __: View) -> Columns:
    """Heavier atoms in a column."""
    return _with_gain(columns, place, HEAVIER)


def antisite(columns: Columns, place: Place, _: Crystal, __: View) -> Columns:
    """A column and its nearest neighbour of another weight, exchanged."""
    weights = columns.weights.copy()
    one = _nearest_bright(columns, place)
    distances = _distances(columns, columns.positions[one])
    distances[np.isclose(weights, weights[one])] = np.inf
    other = int(np.argmin(distances))
    weights[[one, other]] = weights[[other, one]]
    return replace(columns, weights=weights)


def interstitial(columns: Columns, place: Place, _: Crystal, __: View) -> Columns:
    """A column more, in the widest gap near the place."""
    offsets = np.arange(-NEAR / 2, NEAR / 2, GRID)
    spots = place + np.stack(np.meshgrid(offsets, offsets, indexing="ij"), -1).reshape(-1, 2)
    gaps = np.linalg.norm(spots[:, None] - columns.positions, axis=2).min(axis=1)
    return Columns(
        np.vstack([columns.positions, spots[int(np.argmax(gaps))]]),
        np.append(columns.weights, INTERSTITIAL * columns.weights.mean()),
    )


def dislocation(columns: Columns, place: Place, crystal: Crystal, view: View) -> Columns:
    """An edge dislocation by a cell along x, in an isotropic elastic continuum.

    Source: Hirth, Lothe, "Theory of Dislocations" (1982), eq. 3-45.
    """
    burgers = view.deformation @ (0.0, crystal.cell[1])  # y, x
    b = float(np.linalg.norm(burgers))
    along = burgers / b
    normal = np.array([along[1], -along[0]])
    relative = columns.positions - place
    x, y = relative @ along, relative @ normal
    r2 = np.maximum(x**2 + y**2, 1e-6)
    nu = POISSON_RATIO
    u = b / (2 * np.pi) * (np.arctan2(y, x) + x * y / (2 * (1 - nu) * r2))
    v = (
        -b
        / (2 * np.pi)
        * ((1 - 2 * nu) / (4 * (1 - nu)) * np.log(r2) + (x**2 - y**2) / (4 * (1 - nu) * r2))
    )
    moved = columns.positions + u[:, None] * along + v[:, None] * normal
    return replace(columns, positions=moved)


def step_edge(columns: Columns, place: Place, _: Crystal, __: View) -> Columns:
    """A thinner crystal on one side of an oblique line."""
    beyond = (columns.positions - place) @ ACROSS_STEP > 0
    return replace(columns, weights=columns.weights * np.where(beyond, STEP, 1.0))


POINT: dict[str, Defect] = {
    "vacancy": vacancy,
    "half column": half_column,
    "interstitial": interstitial,
    "dopant": dopant,
    "antisite": antisite,
}
EXTENDED: dict[str, Defect] = {"dislocation": dislocation, "step edge": step_edge}
DEFECTS = POINT | EXTENDED


def _distances(columns: Columns, place: Place) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(columns.positions - place, axis=1))


def _with_gain(columns: Columns, place: Place, gain: float) -> Columns:
    """The weight of the nearest of the brighter half of the columns, multiplied."""
    weights = columns.weights.copy()
    weights[_nearest_bright(columns, place)] *= gain
    return replace(columns, weights=weights)


def _nearest_bright(columns: Columns, place: Place) -> int:
    faint = columns.weights < np.median(columns.weights)
    return int(np.argmin(np.where(faint, np.inf, _distances(columns, place))))
