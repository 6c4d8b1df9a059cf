"""What is not one crystal: a twin, a grain boundary, domains, amorphous matter, a particle.

None of it is relaxed. Every box repeats along y and x, so a boundary is there twice.
"""

from dataclasses import replace
from math import sqrt

import numpy as np

from reucid_core.training.micrographs.materials import MATERIALS, PBTIO3_REVERSED
from reucid_core.training.micrographs.structures import FloatArray, Structure, tiled

MERGED = {"Sr": 2.6, "Ti": 2.6, "O": 1.3}  # angstrom: closer mirror images are one atom
SILICON = (0.049, 2.2)  # amorphous: atoms per A^3, least distance in A; 2.29 g/cm^3
CARBON = (0.100, 1.4)  # 2.0 g/cm^3
PARTICLE_SIDE = 28.8  # of its field, in A
PARTICLE_RADII = (8.5, 9.6)  # from its centre to the facets {111} and {100}, in A


def silicon_twin(periods: int, layers: int = 4) -> Structure:
    """Two coherent sigma 3 boundaries {111} of silicon, seen along [110]; y runs along them.

    Parameters
    ----------
    periods : int
        Along the beam.
    layers : int
        Double layers {111} in each of the two grains.
    """
    a = MATERIALS["Si[110]"].cell.sides[0]
    spacing = a / sqrt(3)
    sides = (a * sqrt(6) / 2, 2 * layers * spacing, a / sqrt(2))
    # Each double layer is a third of a period beside the last one; the twin turns back.
    steps = [0, *[1] * layers, *[-1] * (layers - 1)]
    positions = [
        ((shift / 3 + half) % 1 * sides[0], (layer + height) * spacing, (half + 1 / 4) * sides[2])
        for layer, shift in enumerate(np.cumsum(steps))
        for half in (0.0, 0.5)
        for height in (0.0, 0.75)
    ]
    cell = Structure(np.full(len(positions), "Si"), np.array(positions), sides)
    return tiled(cell, (2, 1, periods))


def titanate_boundary(periods: int, planes: int = 12) -> Structure:
    """Two symmetric tilt boundaries, sigma 5 (310)[001], of SrTiO3; y runs along them.

    Atoms nearer to their mirror image than they can be are one atom on the boundary.

    Parameters
    ----------
    periods : int
        Along the beam.
    planes : int
        Planes (310) in each of the two grains.
    """
    cell = MATERIALS["SrTiO3[100]"].cell
    a = cell.sides[0]
    height, width = a * sqrt(10), planes * a / sqrt(10)
    block = tiled(cell, (2 * planes, 2 * planes, 1))
    y, x, z = (block.positions - (planes * a, planes * a, 0.0)).T
    along, across = (3 * y - x) / sqrt(10), (y + 3 * x) / sqrt(10)
    inside = (along > -1e-6) & (along < height - 1e-6) & (across > -1e-6) & (across < width + 1e-6)
    elements, grain = block.elements[inside], np.stack([along, across, z], axis=-1)[inside]

    nearest = np.array([MERGED[str(element)] for element in elements]) / 2
    grain[:, 1] = np.where(grain[:, 1] < nearest, 0.0, grain[:, 1])
    grain[:, 1] = np.where(grain[:, 1] > width - nearest, width, grain[:, 1])
    own = (grain[:, 1] > 0) & (grain[:, 1] < width)
    mirrored = grain[own] * (1, -1, 1) + (0, 2 * width, 0)
    both = Structure(
        np.concatenate([elements, elements[own]]),
        np.concatenate([grain, mirrored]),
        (height, 2 * width, a),
    )
    return tiled(both, (1, 1, periods))


def titanate_domains(periods: int) -> Structure:
    """Two walls between domains of PbTiO3 whose polarisation is up and down."""
    up = tiled(MATERIALS["PbTiO3[100]"].cell, (3, 3, periods))
    down = tiled(PBTIO3_REVERSED, (3, 3, periods))
    return Structure(
        np.concatenate([up.elements, down.elements]),
        np.concatenate([up.positions, np.add(down.positions, (0, up.sides[1], 0))]),
        (up.sides[0], 2 * up.sides[1], up.sides[2]),
    )


def silicon_edge(periods: int, *, rng: np.random.Generator) -> Structure:
    """A strip of amorphous silicon beside a crystal along [110]."""
    cell = MATERIALS["Si[110]"].cell
    crystal = tiled(cell, (3, 3, periods))
    sides = (5 * cell.sides[0], *crystal.sides[1:])
    box = replace(crystal, sides=sides)
    low, high = (crystal.sides[0], 0.0, 0.0), sides
    return with_amorphous(box, "Si", low, high, SILICON, rng=rng)


def particle(slice_thickness: float, n_slices: int, *, rng: np.random.Generator) -> Structure:
    """A faceted platinum particle along [110], on amorphous carbon beneath it."""
    cell = MATERIALS["Pt[110]"].cell
    block = tiled(cell, (7, 9, 9))
    centre = np.array([3, 4, 4]) * cell.sides + cell.positions[0]
    y, x, z = (block.positions - centre).T
    close, far = PARTICLE_RADII
    inside = np.all(
        [
            np.abs(y + sign * sqrt(2) * other) <= sqrt(3) * close
            for other in (x, z)
            for sign in (-1, 1)
        ]
        + [np.abs(y) <= far]
        + [np.abs(x + sign * z) <= sqrt(2) * far for sign in (-1, 1)],
        axis=0,
    )
    atoms = np.stack([y, x, z], axis=-1)[inside]
    # The topmost layer in the middle of the first slice; the field's middle off any symmetry.
    atoms += (PARTICLE_SIDE / 2, PARTICLE_SIDE / 2, slice_thickness / 2 - atoms[:, 2].min())
    bottom = float(atoms[:, 2].max())
    sides = (PARTICLE_SIDE, PARTICLE_SIDE, n_slices * slice_thickness)
    box = Structure(np.full(len(atoms), "Pt"), atoms, sides)
    return with_amorphous(box, "C", (0.0, 0.0, bottom + 1.5), sides, CARBON, rng=rng)


def with_amorphous(
    box: Structure,
    element: str,
    low: tuple[float, float, float],
    high: tuple[float, float, float],
    matter: tuple[float, float],
    *,
    rng: np.random.Generator,
) -> Structure:
    """Fill a part of a box with atoms at random, none of them too close to any other.

    The density and the least distance are right, further order is not.

    Parameters
    ----------
    box : Structure
    element : str
    low, high : (float, float, float)
        Corners of the part in angstrom.
    matter : (float, float)
        Atoms per cubic angstrom; least distance in angstrom.
    rng : numpy.random.Generator
    """
    density, apart = matter
    count = round(density * float(np.prod(np.subtract(high, low))))
    positions = np.concatenate([box.positions, np.empty((count, 3))])
    filled = len(box)
    while filled < len(positions):
        candidate = rng.uniform(low, high)
        if _distances(positions[:filled], candidate, box.sides).min(initial=np.inf) >= apart:
            positions[filled] = candidate
            filled += 1
    elements = np.concatenate([box.elements, np.full(count, element)])
    return Structure(elements, positions, box.sides)


def _distances(
    positions: FloatArray, place: FloatArray, sides: tuple[float, float, float]
) -> FloatArray:
    """In angstrom; the box repeats along y and x."""
    apart = positions - place
    apart[:, :2] -= np.rint(apart[:, :2] / sides[:2]) * sides[:2]
    distances: FloatArray = np.linalg.norm(apart, axis=1)
    return distances
