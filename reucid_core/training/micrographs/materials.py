"""The materials of the multislice fields: cells in space, thermal motion, optics, defects."""

from dataclasses import dataclass, field
from math import sqrt

from reucid_core.training.micrographs.crystals import CRYSTALS, Site
from reucid_core.training.micrographs.structures import Defect, Structure, structure_of

Atom = tuple[float, float, float, str]


@dataclass(frozen=True, kw_only=True)
class Optics:
    """An aberration-free probe, focused on the entrance surface, and an annular detector.

    Parameters
    ----------
    energy : float
        In eV.
    semiangle : float
        Of convergence, in mrad.
    detector : (float, float)
        Inner and outer angle in mrad.
    """

    energy: float = 200e3
    semiangle: float = 22.0
    detector: tuple[float, float] = (70.0, 150.0)


@dataclass(frozen=True, kw_only=True)
class Material:
    """A crystal to simulate.

    Parameters
    ----------
    name, family : str
        As in `crystals.CRYSTALS`, where it is there.
    cell : Structure
        One period along y, x and the beam.
    repeats : (int, int, int)
        Of the cell, in the box that is simulated; the third makes the thickness.
    slices : int
        Per cell along the beam.
    b_factors : dict
        8 pi^2 times the mean square displacement in A^2, by element, at room temperature.
    defects : tuple of Defect
    optics : Optics
    configurations : int
        Of the thermal displacements.
    """

    name: str
    family: str
    cell: Structure
    repeats: tuple[int, int, int]
    slices: int
    b_factors: dict[str, float]
    defects: tuple[Defect, ...]
    optics: Optics = field(default_factory=Optics)
    configurations: int = 2


def _sides(name: str, period: float) -> tuple[float, float, float]:
    return (*CRYSTALS[name].cell, period)


def _zincblende_110(name: str, first: str, second: str) -> Structure:
    height, width = CRYSTALS[name].cell
    atoms: tuple[Atom, ...] = (
        (0, 0, 1 / 4, first),
        (1 / 2, 1 / 2, 3 / 4, first),
        (1 / 4, 0, 3 / 4, second),
        (3 / 4, 1 / 2, 1 / 4, second),
    )
    return structure_of(atoms, (height, width, width))


def _fluorite_110(name: str, cation: str, anion: str) -> Structure:
    height, width = CRYSTALS[name].cell
    atoms: tuple[Atom, ...] = (
        (0, 0, 1 / 4, cation),
        (1 / 2, 1 / 2, 3 / 4, cation),
        *((y, 0.0, 3 / 4, anion) for y in (1 / 4, 3 / 4)),
        *((y, 1 / 2, 1 / 4, anion) for y in (1 / 4, 3 / 4)),
    )
    return structure_of(atoms, (height, width, width))


def _fcc_110(a: float, element: str) -> Structure:
    atoms: tuple[Atom, ...] = ((0, 0, 1 / 4, element), (1 / 2, 1 / 2, 3 / 4, element))
    return structure_of(atoms, (a, a / sqrt(2), a / sqrt(2)))


def _rocksalt_100(a: float, cation: str, anion: str) -> Structure:
    half = (0.0, 0.5)
    atoms = tuple(
        (y, x, z + 1 / 4, cation if (2 * (x + y + z)) % 2 == 0 else anion)
        for y in half
        for x in half
        for z in half
    )
    return structure_of(atoms, (a, a, a))


def _wurtzite_1120(a: float, c: float, u: float, cation: str, anion: str) -> Structure:
    """[0001] upwards, on the orthohexagonal cell: twice the period of the projection."""
    places = (
        (0.0, 1 / 3, 1 / 4),
        (0.0, 5 / 6, 3 / 4),
        (1 / 2, 1 / 6, 3 / 4),
        (1 / 2, 2 / 3, 1 / 4),
    )
    atoms = tuple(
        (y + lift, x, z, element)
        for lift, element in ((0.0, cation), (u, anion))
        for y, x, z in places
    )
    return structure_of(atoms, (c, a * sqrt(3), a))


def _perovskite_100(a: float, c: float, lifts: tuple[float, float, float], large: str) -> Structure:
    """[001] upwards; `lifts` of Ti, of the O along c from it, and of the O beside it, in c."""
    titanium, apical, equatorial = lifts
    atoms: tuple[Atom, ...] = (
        (0, 0, 1 / 4, large),
        (1 / 2 + titanium, 1 / 2, 3 / 4, "Ti"),
        (apical, 1 / 2, 3 / 4, "O"),
        (1 / 2 + equatorial, 0, 3 / 4, "O"),
        (1 / 2 + equatorial, 1 / 2, 1 / 4, "O"),
    )
    return structure_of(atoms, (c, a, a))


