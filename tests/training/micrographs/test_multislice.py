import numpy as np
import pytest

from reucid_core.training.micrographs import interfaces
from reucid_core.training.micrographs.materials import MATERIALS
from reucid_core.training.micrographs.structures import (
    Structure,
    changed_atoms,
    column,
    displaced,
    rms_displacement,
    tiled,
    with_atoms,
)


def nearest_distances(structure: Structure) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    apart = structure.positions[:, None] - structure.positions
    apart[..., :2] -= np.rint(apart[..., :2] / structure.sides[:2]) * structure.sides[:2]
    distances = np.linalg.norm(apart, axis=-1)
    np.fill_diagonal(distances, np.inf)
    nearest: np.ndarray[tuple[int], np.dtype[np.float64]] = distances.min(axis=1)
    return nearest


def test_thermal_displacements_have_their_size() -> None:
    box = tiled(MATERIALS["SrTiO3[100]"].cell, (4, 4, 20))
    b_factors = MATERIALS["SrTiO3[100]"].b_factors
    moved = displaced(box, b_factors, rng=np.random.default_rng(0))
    apart = moved.positions - box.positions
    apart[:, :2] -= np.rint(apart[:, :2] / box.sides[:2]) * box.sides[:2]
    for element, b in b_factors.items():
        rms = apart[box.elements == element].std()
        assert rms == pytest.approx(rms_displacement(b), rel=0.1)
    assert (moved.positions >= 0).all()
    assert (moved.positions < box.sides).all()


def test_defects_take_atoms_of_one_column_evenly() -> None:
    material = MATERIALS["Si[110]"]
    box = tiled(material.cell, material.repeats)
    assert len(column(box, (0.0, 0.0))) == 13
    half = next(each for each in material.defects if each.name == "half")
    changed = changed_atoms(box, (0.0, 0.0), half)
    assert len(changed) == 6
    assert np.ptp(np.diff(box.positions[changed, 2])) < 1.1 * material.cell.sides[2]
    assert len(with_atoms(box, changed, None)) == len(box) - 6
    assert (with_atoms(box, changed, "Sb").elements == "Sb").sum() == 6


def test_a_twin_keeps_every_bond() -> None:
    distances = nearest_distances(interfaces.silicon_twin(2))
    np.testing.assert_allclose(distances, 5.431 * np.sqrt(3) / 4, rtol=1e-6)


def test_a_grain_boundary_has_no_atoms_in_each_other() -> None:
    boundary = interfaces.titanate_boundary(1)
    assert nearest_distances(boundary).min() > 1.3
    counts = {element: int((boundary.elements == element).sum()) for element in ("Sr", "Ti")}
    assert counts["Sr"] == counts["Ti"]


def test_amorphous_matter_has_its_density_and_keeps_its_distance() -> None:
    edge = interfaces.silicon_edge(2, rng=np.random.default_rng(1))
    volume = 2 / 5 * np.prod(edge.sides)
    added = len(edge) - 9 * 2 * 4
    assert added / volume == pytest.approx(0.049, rel=0.02)
    assert nearest_distances(edge).min() >= 2.2


def test_one_tiny_cell_by_multislice() -> None:
    pytest.importorskip("abtem")
    from reucid_core.training.micrographs.materials import Optics
    from reucid_core.training.micrographs.multislice import plan, scan

    cell = tiled(MATERIALS["SrTiO3[100]"].cell, (1, 1, 1))
    optics = Optics(detector=(50.0, 90.0))
    how = plan(cell, optics, slices=2)
    image = scan(cell, optics, how)
    assert image.shape == how.scan
    assert 0 < image.min() < image.max() < 0.1
    strontium, titanium = image[0, 0], image[how.scan[0] // 2, how.scan[1] // 2]
    assert strontium == image.max() > titanium > image[0, how.scan[1] // 2]
