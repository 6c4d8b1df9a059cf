"""Intensities and positions of columns, measured in an image by fits of Gaussians.

Filters by principal components gain precision by bias (Lichtert, Verbeeck, Ultramicroscopy 125, 35
(2013)): what differs from the rest is drawn towards it. So of columns that differ at random, the
share of their differences that is left is measured beside the error.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reucid_core.training.micrographs.simulate import Columns, View

Float64 = NDArray[np.float64]

WINDOW = 1.0  # angstrom to either side of a column
BRIGHTEST = 0.9  # of the largest weight
BORDER = 4.0  # angstrom at the image's border without columns to be measured


@dataclass(frozen=True)
class Measured:
    """Of columns, beside the same in the truth.

    Parameters
    ----------
    intensities : ndarray, shape (J,)
        Amplitudes of the Gaussians.
    positions : ndarray, shape (J, 2)
        In angstrom from where the perfect crystal has them.
    """

    intensities: Float64
    positions: Float64


def measure(image: Float64, perfect: Columns, view: View) -> Measured:
    """Fit each column by a Gaussian of the probe's width, its slopes and a background.

    Parameters
    ----------
    image : ndarray, shape (m, n)
    perfect : Columns
        Where the perfect crystal has them.
    view : View
    """
    reach = round(WINDOW / view.sampling)
    offsets = np.arange(-reach, reach + 1)
    amplitudes, shifts = [], []
    for place in perfect.positions[inside(perfect, view)]:
        nearest = np.rint(place / view.sampling).astype(int)
        rows, columns = (n + offsets for n in nearest)
        y = view.sampling * rows[:, None] - place[0]
        x = view.sampling * columns[None, :] - place[1]
        blob = np.exp(-(y**2 + x**2) / (2 * view.sigma**2))
        slopes = (blob * y / view.sigma**2, blob * x / view.sigma**2)
        design = np.stack([blob, *slopes, np.ones_like(blob)]).reshape(4, -1).T
        found = np.linalg.lstsq(design, image[np.ix_(rows, columns)].ravel(), rcond=None)[0]
        amplitudes.append(found[0])
        shifts.append(found[1:3] / found[0])
    return Measured(np.array(amplitudes), np.array(shifts))


def inside(columns: Columns, view: View) -> NDArray[np.bool_]:
    """The columns of the brightest kind, away from the border, shape (J,)."""
    places = columns.positions
    away = ((places > BORDER) & (places < view.extent - BORDER)).all(axis=1)
    return np.asarray(away & (columns.weights > BRIGHTEST * columns.weights.max()))


@dataclass(frozen=True)
class Precision:
    """Of one quantity of many columns in several micrographs.

    Parameters
    ----------
    spread : float
        Standard deviation from micrograph to micrograph of one specimen: precision.
    bias : float
        Root mean square of the mean error.
    left : float
        Share of the true differences between columns that is left: 1 where nothing is biased.
    """

    spread: float
    bias: float
    left: float

    @property
    def error(self) -> float:
        """Root mean square of all."""
        return float(np.hypot(self.spread, self.bias))


def precision(measured: Float64, true: Float64) -> Precision:
    """Of a quantity measured in several micrographs, shape (micrographs, J), and its truth (J,)."""
    mean, variance = measured.mean(axis=0), measured.var(axis=0, ddof=1)
    # The mean of few micrographs still has noise, whose square is known.
    squared = np.mean((mean - true) ** 2) - np.mean(variance) / len(measured)
    deviation = true - true.mean()
    left = float(np.vdot(mean - mean.mean(), deviation) / np.vdot(deviation, deviation))
    return Precision(float(np.sqrt(variance.mean())), float(np.sqrt(max(squared, 0.0))), left)
