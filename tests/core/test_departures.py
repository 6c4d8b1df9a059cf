"""Where an image departs from its lattice."""

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st

from reucid_core.departures import (
    SPOT,
    columns_of,
    find_departures,
    local_variance,
    mask_of,
    runs_of,
    spot_deviation,
)
from reucid_core.whitening import Whitening
from tests.support.strategies import blob_lattice, seeds, shapes

SHAPE = (200, 200)
LATTICE = 3 * blob_lattice(SHAPE, period=10, sigma=2)


def patterns() -> np.ndarray:
    """A spot, and its slopes, 9 px."""
    y, x = np.mgrid[-4:5, -4:5]
    spot = np.exp(-(y**2 + x**2) / 8)
    found = np.stack([spot, x * spot, y * spot])
    return np.asarray(found / np.linalg.norm(found, axis=(1, 2), keepdims=True))


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=SHAPE)


@given(shapes, st.floats(0, 1), seeds)
def test_runs_tell_the_map(shape: tuple[int, int], share: float, seed: int) -> None:
    mask = np.random.default_rng(seed).random(shape) < share
    runs = runs_of(mask)
    assert sum(runs) == mask.size
    assert all(length > 0 for length in runs[1:])
    np.testing.assert_array_equal(mask_of(runs, shape), mask)


@pytest.mark.parametrize("value", [False, True])
def test_runs_of_a_map_of_one_kind(value: bool) -> None:
    mask = np.full((3, 4), value)
    assert runs_of(mask) == ([0, 12] if value else [12])
    np.testing.assert_array_equal(mask_of(runs_of(mask), (3, 4)), mask)


def spot(y: float, x: float, sigma: float = 2) -> np.ndarray:
    rows, columns = np.indices(SHAPE)
    return np.asarray(np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2)))


def correlated(next_pixel: float) -> Whitening:
    """Of the noise that has this correlation with the next pixel along x."""
    angles = np.pi * np.arange(SHAPE[1]) / SHAPE[1]
    power = (1 - next_pixel**2) / (1 - 2 * next_pixel * np.cos(angles) + next_pixel**2)
    return Whitening(np.ones(1), 1 / np.sqrt(power))


@pytest.mark.parametrize("next_pixel", [0.0, 0.5])
def test_false_alarms_are_as_rare_as_stated(next_pixel: float) -> None:
    """One column in a hundred, and next to none between them."""
    whitening = correlated(next_pixel)
    columns = columns_of(LATTICE, SPOT)
    alarms = between = 0
    for seed in range(8):
        mask = find_departures(noise(seed), LATTICE, whitening, patterns())
        found, number = scipy.ndimage.label(mask)
        alarms += number
        between += number - len(np.unique(found[columns & mask]))
    assert 400 < np.count_nonzero(columns) <= 441
    assert alarms <= 1.5 * 0.01 * 8 * np.count_nonzero(columns)
    assert between <= 8


@pytest.mark.parametrize("next_pixel", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("sigma", [2.5, 4.0])
def test_deviations_of_noise_have_unit_variance(next_pixel: float, sigma: float) -> None:
    whitening = correlated(next_pixel)
    deviation = spot_deviation(noise(5), np.ones(SHAPE), whitening, sigma)[15:-15, 15:-15]
    assert deviation.std() == pytest.approx(1, abs=0.12)


def test_a_spot_is_weighed_as_the_best_linear_test_would() -> None:
    """Its deviation is the root of its energy in the whitened image."""
    whitening = correlated(0.5)
    change = whitening.whiten(0.3 * spot(100, 90, sigma=2.5))
    deviation = spot_deviation(change, np.ones(SHAPE), whitening, 2.5)
    assert deviation[100, 90] == pytest.approx(np.linalg.norm(change), rel=0.01)


@pytest.mark.parametrize("change", [-0.8, 0.8])
def test_a_column_that_is_dimmer_or_brighter_is_found_where_it_is(change: float) -> None:
    residual = noise(1) + change * 3 * spot(100, 100)
    mask = find_departures(residual, LATTICE, correlated(0), patterns())
    assert mask[100, 100]
    assert mask[104, 100]
    assert mask.mean() < 0.02


def test_a_column_is_found_that_between_columns_would_not_be() -> None:
    """Three standard errors are rare for a column and common for a pixel."""
    at, between = spot(100, 100, sigma=2.5), spot(105, 105, sigma=2.5)
    for place, expected in ((at, True), (between, False)):
        change = 3.3 * place / np.linalg.norm(place)
        mask = find_departures(change, LATTICE, correlated(0), patterns()[:1])
        assert mask.any() == expected


def test_neither_input_is_changed() -> None:
    residual, estimate = noise(2), LATTICE.copy()
    before = residual.copy()
    find_departures(residual, estimate, correlated(0.5), patterns())
    local_variance(residual, estimate)
    np.testing.assert_array_equal(residual, before)
    np.testing.assert_array_equal(estimate, LATTICE)


@pytest.mark.parametrize("estimate", [np.zeros(SHAPE), np.full(SHAPE, 7.0)])
def test_what_is_flat_has_no_columns(estimate: np.ndarray) -> None:
    assert not columns_of(estimate, SPOT).any()


def test_variance_by_intensity() -> None:
    """Counting noise: its variance is proportional to the intensity."""
    estimate = 1 + LATTICE
    expected = estimate / estimate.mean()
    found = local_variance(noise(3) * np.sqrt(expected), estimate)
    assert found.mean() == pytest.approx(1)
    middle = (estimate > np.quantile(estimate, 0.1)) & (estimate < np.quantile(estimate, 0.9))
    np.testing.assert_allclose(found[middle], expected[middle], rtol=0.15)


@pytest.mark.parametrize("estimate", [LATTICE, np.zeros(SHAPE), np.full(SHAPE, 7.0)])
def test_variance_of_noise_that_does_not_depend_on_it(estimate: np.ndarray) -> None:
    np.testing.assert_array_equal(local_variance(noise(4), estimate), np.ones(SHAPE))


def test_variance_of_no_residual_at_all() -> None:
    np.testing.assert_array_equal(local_variance(np.zeros(SHAPE), LATTICE), np.ones(SHAPE))
