"""Defects change what their names say, where they are, and nothing far away."""

import numpy as np
import pytest

from reucid_core.training.micrographs.crystals import CRYSTALS
from reucid_core.training.micrographs.defects import DEFECTS, POINT, STEP
from reucid_core.training.micrographs.simulate import View, place_columns

VIEW = View(shape=(256, 256), sampling=0.2, rotation=7.0)
CRYSTAL = CRYSTALS["GaAs[110]"]
PLACE = np.array([26.0, 24.0])
PERFECT = place_columns(CRYSTAL, VIEW)


@pytest.mark.parametrize("kind", POINT)
def test_a_point_defect_is_near_its_place(kind: str) -> None:
    changed = DEFECTS[kind](PERFECT, PLACE, CRYSTAL, VIEW)
    n = len(PERFECT.weights)
    np.testing.assert_array_equal(changed.positions[:n], PERFECT.positions)
    different = np.flatnonzero(changed.weights[:n] != PERFECT.weights)
    assert len(different) == {"antisite": 2, "interstitial": 0}.get(kind, 1)
    assert len(changed.weights) == n + (kind == "interstitial")
    places = [*PERFECT.positions[different], *changed.positions[n:]]
    assert all(np.linalg.norm(each - PLACE) < 7 for each in places)


def test_an_interstitial_is_not_on_a_column() -> None:
    changed = DEFECTS["interstitial"](PERFECT, PLACE, CRYSTAL, VIEW)
    assert np.linalg.norm(PERFECT.positions - changed.positions[-1], axis=1).min() > 1.2


def test_an_antisite_exchanges_weights() -> None:
    changed = DEFECTS["antisite"](PERFECT, PLACE, CRYSTAL, VIEW)
    np.testing.assert_allclose(np.sort(changed.weights), np.sort(PERFECT.weights))


def test_a_dislocation_closes_no_circuit() -> None:
    """Along a ring around it the displacement grows by the Burgers vector."""
    moved = DEFECTS["dislocation"](PERFECT, PLACE, CRYSTAL, VIEW)
    shifts = moved.positions - PERFECT.positions
    relative = PERFECT.positions - PLACE
    burgers = VIEW.deformation @ (0.0, CRYSTAL.cell[1])
    along = burgers / np.linalg.norm(burgers)
    normal = np.array([along[1], -along[0]])
    x, y = relative @ along, relative @ normal
    beyond = (x < -8) & (np.abs(y) < 4)  # where the cut is
    jump = shifts[beyond & (y > 0)].mean(axis=0) - shifts[beyond & (y < 0)].mean(axis=0)
    np.testing.assert_allclose(jump @ along, np.linalg.norm(burgers), rtol=0.15)


def test_a_step_is_thinner_on_one_side() -> None:
    changed = DEFECTS["step edge"](PERFECT, PLACE, CRYSTAL, VIEW)
    ratios = changed.weights / PERFECT.weights
    assert set(np.round(ratios, 6)) == {STEP, 1.0}
    assert 0.3 < np.mean(ratios == 1.0) < 0.7
