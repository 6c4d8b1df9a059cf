"""Figures of a reconstruction, on reconstructions whose figures are known."""

import numpy as np
import pytest

from reucid_core.metrics import ssim
from reucid_core.training.judging.scores import contrast, defects_in, merit, row_step
from tests.support.strategies import blob_lattice

PRISTINE = blob_lattice((64, 72), period=10, sigma=2)
BUMP = np.outer(np.hanning(7), np.hanning(7))
CHANGE = np.zeros_like(PRISTINE)
CHANGE[27:34, 37:44] = BUMP
CHANGE[50:57, 10:17] = -0.8 * BUMP
TRUTH = PRISTINE + CHANGE


def test_defects_are_found_where_the_crystal_was_changed() -> None:
    found = defects_in(CHANGE)
    assert [each.place for each in found] == [(30, 40), (53, 13)]
    assert [np.sign(each.change.sum()) for each in found] == [1, -1]


def test_a_perfect_crystal_has_no_defects() -> None:
    assert defects_in(np.zeros_like(PRISTINE)) == []


def test_a_defect_cut_off_by_the_border_does_not_count() -> None:
    change = CHANGE.copy()
    change[-1:, 60:67] = BUMP[1:2]
    assert len(defects_in(change)) == 2


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0, 1.2])
def test_contrast_is_the_share_that_is_left(share: float) -> None:
    for defect in defects_in(CHANGE):
        assert contrast(share * CHANGE, defect) == pytest.approx(share)


def test_all_figures_of_a_known_reconstruction() -> None:
    noise = np.random.default_rng(0).normal(0, 0.2, TRUTH.shape)
    defects = defects_in(CHANGE)
    restored, noisy = TRUTH + noise / 10, TRUTH + noise
    found = merit(restored, noisy, TRUTH, difference=CHANGE / 2, defects=defects)
    assert found.ief == pytest.approx(100)
    assert found.psnr == pytest.approx(10 * np.log10(np.ptp(TRUTH) ** 2 / np.mean(noise**2)) + 20)
    assert found.whiteness < 1
    assert found.contrast == pytest.approx(0.5)
    blurred = merit(PRISTINE * 0.5 + 0.5, noisy, TRUTH, difference=CHANGE, defects=[])
    assert blurred.whiteness > 1
    assert np.isnan(blurred.contrast)


def test_what_is_not_denoised_has_no_residual_to_judge() -> None:
    assert np.isnan(merit(TRUTH, TRUTH, PRISTINE, difference=CHANGE, defects=[]).whiteness)


def test_ssim_of_an_image_with_itself_is_one() -> None:
    assert ssim(TRUTH, TRUTH) == pytest.approx(1)


def test_streaks_are_steps_between_rows() -> None:
    streaks = np.random.default_rng(0).normal(0, 3, (400, 1))
    assert row_step(streaks + np.zeros((1, 50))) == pytest.approx(3 * np.sqrt(2), rel=0.1)
    assert row_step(np.ones((5, 1)) * np.arange(7.0)) == 0
