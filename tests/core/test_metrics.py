"""Quality with the truth and without it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from reucid_core.metrics import ief, lattice_peak, psnr, whiteness
from tests.support.strategies import blob_lattice, seeds


def white(seed: int, shape: tuple[int, int] = (96, 128)) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_white_noise_stays_within_its_bounds() -> None:
    alarms = [not whiteness(white(seed)).is_white for seed in range(100)]
    assert sum(alarms) <= 5  # 1 in 100 expected
    alarms = [lattice_peak(white(seed)).stands_out for seed in range(100)]
    assert sum(alarms) <= 5


@pytest.mark.parametrize(
    "residual",
    [
        gaussian_filter(white(0), 0.7),
        white(0) + blob_lattice((96, 128), period=12, sigma=2),
        white(0) + white(1, (96, 1)),  # every row has its own offset: scan noise
    ],
)
def test_a_residual_with_structure_is_not_white(residual: np.ndarray) -> None:
    found = whiteness(residual)
    assert not found.is_white
    assert found.largest > found.bound


def test_the_lag_of_the_strongest_correlation_is_told() -> None:
    noise = white(2)
    found = whiteness(noise + 0.6 * np.roll(noise, (-3, 5), (0, 1)))
    assert found.lag in {(-3, 5), (3, -5)}


@given(st.floats(4, 16), st.floats(-80, 80), seeds)
def test_a_planted_lattice_is_found(period: float, direction: float, seed: int) -> None:
    y, x = np.indices((96, 128))
    angle = np.radians(direction)
    wave = np.cos(2 * np.pi * (np.cos(angle) * x + np.sin(angle) * y) / period)
    found = lattice_peak(white(seed) + wave)
    assert found.stands_out
    assert found.period == pytest.approx(period, rel=0.15)
    assert (found.direction - direction + 90) % 180 - 90 == pytest.approx(0, abs=15)


@given(seeds, st.floats(0.01, 1))
def test_psnr_of_noise_of_known_power(seed: int, sigma: float) -> None:
    truth = white(seed)
    error = sigma * np.where(white(seed + 1) > 0, 1, -1)
    expected = 20 * np.log10(np.ptp(truth) / sigma)
    assert psnr(truth + error, truth) == pytest.approx(expected)


@given(seeds, st.floats(0.1, 10))
def test_ief_is_the_ratio_of_squared_errors(seed: int, share: float) -> None:
    truth, noise = white(seed), white(seed + 1)
    assert ief(truth + noise, truth + share * noise, truth) == pytest.approx(share**-2)
