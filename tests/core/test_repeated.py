"""Repeated frames tell, without a truth, what a truth would."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from reucid_core.errors import ImageError
from reucid_core.repeated import Repeated, shifted
from tests.support.strategies import blob_lattice, seeds

SHAPE = (128, 120)
TRUTH = 20 + 30 * blob_lattice(SHAPE, period=13, sigma=3)
Float64 = NDArray[np.float64]


def frames_of(count: int, sigma: float, seed: int, next_pixel: float = 0.0) -> Float64:
    noise = sigma * np.random.default_rng(seed).normal(size=(count, *SHAPE))
    for column in range(1, SHAPE[1]):
        noise[..., column] *= np.sqrt(1 - next_pixel**2)
        noise[..., column] += next_pixel * noise[..., column - 1]
    return np.asarray(TRUTH + noise)


def true_score(images: list[Float64], peak: float) -> float:
    error = np.mean([np.mean((image - TRUTH) ** 2) for image in images])
    return float(10 * np.log10(peak**2 / error))


@pytest.mark.parametrize("count", [3, 4, 9])
@pytest.mark.parametrize("next_pixel", [0.0, 0.6])
@pytest.mark.parametrize("width", [0.0, 1.0, 4.0])
def test_the_score_is_that_against_the_truth(count: int, next_pixel: float, width: float) -> None:
    frames = frames_of(count, 6.0, count, next_pixel)
    repeated = Repeated.of(frames, align=False)
    images = [gaussian_filter(frame, width) for frame in frames]
    score = repeated.score(images)
    assert score.psnr is not None
    assert score.psnr == pytest.approx(true_score(images, repeated.peak), abs=0.3)
    assert repeated.noise == pytest.approx(6.0, rel=0.05)
    assert repeated.peak == pytest.approx(np.ptp(TRUTH), rel=0.2)


def test_of_the_noisy_frames_it_is_their_own_noise() -> None:
    frames = frames_of(5, 6.0, 1)
    repeated = Repeated.of(frames, align=False)
    score = repeated.score(list(frames))
    assert score.psnr == pytest.approx(20 * np.log10(repeated.peak / 6.0), abs=0.2)


def test_it_ranks_as_the_truth_does() -> None:
    frames = frames_of(6, 8.0, 2)
    repeated = Repeated.of(frames)
    widths = (0.5, 1.2, 2.5, 4.0)
    images = {width: [gaussian_filter(each, width) for each in frames] for width in widths}
    scores = [repeated.score(images[width]).psnr for width in widths]
    truths = [true_score(images[width], repeated.peak) for width in widths]
    assert int(np.argmax(np.array(scores, dtype=float))) == int(np.argmax(truths))


def test_what_is_nearer_than_the_frames_can_tell_has_no_number() -> None:
    frames = frames_of(3, 6.0, 11)
    scores = [
        Repeated.of(frames_of(3, 6.0, seed), align=False).score([TRUTH] * 3) for seed in range(12)
    ]
    assert any(score.psnr is None for score in scores)
    assert all(score.psnr is None or score.psnr > 30 for score in scores)
    assert frames.shape == (3, *SHAPE)


@given(st.floats(-20, 20), st.floats(-20, 20), seeds)
def test_a_shift_is_undone_by_its_opposite(down: float, right: float, seed: int) -> None:
    image = np.random.default_rng(seed).normal(size=(31, 37))
    by = np.array([down, right])
    back = shifted(shifted(image, by), -by)
    np.testing.assert_allclose(back, image, atol=1e-9)
    assert np.var(shifted(image, by)) == pytest.approx(np.var(image))


def test_whole_pixels_are_rolled() -> None:
    image = np.random.default_rng(0).normal(size=(20, 22))
    moved = shifted(image, np.array([3.0, -5.0]))
    np.testing.assert_allclose(moved, np.roll(image, (3, -5), (0, 1)), atol=1e-12)


def test_drift_is_found_to_parts_of_a_pixel() -> None:
    drift = np.array([[0, 0], [1.5, -0.7], [3.25, -2.1], [4.0, -3.5], [5.6, -4.4]])
    rows, columns = np.indices(SHAPE)
    rng = np.random.default_rng(7)
    places = rng.uniform(10, 110, (25, 2))
    heights = rng.uniform(20, 60, 25)

    def scene(by: Float64) -> Float64:
        image = np.full(SHAPE, 10.0)
        for (y, x), height in zip(places, heights, strict=True):
            squared = (rows - y - by[0]) ** 2 + (columns - x - by[1]) ** 2
            image += height * np.exp(-squared / 18)
        return image

    frames = np.stack([scene(by) + rng.normal(0, 5, SHAPE) for by in drift])
    repeated = Repeated.of(frames)
    np.testing.assert_allclose(repeated.drift, drift, atol=0.15)
    images = [gaussian_filter(frame, 1.5) for frame in frames]
    score = repeated.score(images)
    errors = [
        np.mean((image - scene(by))[8:-8, 8:-8] ** 2)
        for image, by in zip(images, drift, strict=True)
    ]
    assert score.psnr == pytest.approx(10 * np.log10(repeated.peak**2 / np.mean(errors)), abs=0.6)


def test_the_frames_stay_as_they_are() -> None:
    frames = frames_of(4, 5.0, 3)
    before = frames.copy()
    Repeated.of(frames).score(list(frames))
    np.testing.assert_array_equal(frames, before)


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        (np.ones((2, 9, 9)), "expected at least 3"),
        (np.ones((9, 9)), "expected at least 3"),
        (np.ones((4, 9, 9)), "the frames are equal"),
    ],
)
def test_what_tells_no_noise_is_refused(frames: Float64, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        Repeated.of(frames)
