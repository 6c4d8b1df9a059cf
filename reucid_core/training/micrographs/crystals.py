"""Crystals as a HAADF detector sees them: columns of atoms in projection."""

from dataclasses import dataclass
from math import sqrt

import numpy as np

ATOMIC_NUMBER = {
    "C": 6, "N": 7, "O": 8, "Mg": 12, "Si": 14, "Ti": 22, "Ga": 31, "As": 33, "Se": 34, "Sr": 38,
    "Ce": 58, "Ba": 56, "Nd": 60, "W": 74,
}  # fmt: skip

Site = tuple[float, float, str]


@dataclass(frozen=True)
class Crystal:
    """The rectangular cell of a crystal in projection along a zone axis.

    Parameters
    ----------
    name : str
        Formula and zone axis.
    family : str
        Crystals of one family look alike but for contrast and scale.
    cell : (float, float)
        Sides along y and x in angstrom.
    sites : tuple of (float, float, str)
        One atom per period along the beam each: fractional y, fractional x, element. Sites at the
        same place make a mixed column.
    """

    name: str
    family: str
    cell: tuple[float, float]
    sites: tuple[Site, ...]


def _zincblende_110(name: str, a: float, first: str, second: str) -> Crystal:
    """Dumbbells a / 4 long on a centred cell, [001] upwards; also diamond."""
    return Crystal(
        name,
        "dumbbells",
        (a, a / sqrt(2)),
        ((0, 0, first), (1 / 2, 1 / 2, first), (1 / 4, 0, second), (3 / 4, 1 / 2, second)),
    )


def _honeycomb(name: str, a: float, first: tuple[str, ...], second: tuple[str, ...]) -> Crystal:
    """A hexagonal layer along [0001], on its orthohexagonal cell."""
    corners = ((0, 0), (1 / 2, 1 / 2))
    places = [(at, first) for at in corners] + [((y + 1 / 3, x), second) for y, x in corners]
    return Crystal(
        name,
        "honeycomb",
        (a * sqrt(3), a),
        tuple((y, x, element) for (y, x), column in places for element in column),
    )


def _wurtzite_1120(name: str, a: float, c: float, u: float, cation: str, anion: str) -> Crystal:
    return Crystal(
        name,
        "wurtzite",
        (c, a * sqrt(3) / 2),
        ((0, 2 / 3, cation), (1 / 2, 1 / 3, cation), (u, 2 / 3, anion), (1 / 2 + u, 1 / 3, anion)),
    )


def _fluorite_110(name: str, a: float, cation: str, anion: str) -> Crystal:
    anions = tuple((y, x, anion) for y in (1 / 4, 3 / 4) for x in (0, 1 / 2))
    cations = ((0, 0, cation), (1 / 2, 1 / 2, cation))
    return Crystal(name, "fluorite", (a, a / sqrt(2)), (*cations, *anions))


def _tungsten_bronze(name: str, a: float, square: str, pentagon: str, metal: str) -> Crystal:
    """Tetragonal tungsten bronze along [001], plane group p4gm.

    Coordinates rounded from strontium barium niobate, Jamieson, Abrahams, Bernstein, J. Chem.
    Phys. 48, 5048 (1968), DOI 10.1063/1.1668176.
    """
    sites = (
        (0.0, 0.0, (square,)),
        (0.172, 0.672, (pentagon,)),
        (0.0, 0.5, (metal, "O")),
        (0.075, 0.212, (metal, "O")),
        (0.218, 0.282, ("O",)),
        (0.139, 0.070, ("O",)),
        (0.994, 0.344, ("O",)),
    )
    columns = {
        (round(v % 1, 4), round(w % 1, 4)): column for y, x, column in sites for v, w in _p4gm(y, x)
    }
    atoms = tuple((*at, element) for at, column in columns.items() for element in column)
    return Crystal(name, "bronze", (a, a), atoms)


def _p4gm(y: float, x: float) -> list[tuple[float, float]]:
    """The eight equivalent positions of plane group no. 12."""
    rotated = [(y, x), (-y, -x), (x, -y), (-x, y)]
    return rotated + [(1 / 2 + v, 1 / 2 - w) for v, w in rotated]


_STO = (
    (0, 0, "Sr"), (1 / 2, 1 / 2, "Ti"), (1 / 2, 1 / 2, "O"), (1 / 2, 0, "O"), (0, 1 / 2, "O"),
)  # fmt: skip

# Lattice constants at room temperature, in angstrom:
# Si           CODATA 2018, 5.431 020 511
# GaAs         Vurgaftman, Meyer, Ram-Mohan, J. Appl. Phys. 89, 5815 (2001)
# GaN          Vurgaftman, Meyer, J. Appl. Phys. 94, 3675 (2003); u of the ideal wurtzite is 3/8
# SrTiO3       the usual X-ray value of the cubic phase, 3.905
# graphene     that of graphite's layers: Trucano, Chen, Nature 258, 136 (1975)
# MgO          Hazen, Am. Mineral. 61, 266 (1976); half of it is the projection's period
# CeO2         ICDD card 34-0394
# WSe2         Schutte, De Boer, Jellinek, J. Solid State Chem. 70, 207 (1987)
# BaNdTiO      an approximation: Ba(6-3x)Nd(8+2x)Ti18O54 is an orthorhombic superstructure with
#              b = 12.2; a tetragonal bronze of that period, Nd in squares, Ba in pentagons
CRYSTALS = {
    crystal.name: crystal
    for crystal in (
        _zincblende_110("Si[110]", 5.4310, "Si", "Si"),
        Crystal("SrTiO3[100]", "perovskite", (3.905, 3.905), _STO),
        _honeycomb("graphene", 2.464, ("C",), ("C",)),
        _tungsten_bronze("BaNdTiO[001]", 12.2, "Nd", "Ba", "Ti"),
        Crystal("MgO[100]", "rocksalt", (4.211 / 2, 4.211 / 2), ((0, 0, "Mg"), (0, 0, "O"))),
        _fluorite_110("CeO2[110]", 5.411, "Ce", "O"),
        _wurtzite_1120("GaN[11-20]", 3.189, 5.185, 0.375, "Ga", "N"),
        _zincblende_110("GaAs[110]", 5.6533, "Ga", "As"),
        _honeycomb("WSe2[0001]", 3.282, ("W",), ("Se", "Se")),
    )
}


def invent(*, rng: np.random.Generator) -> Crystal:
    """A crystal that does not exist: one to six columns, at least 1 A apart, in a random cell.

    It widens what the network sees beyond the few lattices above.
    """
    cell = rng.uniform(2.0, 8.0, size=2)
    places = [rng.random(2)]
    for candidate in rng.random((rng.integers(6), 2)):
        apart = np.array(places) - candidate
        if np.linalg.norm((apart - np.rint(apart)) * cell, axis=1).min() > 1.0:
            places.append(candidate)
    elements = rng.choice(list(ATOMIC_NUMBER), size=len(places))
    sites = [(float(y), float(x), str(el)) for (y, x), el in zip(places, elements, strict=True)]
    return Crystal("invented", "invented", (float(cell[0]), float(cell[1])), tuple(sites))
