import numpy as np
import pytest

from reucid_core.training.micrographs.crystals import CRYSTALS
from reucid_core.training.micrographs.micrograph import demonstration
from reucid_core.training.micrographs.simulate import (
    RowNoise,
    View,
    detect,
    expose,
    place_columns,
    scan,
    scattering,
    simulate,
    with_defect,
    with_dopants,
    with_vacancies,
)


@pytest.mark.parametrize("name", CRYSTALS)
def test_truth_is_normalised_to_its_peak(name: str) -> None:
    truth = simulate(CRYSTALS[name], View(shape=(48, 40), sampling=0.25, background=0.2))
    assert truth.shape == (48, 40)
    assert truth.max() == pytest.approx(1.0)
    assert truth.min() >= 0.2 / 1.2 - 1e-12


@pytest.mark.parametrize("name", CRYSTALS)
def test_truth_repeats_with_the_cell(name: str) -> None:
    crystal = CRYSTALS[name]
    sampling = crystal.cell[1] / 16
    rows = round(crystal.cell[0] / sampling)
    view = View(shape=(2 * rows, 48), sampling=sampling, shift=(0.3, 0.7))
    truth = simulate(crystal, view)
    np.testing.assert_allclose(truth[:, 16:], truth[:, :-16], atol=1e-5)


def test_flux_is_that_of_the_columns_in_view() -> None:
    crystal = CRYSTALS["SrTiO3[100]"]
    view = View(shape=(160, 160), sampling=3.905 / 20)  # eight cells each way
    columns = place_columns(crystal, view)
    truth = expose(columns, view)
    strontium = truth[0, 0]  # of its own column; the probe's reach is far below the distance
    sigma_px = view.sigma / view.sampling
    weight = (scattering("Sr") + scattering("Ti") + 3 * scattering("O")) / scattering("Sr")
    expected = strontium * 64 * weight * 2 * np.pi * sigma_px**2
    assert truth.sum() == pytest.approx(expected, rel=1e-3)


def test_half_a_pixel_moves_the_image_by_half_a_pixel() -> None:
    crystal = CRYSTALS["MgO[100]"]
    fine = View(shape=(64, 64), sampling=0.1)
    coarse = View(shape=(32, 32), sampling=0.2)
    columns = place_columns(crystal, fine)
    expected = expose(columns, fine)[::2, ::2]
    np.testing.assert_allclose(expose(columns, coarse), expected / expected.max(), atol=1e-12)


def test_rotation_by_a_right_angle_turns_the_image() -> None:
    crystal = CRYSTALS["GaN[11-20]"]
    upright = View(shape=(65, 65), sampling=0.2)
    turned = View(shape=(65, 65), sampling=0.2, rotation=90)
    # The centre of rotation is half a pixel off the centre of the grid: compare spectra.
    spectrum = np.abs(np.fft.fft2(simulate(crystal, upright)))
    rotated = np.abs(np.fft.fft2(np.rot90(simulate(crystal, turned))))
    assert np.corrcoef(spectrum.ravel(), rotated.ravel())[0, 1] > 0.99


def test_thickness_ramp_ends_the_crystal() -> None:
    view = View(shape=(64, 128), sampling=0.2, ramp=4.0)
    truth = simulate(CRYSTALS["Si[110]"], view)
    assert truth[:, :24].max() < 1e-3 < truth[:, 64:].mean()


def test_defects_change_only_the_columns_they_mean() -> None:
    view = View(shape=(32, 32), sampling=0.2)
    columns = place_columns(CRYSTALS["Si[110]"], view)
    place = (float(columns.positions[5, 0]) + 0.1, float(columns.positions[5, 1]))
    changed = with_defect(columns, place, gain=0.0).weights != columns.weights
    assert np.flatnonzero(changed).tolist() == [5]
    rng = np.random.default_rng(0)
    assert (with_vacancies(columns, 1.0, rng=rng).weights == 0).all()
    np.testing.assert_array_equal(
        with_dopants(columns, 1.0, gain=2.0, rng=rng).weights, 2 * columns.weights
    )


def test_noise_has_the_mean_and_variance_of_its_dose() -> None:
    truth = np.full((400, 400), 0.5)
    noisy = detect(truth, dose=250, sampling=0.2, rng=np.random.default_rng(1))
    electrons = 250 * 0.2**2
    assert noisy.mean() == pytest.approx(0.5, rel=5e-3)
    assert noisy.var() == pytest.approx(0.5 / electrons + 0.05**2, rel=2e-2)


def test_rows_are_displaced_before_counting_and_offset_after_it() -> None:
    truth = np.tile(np.r_[np.zeros(20), np.ones(20)], (3000, 1))
    rows = RowNoise(offset=0.1, jitter=0.5)
    displaced, offsets = scan(truth, rows, rng=np.random.default_rng(0))
    assert displaced.min() == 0
    assert displaced[:, 10].max() < 0.01
    assert offsets.shape == (3000, 1)
    assert offsets.std() == pytest.approx(0.1, rel=0.05)
    edge = 20 - displaced[:, 15:25].sum(axis=1)
    assert edge.std() == pytest.approx(0.5, rel=0.1)
    unchanged, none = scan(truth, RowNoise(), rng=np.random.default_rng(0))
    assert np.array_equal(unchanged, truth)
    assert not none.any()


def test_demonstration_is_one_and_the_same() -> None:
    noisy, truth = demonstration()
    again, _ = demonstration()
    np.testing.assert_array_equal(noisy, again)
    assert (noisy.dtype, truth.dtype) == (np.uint16, np.float32)
    assert 0 < noisy.min() < noisy.max() < np.iinfo(np.uint16).max
    assert noisy.mean() == pytest.approx(truth.mean(), rel=1e-2)
