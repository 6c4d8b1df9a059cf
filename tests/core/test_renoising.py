"""What a denoising keeps of small changes in columns is measured, not claimed."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from reucid_core import DenoiseParams, ParameterError, denoise, denoise_frames
from reucid_core.eigenpatches import FloatArray
from reucid_core.noise import estimate_noise
from reucid_core.renoising import estimate_bias
from tests.support.strategies import blob_lattice

SHAPE = (160, 168)
TRUTH = 20 + 60 * blob_lattice(SHAPE, period=12, sigma=2.5)
NOISY = TRUTH + 4 * np.random.default_rng(3).normal(size=SHAPE)
NOISE = estimate_noise([NOISY])


def test_what_changes_nothing_keeps_everything() -> None:
    found = estimate_bias(TRUTH, NOISE, None, 1, lambda image: image)
    assert found is not None
    assert found.columns > 80
    assert found.intensity_kept == pytest.approx(1, abs=0.1)
    assert found.position_kept == pytest.approx(1, abs=0.15)


def test_what_always_draws_the_lattice_keeps_nothing() -> None:
    found = estimate_bias(TRUTH, NOISE, None, 1, lambda _: TRUTH)
    assert found is not None
    assert found.intensity_kept == pytest.approx(0, abs=1e-9)
    assert found.position_kept == pytest.approx(0, abs=1e-9)
    assert found.intensity_error == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_known_share_is_found(share: float) -> None:
    def drawn_towards_the_lattice(image: FloatArray) -> FloatArray:
        return share * gaussian_filter(image, 0.1) + (1 - share) * TRUTH

    found = estimate_bias(TRUTH, NOISE, None, 2, drawn_towards_the_lattice)
    assert found is not None
    assert found.intensity_kept == pytest.approx(share, abs=0.08)
    assert found.position_kept == pytest.approx(share, abs=0.12)


@pytest.mark.parametrize("method", ["two-scale", "paper"])
def test_it_is_told_if_it_is_asked_for(method: str) -> None:
    plain = denoise(NOISY, DenoiseParams(method=method))  # type: ignore[arg-type]
    asked = denoise(NOISY, DenoiseParams(method=method, bias=True))  # type: ignore[arg-type]
    np.testing.assert_array_equal(asked.image, plain.image)
    assert plain.report.assessment is not None
    assert plain.report.assessment.columns is None
    assert asked.report.assessment is not None
    found = asked.report.assessment.columns
    assert found is not None
    assert 0 < found.position_error < 1
    assert found.sentence in asked.report.verdict


def test_large_patches_gain_by_bias() -> None:
    """The paper's patches know of no neighbours, those of two scales learn from them."""
    kept = []
    for method in ("paper", "two-scale"):
        result = denoise(NOISY, DenoiseParams(method=method, bias=True))  # type: ignore[arg-type]
        assert result.report.assessment is not None
        assert result.report.assessment.columns is not None
        kept.append(result.report.assessment.columns.intensity_kept)
    assert kept[0] > 0.8
    assert kept[1] < kept[0] - 0.2


def test_of_few_columns_nothing_is_told() -> None:
    assert estimate_bias(TRUTH[:40, :40], estimate_noise([NOISY[:40, :40]]), None, 1, abs) is None


def test_of_joint_frames_it_is_refused() -> None:
    frames = np.stack([NOISY, NOISY])
    with pytest.raises(ParameterError, match="frame by frame"):
        next(denoise_frames(frames, DenoiseParams(bias=True), joint=True))
