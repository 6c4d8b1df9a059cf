"""Atoms in space, as a beam meets them: boxes that repeat along y and x."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reucid_core.training.micrographs.crystals import ATOMIC_NUMBER

FloatArray = NDArray[np.float64]

SAME_COLUMN = 0.05  # angstrom
Z_EXPONENT = 1.7
NUMBERS = ATOMIC_NUMBER | {
    "Li": 3, "B": 5, "Al": 13, "Ca": 20, "Co": 27, "Ni": 28, "Zr": 40, "Nb": 41, "Mo": 42, "In": 49,
    "Sb": 51, "Te": 52, "La": 57, "Pt": 78, "Pb": 82, "Bi": 83, "U": 92,
}  # fmt: skip


@dataclass(frozen=True)
class Structure:
    """Atoms in a box; the beam runs along z, from 0 upwards.

    Parameters
    ----------
    elements : ndarray, shape (J,), str
    positions : ndarray, shape (J, 3), float64
        y, x and z in angstrom.
    sides : (float, float, float)
        Of the box along y, x and z in angstrom.
    """

    elements: NDArray[np.str_]
    positions: FloatArray
    sides: tuple[float, float, float]

    def __len__(self) -> int:
        return len(self.elements)

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Atomic numbers, shape (J,)."""
        return np.array([NUMBERS[str(element)] for element in self.elements], dtype=np.int64)


@dataclass(frozen=True)
class Defect:
    """Some atoms of one column are missing or others.

    Parameters
    ----------
    name : str
    site : (float, float)
        The column in the cell: fractional y and x.
    host : str, optional
        The element that is changed; by default all of the column.
    guest : str, optional
        What takes its place; by default nothing does.
    share : float
        Of the host's atoms, evenly spread along the beam.
    """

    name: str
    site: tuple[float, float]
    host: str | None = None
    guest: str | None = None
    share: float = 1.0


def structure_of(
    atoms: tuple[tuple[float, float, float, str], ...], sides: tuple[float, float, float]
) -> Structure:
    """From fractional y, x, z and element of each atom."""
    positions = np.array([atom[:3] for atom in atoms]) % 1 * sides
    return Structure(np.array([atom[3] for atom in atoms]), positions, sides)


def tiled(cell: Structure, repeats: tuple[int, int, int]) -> Structure:
    """The cell, repeated along y, x and z; the atoms of one cell follow each other."""
    corners = np.indices(repeats).reshape(3, -1).T * cell.sides  # (cells, 3)
    sides = np.multiply(cell.sides, repeats)
    return Structure(
        np.tile(cell.elements, len(corners)),
        (corners[:, None] + cell.positions).reshape(-1, 3),
        (float(sides[0]), float(sides[1]), float(sides[2])),
    )


def displaced(
    structure: Structure, b_factors: Mapping[str, float], *, rng: np.random.Generator
) -> Structure:
    """One moment of the thermal motion: every atom by itself, an Einstein crystal.

    Parameters
    ----------
    structure : Structure
    b_factors : mapping
        8 pi^2 times the mean square displacement along one direction, in A^2, by element.
    rng : numpy.random.Generator
    """
    rms = np.array([rms_displacement(b_factors[str(element)]) for element in structure.elements])
    moved = structure.positions + rms[:, None] * rng.standard_normal(structure.positions.shape)
    moved[:, :2] %= structure.sides[:2]
    # What leaves the box along the beam has no slice: it stays at the surface.
    moved[:, 2] = moved[:, 2].clip(0, np.nextafter(structure.sides[2], 0))
    return replace(structure, positions=moved)


def rms_displacement(b_factor: float) -> float:
    """Along one direction, in angstrom, of B in A^2."""
    return float(np.sqrt(b_factor / (8 * np.pi**2)))


def column(structure: Structure, place: tuple[float, float]) -> NDArray[np.int64]:
    """Indices of the atoms above a place, y and x in angstrom, along the beam."""
    apart = structure.positions[:, :2] - place
    apart -= np.rint(apart / structure.sides[:2]) * structure.sides[:2]
    found = np.flatnonzero(np.linalg.norm(apart, axis=1) < SAME_COLUMN)
    return found[np.argsort(structure.positions[found, 2], kind="stable")]


def changed_atoms(
    structure: Structure, place: tuple[float, float], defect: Defect
) -> NDArray[np.int64]:
    """Indices of the atoms that a defect takes out or exchanges."""
    members = column(structure, place)
    if defect.host is not None:
        members = members[structure.elements[members] == defect.host]
    count = round(defect.share * len(members))
    if count == 0:
        raise ValueError(f"{defect.name}: no atom to change at {place}")
    chosen: NDArray[np.int64] = members[
        ((np.arange(count) + 0.5) * len(members) / count).astype(int)
    ]
    return chosen


def with_atoms(structure: Structure, changed: NDArray[np.int64], guest: str | None) -> Structure:
    """Some atoms exchanged, or taken out."""
    if guest is None:
        kept = np.setdiff1d(np.arange(len(structure)), changed)
        return replace(
            structure, elements=structure.elements[kept], positions=structure.positions[kept]
        )
    elements = structure.elements.astype("<U2")
    elements[changed] = guest
    return replace(structure, elements=elements)


def column_gain(structure: Structure, place: tuple[float, float], defect: Defect) -> float:
    """Weight of the changed column by Z^1.7, relative to the unchanged one."""
    weights = structure.numbers**Z_EXPONENT
    members = column(structure, place)
    changed = changed_atoms(structure, place, defect)
    guest = 0.0 if defect.guest is None else NUMBERS[defect.guest] ** Z_EXPONENT
    return float(1 + (guest - weights[changed]).sum() / weights[members].sum())
