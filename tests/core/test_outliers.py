"""Hot pixels are found, left out and named; atoms and low doses are left alone."""

import numpy as np
import pytest
from numpy.typing import NDArray

from reucid_core import DenoiseParams, Result, denoise
from reucid_core.metrics import psnr
from reucid_core.outliers import find_outliers
from reucid_core.replay import replay

SHAPE = (128, 120)
PLACES = [(30, 40), (31, 90), (77, 3), (0, 60), (127, 119)]
Image = NDArray[np.float32]


def lattice(dose: float = 30.0) -> tuple[Image, Image]:
    """A truth and counts of it."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    truth = dose * (1 + 0.6 * np.cos(2 * np.pi * rows / 9) * np.cos(2 * np.pi * columns / 11))
    counts = np.random.default_rng(5).poisson(truth)
    return truth.astype(np.float32), counts.astype(np.float32)


def two_scale(image: Image, **stated: object) -> Result:
    return denoise(image, DenoiseParams(method="two-scale", threads=1, **stated))  # type: ignore[arg-type]


@pytest.mark.parametrize("height", [300.0, 4000.0, 65535.0, 1e7, -5000.0])
def test_one_hot_pixel_changes_nothing_but_itself(height: float) -> None:
    _, clean = lattice()
    hot = clean.copy()
    hot[40, 50] = height
    result = two_scale(hot)
    assert result.report.outliers is not None
    assert (40, 50) in zip(*result.report.outliers.positions, strict=True)
    assert "(40, 50)" in " ".join(result.report.warnings)
    assert result.image[40, 50] == np.float32(height)
    expected = two_scale(clean).image
    away = np.ones(SHAPE, dtype=bool)
    away[40, 50] = False
    assert np.abs(result.image - expected)[away].max() < 0.1 * np.ptp(expected)


def test_several_are_found_and_repaired_where_that_is_wanted() -> None:
    truth, hot = lattice()
    for n, place in enumerate(PLACES):
        hot[place] += 2000 + 100 * n
    before = hot.copy()
    kept, repaired = two_scale(hot), two_scale(hot, outliers="repair")
    np.testing.assert_array_equal(hot, before)
    assert kept.report.outliers is not None
    assert set(PLACES) <= set(zip(*kept.report.outliers.positions, strict=True))
    for place in PLACES:
        assert kept.image[place] == hot[place]
        assert abs(repaired.image[place] - truth[place]) < 0.5 * np.ptp(truth)
    assert psnr(repaired.image, truth) > psnr(two_scale(lattice()[1]).image, truth) - 1


@pytest.mark.parametrize("outliers", ["keep", "repair"])
def test_a_result_with_outliers_is_replayed(outliers: str) -> None:
    _, hot = lattice()
    hot[PLACES[0]] = 9999
    result = two_scale(hot, outliers=outliers)
    again, _ = replay(hot, result.report, result.eigenpatches, threads=1)
    assert np.abs(again - result.image).max() <= 1e-6 * np.ptp(hot)


@pytest.mark.parametrize("dose", [0.3, 1.0, 5.0, 200.0])
def test_counts_without_outliers_have_next_to_none(dose: float) -> None:
    _, counts = lattice(dose)
    assert np.count_nonzero(find_outliers(counts)) <= 3


def test_atoms_of_some_pixels_are_none() -> None:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = np.random.default_rng(2).normal(10, 1, SHAPE)
    for y, x in PLACES[:3]:
        image += 300 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 1.2**2))
    found = find_outliers(image)
    assert not any(found[place] for place in PLACES[:3])


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_constant_images_have_none(value: float) -> None:
    assert not find_outliers(np.full((3, 5), value)).any()


@pytest.mark.parametrize("outliers", ["keep", "repair"])
def test_a_spike_where_no_noise_can_be_told_is_replayed(outliers: str) -> None:
    image = np.zeros((40, 44), dtype=np.float32)
    image[20, 21] = 1000
    result = two_scale(image, outliers=outliers)
    assert result.report.noise is not None
    assert result.report.noise.kind == "none"
    again, _ = replay(image, result.report, result.eigenpatches, threads=1)
    np.testing.assert_array_equal(again, result.image)