def _honeycomb(name: str, layers: dict[str, tuple[float, ...]], thickness: float) -> Structure:
    """A layer; z in angstrom of the atoms above one site, by `first` and `second`."""
    first, second = CRYSTALS[name].sites[0], CRYSTALS[name].sites[-1]
    corners = ((0.0, 0.0), (1 / 2, 1 / 2))
    atoms = tuple(
        (y + lift, x, z / thickness, element)
        for key, lift, element in (("first", 0.0, first[2]), ("second", 1 / 3, second[2]))
        for y, x in corners
        for z in layers[key]
    )
    return structure_of(atoms, _sides(name, thickness))


def _bronze_001(name: str, period: float) -> Structure:
    """Metal and the oxygen beside it in one plane; large cations and the other oxygen between.

    In the column of a metal the oxygen lies half a period away from it.
    """
    sites = CRYSTALS[name].sites
    columns = {site[:2] for site in sites if site[2] == "Ti"}

    def height(site: Site) -> float:
        beside = site[2] == "O" and site[:2] not in columns
        return 1 / 4 if site[2] == "Ti" or beside else 3 / 4

    atoms = tuple((site[0], site[1], height(site), site[2]) for site in sites)
    return structure_of(atoms, _sides(name, period))


def _taken(site: tuple[float, float]) -> tuple[Defect, Defect]:
    """The whole column, and half of it."""
    return Defect("empty", site), Defect("half", site, share=0.5)


