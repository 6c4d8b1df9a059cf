"""What a result says of itself."""

import numpy as np
import pytest

from reucid_core import DenoiseParams, denoise
from reucid_core.assessment import Assessment, structure_in
from tests.support.strategies import blob_lattice

SHAPE = (160, 160)


def white(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=SHAPE)


def test_false_alarms_in_white_residuals_are_rare() -> None:
    alarms = [height > bound for height, bound in map(structure_in, map(white, range(60)))]
    assert sum(alarms) <= 2  # 0.6 expected; more than 2 once in 40


def test_a_lattice_that_is_left_in_the_residual_is_seen() -> None:
    height, bound = structure_in(white(1) + blob_lattice(SHAPE, period=11, sigma=2.5))
    assert height > 1.5 * bound


@pytest.mark.parametrize("residual", [np.zeros(SHAPE), np.full(SHAPE, 5.0), np.zeros((3, 3))])
def test_of_nothing_there_is_no_structure(residual: np.ndarray) -> None:
    height, bound = structure_in(residual)
    assert 0 <= height < bound


@pytest.mark.parametrize(
    ("removed", "structure", "suspicious", "said"),
    [
        (0.91, 5.0, False, "91 % of the noise is gone"),
        (0.91, 30.0, True, "holds structure that repeats"),
        (0.2, 5.0, True, "hardly any noise"),
    ],
)
def test_it_says_in_words_what_is_wrong(
    removed: float, structure: float, suspicious: bool, said: str
) -> None:
    assessment = Assessment(removed, 10.0, structure, 20.0)
    assert assessment.suspicious is suspicious
    assert any(said in sentence for sentence in assessment.sentences)


@pytest.mark.parametrize("next_pixel", [0.0, 0.5])
def test_the_estimated_gain_is_near_the_true_one(next_pixel: float) -> None:
    """The noise's power over what is left of it; the signal's own loss does not count."""
    truth = 20 + 30 * blob_lattice(SHAPE, period=11, sigma=2.5)
    noise = 4 * white(2)
    for column in range(1, SHAPE[1]):
        noise[:, column] = (
            next_pixel * noise[:, column - 1] + np.sqrt(1 - next_pixel**2) * noise[:, column]
        )
    result = denoise(truth + noise, DenoiseParams(method="two-scale"))
    assessment = result.report.assessment
    assert assessment is not None
    true = 10 * np.log10(np.mean(noise**2) / np.mean((result.image - truth) ** 2))
    assert assessment.gain == pytest.approx(true, abs=3)
    assert assessment.noise_removed > 0.9
    assert not assessment.suspicious
