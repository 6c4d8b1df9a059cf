"""Figures of a reconstruction, on reconstructions whose figures are known."""

import numpy as np
import pytest

from reucid_core.training.scores import defect_contrast, metrics_of, ssim
from tests.core.strategies import blob_lattice

PLACE = (30.0, 40.0)
PRISTINE = blob_lattice((64, 72), period=10, sigma=2)
DEFECT = np.zeros_like(PRISTINE)
DEFECT[27:34, 37:44] = np.outer(np.hanning(7), np.hanning(7))
TRUTH = PRISTINE + DEFECT


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0, 1.2])
def test_defect_contrast_is_the_share_that_is_left(share: float) -> None:
    restored = PRISTINE + share * DEFECT
    assert defect_contrast(restored, TRUTH, PRISTINE, PLACE) == pytest.approx(share)


def test_a_place_without_a_defect_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a defect"):
        defect_contrast(TRUTH, TRUTH, PRISTINE, (5.0, 5.0))
    with pytest.raises(ValueError, match="without `pristine`"):
        metrics_of(TRUTH, TRUTH, TRUTH, defects=[PLACE])


def test_all_figures_of_a_known_reconstruction() -> None:
    pytest.importorskip("skimage")
    noise = np.random.default_rng(0).normal(0, 0.2, TRUTH.shape)
    figures = metrics_of(TRUTH + noise / 10, TRUTH + noise, TRUTH, PRISTINE, [PLACE])
    assert figures["ief"] == pytest.approx(100)
    assert figures["whiteness"] < 1
    assert figures["lattice_peak"] < 1
    assert figures["defect_contrast"] == pytest.approx(1, abs=0.05)
    blurred = metrics_of(PRISTINE * 0.5 + 0.5, TRUTH + noise, TRUTH)
    assert blurred["lattice_peak"] > 1
    assert "defect_contrast" not in blurred


def test_ssim_of_an_image_with_itself_is_one() -> None:
    pytest.importorskip("skimage")
    assert ssim(TRUTH, TRUTH) == pytest.approx(1)