# Lattice constants as in crystals.py; beyond those:
# PbTiO3       Nelmes, Kuhs, Solid State Commun. 54, 721 (1985), rounded
# Pt           a = 3.924, Arblaster, Platinum Metals Rev. 41, 12 (1997)
# bronze       c = 3.84, half the period of Ba(6-3x)Nd(8+2x)Ti18O54 along its short axis
# WSe2         the selenium 1.67 A above and below the tungsten: Schutte et al. (1987)
#
# B factors at room temperature in A^2, the mean of anisotropic ones; those marked * are rounded,
# or a usual size where no measured value is at hand:
# Si           Aldred, Hart, Proc. R. Soc. A 332, 239 (1973)
# GaAs         Stahn, Moehle, Pietsch, Acta Cryst. B54, 231 (1998)
# GaN          Schowalter, Rosenauer, Titantah, Lamoen, Acta Cryst. A65, 227 (2009)
# SrTiO3       Abramov et al., Acta Cryst. B51, 942 (1995)
# MgO *        as Sasaki, Fujino, Takeuchi, Proc. Jpn. Acad. B55, 43 (1979)
# CeO2 *       as Yashima, Kobayashi, Yasui, Solid State Ionics 177, 211 (2006)
# PbTiO3 *     as Nelmes, Kuhs (1985)
# WSe2 *       as Schutte et al. (1987)
# bronze *     as Jamieson et al. (1968); Nd smaller than Ba, by its bonds
# graphene *   0.06 A in its plane
# Pt           by Debye's model with a temperature of 240 K
_MATERIALS = (
    Material(
        name="Si[110]",
        family="dumbbells",
        cell=_zincblende_110("Si[110]", "Si", "Si"),
        repeats=(2, 3, 13),
        slices=2,
        b_factors={"Si": 0.461},
        defects=(
            *_taken((0, 0)),
            Defect("heavy", (0, 0), "Si", "Sb", 1 / 13),
            Defect("light", (0, 0), "Si", "C", 0.5),
        ),
    ),
    Material(
        name="SrTiO3[100]",
        family="perovskite",
        cell=_perovskite_100(3.905, 3.905, (0.0, 0.0, 0.0), "Sr"),
        repeats=(3, 3, 13),
        slices=2,
        b_factors={"Sr": 0.621, "Ti": 0.440, "O": 0.732},
        defects=(
            *_taken((0, 0)),
            Defect("heavy", (0, 0), "Sr", "La", 0.5),
            Defect("light", (0, 0), "Sr", "Ca", 0.5),
        ),
    ),
    Material(
        name="graphene",
        family="honeycomb",
        cell=_honeycomb("graphene", {"first": (1.0,), "second": (1.0,)}, 2.0),
        repeats=(3, 5, 1),
        slices=1,
        b_factors={"C": 0.28},
        defects=(
            Defect("empty", (0, 0)),
            Defect("heavy", (0, 0), "C", "Si"),
            Defect("light", (0, 0), "C", "B"),
        ),
        optics=Optics(energy=60e3, semiangle=32.0, detector=(80.0, 200.0)),
        configurations=6,
    ),
    Material(
        name="BaNdTiO[001]",
        family="bronze",
        cell=_bronze_001("BaNdTiO[001]", 3.84),
        repeats=(1, 1, 13),
        slices=2,
        b_factors={"Ba": 0.8, "Nd": 0.6, "Ti": 0.5, "O": 0.9},
        defects=(
            Defect("empty", (0, 0)),
            Defect("half", (1 / 2, 1 / 2), share=0.5),
            Defect("heavy", (0, 0), "Nd", "Bi", 0.5),
            Defect("light", (0.172, 0.672), "Ba", "Sr", 1.0),
        ),
        configurations=3,
    ),
    Material(
        name="MgO[100]",
        family="rocksalt",
        cell=_rocksalt_100(4.211, "Mg", "O"),
        repeats=(3, 3, 12),
        slices=2,
        b_factors={"Mg": 0.31, "O": 0.34},
        defects=(
            Defect("empty", (0, 0)),
            Defect("half", (0, 0), "Mg", None, 0.75),  # half of the column's weight
            Defect("heavy", (0, 0), "Mg", "Ni", 0.25),
            Defect("light", (0, 0), "Mg", "Li", 0.75),
        ),
    ),
    Material(
        name="CeO2[110]",
        family="fluorite",
        cell=_fluorite_110("CeO2[110]", "Ce", "O"),
        repeats=(2, 3, 13),
        slices=2,
        b_factors={"Ce": 0.27, "O": 0.45},
        defects=(
            *_taken((0, 0)),
            Defect("heavy", (0, 0), "Ce", "U", 0.5),
            Defect("light", (0, 0), "Ce", "Zr", 0.5),
        ),
    ),
    Material(
        name="GaN[11-20]",
        family="wurtzite",
        cell=_wurtzite_1120(3.189, 5.185, 0.375, "Ga", "N"),
        repeats=(2, 2, 16),
        slices=2,
        b_factors={"Ga": 0.266, "N": 0.295},
        defects=(
            *_taken((0, 1 / 3)),
            Defect("heavy", (0, 1 / 3), "Ga", "In", 0.5),
            Defect("light", (0, 1 / 3), "Ga", "Al", 0.5),
        ),
    ),
    Material(
        name="GaAs[110]",
        family="dumbbells",
        cell=_zincblende_110("GaAs[110]", "Ga", "As"),
        repeats=(2, 3, 13),
        slices=2,
        b_factors={"Ga": 0.666, "As": 0.566},
        defects=(
            *_taken((0, 0)),
            Defect("heavy", (0, 0), "Ga", "In", 0.5),
            Defect("light", (0, 0), "Ga", "Al", 0.5),
        ),
    ),
    Material(
        name="WSe2[0001]",
        family="honeycomb",
        cell=_honeycomb("WSe2[0001]", {"first": (2.5,), "second": (0.83, 4.17)}, 5.0),
        repeats=(2, 4, 1),
        slices=3,
        b_factors={"W": 0.3, "Se": 0.45},
        defects=(
            Defect("empty", (0, 0)),
            Defect("half", (1 / 3, 0), "Se", None, 0.5),
            Defect("heavy", (1 / 3, 0), "Se", "Te", 0.5),
            Defect("light", (0, 0), "W", "Mo"),
        ),
        optics=Optics(energy=80e3, semiangle=28.0, detector=(70.0, 180.0)),
        configurations=6,
    ),
    Material(
        name="PbTiO3[100]",
        family="perovskite",
        cell=_perovskite_100(3.902, 4.156, (0.0377, 0.1118, 0.1174), "Pb"),
        repeats=(3, 3, 13),
        slices=2,
        b_factors={"Pb": 0.9, "Ti": 0.5, "O": 0.7},
        defects=(
            *_taken((0, 0)),
            Defect("heavy", (0.5377, 0.5), "Ti", "Nb", 0.5),
            Defect("light", (0, 0), "Pb", "Sr", 0.5),
        ),
    ),
    Material(
        name="Pt[110]",
        family="fluorite",  # in projection, its atoms lie as the cations of CeO2[110] do
        cell=_fcc_110(3.924, "Pt"),
        repeats=(3, 4, 10),
        slices=2,
        b_factors={"Pt": 0.305, "C": 1.0},
        defects=(
            *_taken((0, 0)),
            Defect("light", (0, 0), "Pt", "Co", 0.5),
        ),
    ),
)

PBTIO3_REVERSED = _perovskite_100(3.902, 4.156, (-0.0377, -0.1118, -0.1174), "Pb")
MATERIALS = {material.name: material for material in _MATERIALS}
