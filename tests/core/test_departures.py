"""Where an image departs from its lattice."""

import numpy as np
import pytest
import scipy.ndimage
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

from reucid_core.departures import (
    SPOT,
    Columns,
    LocalVariance,
    error_of_spot,
    find_departures,
    least_deviation,
    mark,
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


COLUMNS = Columns.of(LATTICE, None)


def departures(
    residual: np.ndarray, whitening: Whitening, tested: np.ndarray | None = None
) -> np.ndarray:
    found = find_departures(
        residual,
        whitening.whiten(residual),
        LATTICE,
        np.ones(SHAPE),
        patterns() if tested is None else tested,
        COLUMNS,
        error_of_spot(whitening, SHAPE, SPOT),
    )
    where, mask = found.columns.copy(), found.sure.copy()
    where[where] = found.deviations >= least_deviation(found.deviations)
    mark(mask, np.nonzero(where), COLUMNS.reach)
    return mask


def deviation(residual: np.ndarray, whitening: Whitening, sigma: float) -> np.ndarray:
    error = error_of_spot(whitening, SHAPE, sigma)
    return spot_deviation(whitening.whiten(residual), np.ones(SHAPE), sigma, error)


@pytest.mark.parametrize("next_pixel", [0.0, 0.5])
def test_nothing_departs_where_there_is_noise_alone(next_pixel: float) -> None:
    """Of 441 columns, one in a hundred deviates as far as one that is found among many."""
    whitening = correlated(next_pixel)
    assert 400 < np.count_nonzero(COLUMNS.at(LATTICE)) <= 441
    masks = [departures(noise(seed), whitening) for seed in range(8)]
    assert sum(scipy.ndimage.label(mask)[1] for mask in masks) <= 8


@given(seeds, st.integers(1, 2000), st.floats(0, 1), st.floats(0, 8))
def test_few_of_the_columns_that_depart_are_noise(
    seed: int, number: int, share: float, signal: float
) -> None:
    rng = np.random.default_rng(seed)
    deviations = np.abs(rng.normal(size=number) + signal * (rng.random(number) < share))
    least = least_deviation(deviations)
    departing = np.count_nonzero(deviations >= least)
    assert departing == 0 or 2 * number * scipy.special.ndtr(-least) <= 0.3 * departing + 1e-9
    assert least >= 2.57  # one in a hundred by noise
    if signal == 0 or share == 0:
        assert departing <= 0.05 * number + 3


def test_the_bound_is_found_by_trying_all_of_them() -> None:
    rng = np.random.default_rng(3)
    deviations = np.abs(rng.normal(size=300) + 3 * (np.arange(300) < 12))
    passing = [
        each
        for each in deviations
        if 2 * 300 * scipy.special.ndtr(-each) <= 0.3 * np.count_nonzero(deviations >= each)
    ]
    assert least_deviation(deviations) == min(passing)


def test_no_column_departs_where_there_is_none() -> None:
    assert least_deviation(np.empty(0)) == np.inf


@pytest.mark.parametrize("next_pixel", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("sigma", [2.5, 4.0])
def test_deviations_of_noise_have_unit_variance(next_pixel: float, sigma: float) -> None:
    whitening = correlated(next_pixel)
    found = deviation(noise(5), whitening, sigma)[15:-15, 15:-15]
    assert found.std() == pytest.approx(1, abs=0.12)


def test_a_spot_is_weighed_as_the_best_linear_test_would() -> None:
    """Its deviation is the root of its energy in the whitened image."""
    whitening = correlated(0.5)
    change = whitening.whiten(0.3 * spot(100, 90, sigma=2.5))
    found = deviation(change, whitening, 2.5)
    assert found[100, 90] == pytest.approx(np.linalg.norm(change), rel=0.01)


@pytest.mark.parametrize("change", [-0.8, 0.8])
def test_a_column_that_is_dimmer_or_brighter_is_found_where_it_is(change: float) -> None:
    residual = noise(1) + change * 3 * spot(100, 100)
    mask = departures(residual, correlated(0))
    assert mask[100, 100]
    assert mask[104, 100]
    assert mask.mean() < 0.02


def test_a_column_is_found_that_between_columns_would_not_be() -> None:
    """Four standard errors are rare for a column and not for a pixel."""
    at, between = spot(100, 100, sigma=2.5), spot(105, 105, sigma=2.5)
    for place, expected in ((at, True), (between, False)):
        change = 4.0 * place / np.linalg.norm(place)
        mask = departures(change, correlated(0), patterns()[:1])
        assert mask.any() == expected


def test_neither_input_is_changed() -> None:
    residual, lattice = noise(2), LATTICE.copy()
    before = residual.copy()
    departures(residual, correlated(0.5))
    LocalVariance.of(residual, lattice)
    np.testing.assert_array_equal(residual, before)
    np.testing.assert_array_equal(lattice, LATTICE)


@pytest.mark.parametrize("estimate", [np.zeros(SHAPE), np.full(SHAPE, 7.0)])
def test_what_is_flat_has_no_columns(estimate: np.ndarray) -> None:
    assert not Columns.of(estimate, None).at(estimate).any()


def test_variance_by_intensity() -> None:
    """Counting noise: its variance is proportional to the intensity."""
    estimate = 1 + LATTICE
    expected = estimate / estimate.mean()
    found = LocalVariance.of(noise(3) * np.sqrt(expected), estimate).at(estimate)
    assert found.mean() == pytest.approx(1)
    middle = (estimate > np.quantile(estimate, 0.1)) & (estimate < np.quantile(estimate, 0.9))
    np.testing.assert_allclose(found[middle], expected[middle], rtol=0.15)


@pytest.mark.parametrize("estimate", [LATTICE, np.zeros(SHAPE), np.full(SHAPE, 7.0)])
def test_variance_of_noise_that_does_not_depend_on_it(estimate: np.ndarray) -> None:
    np.testing.assert_array_equal(LocalVariance.of(noise(4), estimate).at(estimate), 1)


def test_variance_of_no_residual_at_all() -> None:
    assert LocalVariance.of(np.zeros(SHAPE), LATTICE) == LocalVariance()
