"""HAADF micrographs of crystals by incoherent imaging, the noise of a dose, and the scan's.

The image of a column of atoms is the probe's intensity, weighted with the atoms' scattering into
the detector, Z^1.7. There is no channelling and no source size beside the probe's width.
"""

from dataclasses import dataclass, replace
from math import log, sqrt

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from reucid_core.training.micrographs.crystals import ATOMIC_NUMBER, Crystal

FloatImage = NDArray[np.float64]

Z_EXPONENT = 1.7
READ_NOISE = 0.05  # of the maximum (paper, Fig. 5)
PAPER_DOSES = (100.0, 500.0, 1000.0, 10000.0)  # e/A^2 (paper, "Dataset creation")
FWHM_PER_SIGMA = 2 * sqrt(2 * log(2))
REACH = 5.0  # standard deviations of the probe that a column outside the field still shines in


@dataclass(frozen=True)
class Columns:
    """Atomic columns in the field of view.

    Parameters
    ----------
    positions : ndarray, shape (J, 2), float64
        y and x in angstrom from the centre of the first pixel.
    weights : ndarray, shape (J,), float64
        Sum of Z^1.7 over one period along the beam, times the relative thickness.
    """

    positions: NDArray[np.float64]
    weights: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class View:
    """How a crystal lies under the beam, and how it is sampled.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns in px.
    sampling : float
        Side of a pixel in angstrom.
    fwhm : float
        Full width at half maximum of the probe in angstrom.
    rotation : float
        In degrees.
    shift : (float, float)
        Position of a cell's corner, in fractions of the cell.
    strain : (float, float, float)
        e_yy, e_xx and e_xy.
    drift : (float, float)
        Of the specimen along y and x while the frame is scanned from top to bottom, relative to the
        field's height.
    ramp : float
        Change of the thickness across the field, relative to its mean; beyond 2 the crystal ends
        within the field.
    ramp_direction : float
        In degrees.
    background : float
        Evenly scattering matter, relative to the brightest column.
    """

    shape: tuple[int, int]
    sampling: float
    fwhm: float = 0.8
    rotation: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    strain: tuple[float, float, float] = (0.0, 0.0, 0.0)
    drift: tuple[float, float] = (0.0, 0.0)
    ramp: float = 0.0
    ramp_direction: float = 0.0
    background: float = 0.0

    @property
    def deformation(self) -> NDArray[np.float64]:
        """From places in the specimen to places in the image, shape (2, 2)."""
        yy, xx, xy = self.strain
        angle = np.radians(self.rotation)
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        drift = np.array([[1 + self.drift[0], 0.0], [self.drift[1], 1.0]])
        deformed: NDArray[np.float64] = drift @ rotation @ np.array([[1 + yy, xy], [xy, 1 + xx]])
        return deformed

    @property
    def extent(self) -> NDArray[np.float64]:
        """Height and width of the field in angstrom, shape (2,)."""
        return self.sampling * np.asarray(self.shape, dtype=np.float64)

    @property
    def sigma(self) -> float:
        """Standard deviation of the probe in angstrom."""
        return self.fwhm / FWHM_PER_SIGMA


def scattering(element: str) -> float:
    """Weight of one atom, Z^1.7."""
    return float(ATOMIC_NUMBER[element] ** Z_EXPONENT)


def place_columns(crystal: Crystal, view: View) -> Columns:
    """All columns of a crystal that shine into the field of view."""
    sites = np.array([site[:2] for site in crystal.sites]) + view.shift  # (S, 2)
    weights = np.array([scattering(site[2]) for site in crystal.sites])  # (S,)
    axes = view.deformation * crystal.cell  # (2, 2), columns are the cell's sides
    margin = REACH * view.sigma
    centre = view.extent / 2

    radius = np.hypot(*centre) + margin
    cells = np.ceil(radius * np.linalg.norm(np.linalg.inv(axes), axis=1)).astype(int) + 1
    grid = np.indices(2 * cells + 1).reshape(2, -1).T - cells  # (cells, 2)
    positions = ((grid[:, None] + sites) @ axes.T).reshape(-1, 2) + centre  # (cells * S, 2)
    inside = ((positions > -margin) & (positions < view.extent + margin)).all(axis=1)
    positions = positions[inside]
    thickness = relative_thickness(positions, view)
    return Columns(positions, np.tile(weights, len(grid))[inside] * thickness)


def with_vacancies(columns: Columns, fraction: float, *, rng: np.random.Generator) -> Columns:
    """Empty each column with a probability."""
    kept = rng.random(len(columns.weights)) >= fraction
    return replace(columns, weights=columns.weights * kept)


