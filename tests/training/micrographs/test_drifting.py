"""Frames of a specimen that drifts."""

import numpy as np
import pytest

from reucid_core.training.micrographs.drifting import ROOM, Drifting
from reucid_core.training.micrographs.scan_spectra import ScanSpectrum

SHAPE = (64, 72)


def test_a_frame_depends_on_its_number_and_the_seed_alone() -> None:
    scene, same = Drifting(shape=SHAPE, seed=3), Drifting(shape=SHAPE, seed=3)
    np.testing.assert_array_equal(scene.counts(5), same.counts(5))
    assert (scene.counts(5) != scene.counts(6)).any()
    assert (scene.counts(5) != Drifting(shape=SHAPE, seed=4).counts(5)).any()


def test_it_drifts_by_whole_and_parts_of_pixels_and_comes_back() -> None:
    still = Drifting(shape=SHAPE, drift=(1.0, 2.0))
    first, third = still.truth(0), still.truth(3)
    np.testing.assert_allclose(third[:-3, :-6], first[3:, 6:], atol=1e-9)
    np.testing.assert_allclose(still.truth(ROOM * 2), first, atol=1e-9)
    halves = Drifting(shape=SHAPE, drift=(0.5, 0.0))
    np.testing.assert_allclose(halves.truth(2)[:-1], halves.truth(0)[1:], atol=1e-9)
    between = halves.truth(1)
    assert np.abs(between[:-1] - halves.truth(0)[1:]).max() > 0.01


@pytest.mark.parametrize("spectrum", [ScanSpectrum(), ScanSpectrum(decay=1.0, next_pixel=0.5)])
def test_its_noise_is_that_of_the_dose(spectrum: ScanSpectrum) -> None:
    scene = Drifting(shape=(128, 128), dose=500.0, spectrum=spectrum, read_noise=0.0)
    truth = scene.truth(1)
    noise = scene.noisy(1) - truth
    assert noise.var() == pytest.approx(truth.mean() / (500.0 * 0.2**2), rel=0.05)
    shown = scene.counts(1)
    assert shown.dtype == np.uint16
    np.testing.assert_allclose(shown, scene.in_counts(scene.noisy(1)), atol=0.5)
