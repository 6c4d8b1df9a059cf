"""A residual of noise is expected, whatever its colour; one with a lattice is not."""

import numpy as np
import pytest

from reucid_core import DenoiseParams, denoise
from reucid_core.residuals import judge_residual
from tests.support.strategies import blob_lattice

SHAPE = (160, 168)
TRUTH = 20 + 30 * blob_lattice(SHAPE, period=11, sigma=2.5)


def noise(seed: int, next_pixel: float) -> np.ndarray:
    drawn = 4 * np.random.default_rng(seed).normal(size=SHAPE)
    for column in range(1, SHAPE[1]):
        drawn[:, column] *= np.sqrt(1 - next_pixel**2)
        drawn[:, column] += next_pixel * drawn[:, column - 1]
    return np.asarray(drawn)


@pytest.mark.parametrize("next_pixel", [0.0, 0.5])
@pytest.mark.parametrize("told", [False, True])
def test_noise_is_expected(next_pixel: float, told: bool) -> None:
    removed = noise(1, next_pixel)
    verdict = judge_residual(removed, TRUTH + removed if told else None)
    assert verdict.doubts == []
    correlated = "correlated along x" in verdict.expectation
    assert correlated == (next_pixel > 0)
    assert verdict.noise.next_pixel == pytest.approx(next_pixel, abs=0.1)


@pytest.mark.parametrize("next_pixel", [0.0, 0.5])
def test_the_residual_of_a_denoising_is_expected(next_pixel: float) -> None:
    noisy = TRUTH + noise(2, next_pixel)
    residual = denoise(noisy, DenoiseParams(method="two-scale")).residual
    assert judge_residual(residual, noisy).doubts == []


@pytest.mark.parametrize("next_pixel", [0.0, 0.5])
@pytest.mark.parametrize("told", [False, True])
def test_a_lattice_in_it_is_suspicious(next_pixel: float, told: bool) -> None:
    removed = noise(3, next_pixel)
    noisy = TRUTH + removed
    residual = removed + 0.3 * (TRUTH - TRUTH.mean())
    verdict = judge_residual(residual, noisy if told else None)
    assert "structure that repeats" in " ".join(verdict.doubts)


@pytest.mark.parametrize(("factor", "said"), [(0.4, "little of the noise"), (1.5, "more than")])
def test_how_much_of_the_noise_it_holds_is_judged(factor: float, said: str) -> None:
    removed = noise(4, 0.0)
    assert said in " ".join(judge_residual(factor * removed, TRUTH + removed).doubts)


def test_of_no_noise_nothing_is_expected() -> None:
    verdict = judge_residual(np.zeros(SHAPE))
    assert "no noise could be measured" in " ".join(verdict.doubts)
    assert verdict.look is None