def with_dopants(
    columns: Columns, fraction: float, *, gain: float, rng: np.random.Generator
) -> Columns:
    """Multiply each column's weight by `gain` with a probability."""
    doped = rng.random(len(columns.weights)) < fraction
    return replace(columns, weights=columns.weights * np.where(doped, gain, 1.0))


def with_defect(columns: Columns, place: tuple[float, float], *, gain: float) -> Columns:
    """Multiply the weight of the column nearest to a place, y and x in angstrom."""
    nearest = np.argmin(np.linalg.norm(columns.positions - place, axis=1))
    weights = columns.weights.copy()
    weights[nearest] *= gain
    return replace(columns, weights=weights)


def expose(columns: Columns, view: View) -> FloatImage:
    """Image of the columns at infinite dose, shape (m, n), peak 1."""
    lattice = shine(columns, view)
    peak = lattice.max()
    relative = lattice / peak if peak > 0 else lattice
    return (relative + view.background) / (1 + view.background)


def shine(columns: Columns, view: View) -> FloatImage:
    """What the columns scatter, shape (m, n), in units of their weights.

    The isotropic Gaussian probe separates into y and x whatever way the lattice is turned, so the
    sum over columns is one matrix product, exact at sub-pixel positions. Cost O(m n J).
    """
    y, x = (_profile(columns.positions[:, axis], view, axis) for axis in (0, 1))
    lattice: FloatImage = (y * columns.weights[:, None]).T @ x
    return lattice


def simulate(crystal: Crystal, view: View) -> FloatImage:
    """Image of a perfect crystal at infinite dose, shape (m, n), peak 1."""
    return expose(place_columns(crystal, view), view)


def detect(
    truth: FloatImage,
    *,
    dose: float,
    sampling: float,
    rng: np.random.Generator,
    read_noise: float = READ_NOISE,
) -> FloatImage:
    """Counts of a finite dose, in the units of the truth.

    Parameters
    ----------
    truth : ndarray, shape (m, n)
        Mean signal, at least 0.
    dose : float
        Electrons counted per square angstrom where the truth is 1.
    sampling : float
        Side of a pixel in angstrom.
    rng : numpy.random.Generator
    read_noise : float
        Standard deviation of the Gaussian noise, in the units of the truth.
    """
    electrons = dose * sampling**2
    shot = rng.poisson(truth * electrons) / electrons
    return shot + rng.normal(0.0, read_noise, truth.shape)


@dataclass(frozen=True, kw_only=True)
class RowNoise:
    """What the scan does to every row of an image, at random and independently.

    Parameters
    ----------
    offset : float
        Standard deviation of what is added to a row, relative to the truth's maximum.
    jitter : float
        Standard deviation of a row's displacement in px.
    """

    offset: float = 0.0
    jitter: float = 0.0

    def __bool__(self) -> bool:
        return self.offset > 0 or self.jitter > 0


def scan(
    truth: FloatImage, noise: RowNoise, *, rng: np.random.Generator
) -> tuple[FloatImage, FloatImage]:
    """A truth where its rows were really scanned, (m, n), and what is added to each row, (m, 1).

    The detector's electronics add it, to what was counted: it may well be negative.
    """
    m, n = truth.shape
    offsets = rng.normal(0.0, noise.offset * truth.max(), (m, 1))
    displacements = rng.normal(0.0, noise.jitter, (m, 1))
    y, x = np.indices((m, n), dtype=np.float64)
    displaced: FloatImage = truth
    if noise.jitter > 0:
        displaced = scipy.ndimage.map_coordinates(
            truth, [y, x - displacements], order=3, mode="nearest"
        )
    return np.maximum(displaced, 0.0), offsets  # the spline may swing below no electrons


def digitise(image: FloatImage, *, counts: float) -> FloatImage:
    """An image as integers of a detector that shows `counts` for a signal of one, undone again.

    The values are multiples of 1 / counts: what remains is the rounding.
    """
    rounded: FloatImage = np.rint(image * counts) / counts
    return rounded


def relative_thickness(positions: NDArray[np.float64], view: View) -> NDArray[np.float64]:
    """Of the wedge at places (..., 2) in angstrom, relative to its mean, shape (...)."""
    angle = np.radians(view.ramp_direction)
    along = (positions / view.extent - 0.5) @ np.array([np.sin(angle), np.cos(angle)])
    thickness: NDArray[np.float64] = np.maximum(0.0, 1 + view.ramp * along)
    return thickness


def _profile(places: NDArray[np.float64], view: View, axis: int) -> NDArray[np.float64]:
    """The probe along one axis, centred on each column, shape (J, pixels)."""
    pixels = view.sampling * np.arange(view.shape[axis])
    profile: NDArray[np.float64] = np.exp(-((pixels - places[:, None]) ** 2) / (2 * view.sigma**2))
    return profile
