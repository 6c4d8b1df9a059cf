"""The stabilising transform, and every rival that is installed."""

import numpy as np
import pytest

from reucid_core.metrics import psnr
from reucid_core.training.judging import rivals
from reucid_core.training.judging.rivals import Noise, stabilise, unstabilise
from tests.support.strategies import blob_lattice

NOISE = Noise(gain=0.1, read=0.03, offset=1.5)


def noisy(truth: np.ndarray, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    counts = rng.poisson((truth - NOISE.offset) / NOISE.gain)
    return np.asarray(NOISE.offset + NOISE.gain * counts + rng.normal(0, NOISE.read, truth.shape))


@pytest.mark.parametrize("counts", [5.0, 20.0, 200.0])
def test_stabilised_noise_has_unit_deviation_and_its_mean_leads_back(counts: float) -> None:
    level = NOISE.offset + NOISE.gain * counts
    stabilised = stabilise(noisy(np.full((400, 500), level)), NOISE)
    assert stabilised.std() == pytest.approx(1, abs=0.05)
    found = float(unstabilise(np.array([stabilised.mean()]), NOISE)[0])
    assert found - NOISE.offset == pytest.approx(NOISE.gain * counts, rel=0.01)


def test_without_a_gain_the_noise_is_scaled_alone() -> None:
    noise = Noise(gain=0.0, read=3.0, offset=7.0)
    image = np.array([[1.0, 7.0, 13.0]])
    np.testing.assert_allclose(stabilise(image, noise), [[-2.0, 0.0, 2.0]])
    np.testing.assert_allclose(unstabilise(stabilise(image, noise), noise), image)


@pytest.mark.parametrize("rival", rivals.RIVALS, ids=lambda rival: rival.name)
def test_rivals_denoise_in_the_units_of_the_image(rival: rivals.Rival) -> None:
    if not rival.installed:
        pytest.skip(f"{rival.module} is not installed")
    truth = NOISE.offset + blob_lattice((64, 64), period=12, sigma=2.5)
    image = noisy(truth)
    before = image.copy()
    restored = rival(image, NOISE, 11)
    np.testing.assert_array_equal(image, before)
    assert restored.shape == truth.shape
    assert psnr(restored, truth) > psnr(image, truth)


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "find_spec", lambda module: None if module == "bm3d" else module)
    installed, missing = rivals.available()
    assert missing == {"BM3D + Anscombe": "bm3d"}
    assert len(installed) == len(rivals.RIVALS) - 1
