"""What the tables of docs/evaluation.md are measured with."""

import numpy as np
import pytest

from reucid_core.training.judging.column_fits import measure, precision
from reucid_core.training.judging.methods import METHODS
from reucid_core.training.judging.scenes import (
    DISTORTIONS,
    SPECTRA,
    defective,
    dimmed,
    distorted,
    perfect,
    uneven,
)
from reucid_core.training.micrographs.defects import DEFECTS


@pytest.mark.parametrize("kind", DEFECTS)
def test_the_truth_has_all_of_a_defect_and_the_crystal_without_it_none(kind: str) -> None:
    scene = defective("SrTiO3[100]", kind)
    assert scene.contrast(scene.truth) == pytest.approx(1)
    assert scene.contrast(scene.pristine) == 0
    assert scene.contrast(scene.truth + 5, scene.pristine + 5) == pytest.approx(1)
    worse = scene.truth + 0.1 * scene.near
    assert scene.psnr_near(worse) == pytest.approx(20 + 20 * np.log10(np.ptp(scene.truth)))


def test_what_is_seen_has_the_stated_noise_and_repeats() -> None:
    scene = dimmed("Si[110]")
    one, told = scene.seen(1000, SPECTRA["decay"], (1, 2))
    again, _ = scene.seen(1000, SPECTRA["decay"], (1, 2))
    np.testing.assert_array_equal(one, again)
    expected = told.noise.gain * scene.truth.mean() + told.noise.read**2
    assert (one - scene.truth).var() == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("how", DISTORTIONS)
def test_a_distorted_crystal_is_another(how: str) -> None:
    plain, scene = (distorted("SrTiO3[100]", each).truth for each in ("none", how))
    assert (np.abs(plain - scene).max() > 0.1) == (how != "none")


def test_a_perfect_crystal_is_turned_by_its_seed() -> None:
    one, other = (perfect("MgO[100]", seed) for seed in (1, 2))
    assert one.truth.max() == pytest.approx(1)
    assert np.abs(one.truth - other.truth).max() > 0.1


def test_columns_are_found_where_they_were_put() -> None:
    ideal, scene = uneven("SrTiO3[100]", 1)
    found = measure(scene.truth, ideal.columns, ideal.view)
    # 10 % and 8 pm of the columns; a fit of one step underestimates, alike in any image.
    assert found.intensities.std() / found.intensities.mean() == pytest.approx(0.10, abs=0.03)
    assert found.positions.std() == pytest.approx(0.08, abs=0.02)
    flat = measure(scene.pristine, ideal.columns, ideal.view)
    assert flat.positions.std() < 0.02


def test_precision_tells_spread_from_bias() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(10, 1, 2000)
    shrunk = true.mean() + 0.6 * (true - true.mean())
    found = precision(shrunk + rng.normal(0, 0.5, (6, 2000)), true)
    assert found.left == pytest.approx(0.6, abs=0.03)
    assert found.spread == pytest.approx(0.5, rel=0.05)
    assert found.bias == pytest.approx(0.4, rel=0.05)
    assert found.error == pytest.approx(np.hypot(found.spread, found.bias))


def test_bm3d_is_told_the_spectrum() -> None:
    pytest.importorskip("bm3d")
    scene = dimmed("Si[110]")
    image, told = scene.seen(500, SPECTRA["decay"], (3,))
    crop = np.s_[:64, :64]
    truth = scene.truth[crop]
    from dataclasses import replace

    restored = METHODS["BM3D, told the spectrum"](image[crop], replace(told, truth=truth))
    assert np.mean((restored - truth) ** 2) < 0.4 * np.mean((image[crop] - truth) ** 2)
