"""Where an image departs from its lattice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reucid_core.departures import LocalVariance, find_departures, mask_of, runs_of
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


def test_false_alarms_are_as_rare_as_stated() -> None:
    """Each alarm is grown to 25 px or more, and neighbours raise theirs together."""
    shares = [
        find_departures(noise(seed), LATTICE, np.ones(SHAPE), patterns()).mean()
        for seed in range(8)
    ]
    assert np.mean(shares) < 0.01


@pytest.mark.parametrize("change", [-0.6, 0.6])
def test_a_column_that_is_dimmer_or_brighter_is_found_where_it_is(change: float) -> None:
    y, x = np.indices(SHAPE)
    column = np.exp(-((y - 100) ** 2 + (x - 100) ** 2) / 8)
    residual = noise(1) + change * 3 * column * 2
    mask = find_departures(residual, LATTICE, np.ones(SHAPE), patterns())
    assert mask[100, 100]
    assert mask.mean() < 0.01


def test_neither_input_is_changed() -> None:
    residual, template, variance = noise(2), LATTICE.copy(), np.ones(SHAPE)
    before = residual.copy()
    find_departures(residual, template, variance, patterns())
    LocalVariance.of(residual, template)
    np.testing.assert_array_equal(residual, before)
    np.testing.assert_array_equal(template, LATTICE)


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
