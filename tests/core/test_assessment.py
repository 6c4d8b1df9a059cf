"""What a result says of itself."""

import numpy as np
import pytest

from reucid_core import DenoiseParams, denoise
from reucid_core.assessment import Assessment, Look, structure_in
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
        (0.2, 5.0, True, "hardly any could be told"),
    ],
)
def test_it_says_in_words_what_is_wrong(
    removed: float, structure: float, suspicious: bool, said: str
) -> None:
    assessment = Assessment(removed, 10.0, structure, 20.0)
    assert assessment.suspicious is suspicious
    assert any(said in sentence for sentence in assessment.sentences)
    assert (said in " ".join(assessment.doubts)) is suspicious
    assert assessment.sentences[: len(assessment.doubts)] == assessment.doubts
    assert len(set(assessment.sentences)) == len(assessment.sentences)


@pytest.mark.parametrize(("kept", "suspicious"), [(0.97, False), (0.4, True)])
def test_lost_detail_is_said(kept: float, suspicious: bool) -> None:
    assessment = Assessment(0.91, 10.0, 5.0, 20.0, finest=3.2, finest_kept=kept)
    assert assessment.suspicious is suspicious
    assert f"of 3.2 px, is kept to {100 * kept:.0f} %" in " ".join(assessment.sentences)


@pytest.mark.parametrize("kept", [0.3, 0.8, 1.0])
def test_the_finest_detail_is_measured(kept: float) -> None:
    """Two lattices: the finer one, 4 px, is let through in part."""
    _, columns = np.indices(SHAPE)
    coarse, fine = (np.cos(2 * np.pi * columns / period) for period in (16, 4))
    noise = white(3)
    look = Look.at(2 * coarse + kept * fine + 0.1 * noise, (1 - kept) * fine + 0.9 * noise)
    assert look.finest == pytest.approx(4, rel=0.02)
    assert look.finest_kept == pytest.approx(kept, abs=0.05)


def test_noise_alone_has_no_finest_detail() -> None:
    look = Look.at(0.1 * white(4), 0.9 * white(4))
    assert look.finest is None
    assert look.finest_kept is None


def test_parts_are_judged_by_their_worst() -> None:
    looks = [Look(5.0, 20.0, 4.0, 0.9), Look(30.0, 20.0, None, None), Look(6.0, 20.0, 3.0, 0.8)]
    together = Look.together(looks)
    assert together.structure == 30.0
    assert (together.finest, together.finest_kept) == (3.0, 0.8)
    assert 20.0 < together.bound < 30.0


def test_one_scale_is_assessed_too() -> None:
    """A lattice that is left in the residual, and noise of which hardly any is removed."""
    truth = 20 + 30 * blob_lattice(SHAPE, period=11, sigma=2.5)
    noisy = truth + 4 * white(5)
    little = denoise(noisy, DenoiseParams(method="paper", patch_size=5, threshold=0.0))
    assert little.report.assessment is not None
    assert "hardly any could be told from signal" in " ".join(little.report.warnings)
    most = denoise(noisy, DenoiseParams(method="paper", patch_size=41, threshold=1.0))
    assert "holds structure that repeats" in " ".join(most.report.warnings)


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
