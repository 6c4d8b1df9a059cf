"""The noise of a scan as parts of a spectrum: made, measured, told apart."""

import numpy as np
import pytest

from reucid_core.noise import estimate_noise
from reucid_core.training.micrographs.crystals import CRYSTALS
from reucid_core.training.micrographs.drawing import draw_scanned
from reucid_core.training.micrographs.recipes import Recipe, micrograph
from reucid_core.training.micrographs.scan_spectra import WHITE, ScanSpectrum, draw_spectrum, fit
from reucid_core.training.micrographs.simulate import View

SPECTRA = [
    ScanSpectrum(decay=1.0, next_pixel=0.3),
    ScanSpectrum(decay=0.4, next_pixel=0.7),
    ScanSpectrum(streaks=0.2, length=40.0),
    ScanSpectrum(decay=0.4, next_pixel=0.6, streaks=0.08, length=100.0),
]


def white(
    seed: int, shape: tuple[int, int] = (512, 512)
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.random.default_rng(seed).normal(0, 3, shape)


@pytest.mark.parametrize("spectrum", [WHITE, *SPECTRA])
def test_the_shares_are_those_of_the_variance(spectrum: ScanSpectrum) -> None:
    assert spectrum.power(300).mean() == pytest.approx(1)
    assert spectrum.white + spectrum.decay + spectrum.streaks == pytest.approx(1)
    noise = spectrum.coloured(white(0), np.random.default_rng(1))
    assert noise.var() == pytest.approx(9, rel=0.05)
    across = np.mean(noise[1:] * noise[:-1]) / noise.var()
    assert abs(across) < 0.02


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_what_is_made_is_measured_and_told_apart(spectrum: ScanSpectrum) -> None:
    noise = spectrum.coloured(white(2), np.random.default_rng(3))
    found, misfit = fit(estimate_noise([noise], "x"))
    assert misfit < 0.1
    assert found.streaks == pytest.approx(spectrum.streaks, abs=0.04)
    # A weak decay and white noise look alike: their sum and the next pixel's correlation do not.
    true, measured = (one.power(512) for one in (spectrum, found))
    np.testing.assert_allclose(np.log(measured[1:]), np.log(true[1:]), atol=0.35)


def test_the_noise_of_counts_stays_where_the_counts_are() -> None:
    bright = np.where(np.arange(512) < 256, 10.0, 1.0)[None] * white(4)
    coloured = ScanSpectrum(decay=0.5, next_pixel=0.6).coloured(bright, np.random.default_rng(5))
    assert coloured[:, 20:240].std() > 8 * coloured[:, 280:].std()


def test_a_recipe_colours_its_noise_and_nothing_else() -> None:
    view = View(shape=(256, 256), sampling=0.2)
    plain = Recipe(specimen=CRYSTALS["Si[110]"], view=view, dose=1000, seed=3)
    spectrum = ScanSpectrum(decay=1.0, next_pixel=0.6)
    coloured = Recipe(specimen=CRYSTALS["Si[110]"], view=view, dose=1000, seed=3, spectrum=spectrum)
    one, other = micrograph(plain), micrograph(coloured)
    np.testing.assert_array_equal(one.specimen, other.specimen)
    noise = other.noisy - other.scanned
    correlation = np.mean(noise[:, 1:] * noise[:, :-1]) / noise.var()
    assert correlation == pytest.approx(0.6, abs=0.05)


def test_what_is_drawn_lies_within_what_real_files_have() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_spectrum(rng) for _ in range(400)]
    assert all(-1e-9 <= one.white <= 1 and one.streaks <= 0.1 for one in drawn)
    assert 0.05 < np.mean([one == WHITE for one in drawn]) < 0.15
    assert len({recipe.spectrum for recipe in draw_scanned(20, 0, seed=0)}) > 10
