"""The noise of an image, as it is measured in it, against noise that is known."""

import tracemalloc
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from numpy.typing import NDArray

from reucid_core import DenoiseParams, denoise
from reucid_core.noise import NoiseModel, estimate_noise
from reucid_core.spectra import Spectra, evenness
from reucid_core.training.micrographs import aperiodic
from reucid_core.whitening import Whitening, cosine_filter
from tests.support.strategies import blob_lattice

Float64 = NDArray[np.float64]

SIDES = [(128, 128), (256, 256), (200, 331)]


def lattice(shape: tuple[int, int], period: float = 11.0) -> Float64:
    return 10 + 30 * blob_lattice(shape, period=period, sigma=period / 4.5)


def white(shape: tuple[int, int], seed: int = 0) -> Float64:
    return np.random.default_rng(seed).normal(size=shape)


def autoregressive(shape: tuple[int, int], next_pixel: float, seed: int = 0) -> Float64:
    """Stationary along x, of variance 1."""
    drawn = white(shape, seed)
    noise = drawn.copy()
    for column in range(1, shape[1]):
        noise[:, column] = (
            next_pixel * noise[:, column - 1] + np.sqrt(1 - next_pixel**2) * drawn[:, column]
        )
    return noise


def power_of(next_pixel: float, n: int) -> Float64:
    """Of `autoregressive`, by cosine frequency."""
    angles = np.pi * np.arange(n) / n
    return (1 - next_pixel**2) / (1 + next_pixel**2 - 2 * next_pixel * np.cos(angles))


def levels(found: NoiseModel, bands: int = 8) -> Float64:
    """Mean logarithm in bands of frequency."""
    return np.array([np.log(part).mean() for part in np.array_split(found.along, bands)])


@pytest.mark.parametrize("shape", SIDES)
@pytest.mark.parametrize("scale", [0.5, 8.0])
@pytest.mark.parametrize("period", [8.0, 17.0])
def test_white_noise_is_white_and_its_variance_known(
    shape: tuple[int, int], scale: float, period: float
) -> None:
    found = estimate_noise([lattice(shape, period) + scale * white(shape)])
    assert found.kind == "white"
    assert found.certain
    assert len(set(found.along)) == 1
    assert found.next_pixel == pytest.approx(0, abs=1e-9)
    assert found.variance == pytest.approx(scale**2, rel=0.05)


def test_white_images_are_white_but_for_rare_false_alarms() -> None:
    kinds = [estimate_noise([5 + white((128, 128), seed)]).kind for seed in range(60)]
    assert kinds.count("white") >= 58


@pytest.mark.parametrize("shape", SIDES)
@pytest.mark.parametrize("next_pixel", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_a_detector_s_decay_is_recovered(
    shape: tuple[int, int], next_pixel: float, scale: float
) -> None:
    noisy = lattice(shape) + scale * autoregressive(shape, next_pixel)
    found = estimate_noise([noisy])
    assert (found.kind, found.scan_axis) == ("row", "x")
    expected = np.log(scale**2 * power_of(next_pixel, shape[1]))
    bands = np.array([part.mean() for part in np.array_split(expected, 8)])
    np.testing.assert_allclose(levels(found), bands, atol=0.12)
    assert found.variance == pytest.approx(scale**2, rel=0.1)
    assert found.next_pixel == pytest.approx(next_pixel, abs=0.05)


@pytest.mark.parametrize("noise", ["decay", "streaks"])
@pytest.mark.parametrize("scan_axis", ["auto", "y"])
def test_a_scan_along_y_is_that_of_the_transposed_image(noise: str, scan_axis: Any) -> None:
    shape = (256, 200)
    drawn = autoregressive(shape, 0.5)
    if noise == "streaks":
        drawn = 0.8 * white(shape, 3) + 0.6 * autoregressive(shape, 0.97, 4)
    noisy = lattice(shape) + 5 * drawn
    along_x, along_y = estimate_noise([noisy]), estimate_noise([noisy.T], scan_axis)
    assert (along_x.kind, along_x.scan_axis) == ("row", "x")
    assert (along_y.kind, along_y.scan_axis) == ("row", "y")
    np.testing.assert_allclose(along_y.along, along_x.along, rtol=1e-9)
    rows, columns = along_y.spectrum()
    assert (len(rows), len(columns)) == (200, 1)


def test_streaks_have_their_power_at_low_frequencies() -> None:
    shape = (256, 256)
    streaks = 0.8 * white(shape, 3) + 0.6 * autoregressive(shape, 0.97, 4)
    found = estimate_noise([lattice(shape) + 4 * streaks])
    assert found.kind == "row"
    assert np.mean(found.along[:4]) > 5 * 16
    assert np.mean(found.along[128:]) == pytest.approx(16 * 0.64, rel=0.1)


@pytest.mark.parametrize(("height", "error"), [(30.0, 0.2), (100.0, 0.35)])
def test_edges_along_the_scan_are_no_streaks(height: float, error: float) -> None:
    """But for an error of the variance, which takes a bar of 300 for 1.7 times the noise."""
    shape = (256, 256)
    bar = np.zeros(shape)
    bar[100:150, 60:200] = height
    found = estimate_noise([bar + 3 * autoregressive(shape, 0.5)])
    assert found.kind == "row"
    expected = np.log(9 * power_of(0.5, 256))
    assert np.abs(np.log(found.along) - expected).max() < np.log(5)
    assert found.variance == pytest.approx(9, rel=error)


def blurred(noisy: Float64) -> Float64:
    return scipy.ndimage.gaussian_filter(noisy, 0.6)


def resampled(noisy: Float64) -> Float64:
    return scipy.ndimage.shift(noisy, (0.5, 0.5), order=1, mode="nearest")


def rotated(noisy: Float64) -> Float64:
    turned = scipy.ndimage.rotate(noisy, 12, order=1, reshape=False)
    return np.asarray(turned[48:-48, 48:-48])


@pytest.mark.parametrize("treated", [blurred, resampled, rotated])
@pytest.mark.parametrize("seed", [0, 1])
def test_what_was_filtered_afterwards_is_correlated_in_both_directions(
    treated: Any, seed: int
) -> None:
    image = treated(lattice((300, 300), 14.0) + 5 * white((300, 300), seed))
    found = estimate_noise([image])
    assert found.kind == "separable"
    assert len(found.across) == image.shape[0]
    residual = treated(5 * white((300, 300), seed))
    assert found.variance == pytest.approx(residual.var(), rel=0.3)


@pytest.mark.parametrize(("sigma", "certain"), [(0.5, True), (1.2, False)])
def test_noise_that_was_filtered_as_strongly_as_a_signal_is_doubtful(
    sigma: float, certain: bool
) -> None:
    """The ratio of powers is exp((pi sigma)^2): 12 and 1,500,000."""
    filtered = scipy.ndimage.gaussian_filter(5 * white((256, 256)), sigma)
    found = estimate_noise([filtered])
    assert (found.kind, found.certain) == ("separable", certain)


def test_row_offsets_are_noise_or_not_as_stated() -> None:
    shape = (256, 256)
    offsets = 3 * np.random.default_rng(5).normal(size=(256, 1))
    noisy = lattice(shape) + autoregressive(shape, 0.3) + offsets
    removed = estimate_noise([noisy], scan_noise="remove")
    kept = estimate_noise([noisy], scan_noise="keep")
    assert removed.along[0] > 100 * removed.along[5]  # 9 n against some 2
    assert kept.along[0] < 3 * kept.along[5]
    assert kept.along[1:] == removed.along[1:]


def test_frames_of_one_shape_are_measured_together() -> None:
    shape = (128, 128)
    frames = [lattice(shape) + 3 * autoregressive(shape, 0.5, seed) for seed in range(6)]
    one, six = estimate_noise(frames[:1]), estimate_noise(iter(frames))
    assert one.relative_error is not None
    assert six.relative_error == pytest.approx(one.relative_error / np.sqrt(6), rel=0.05)
    expected = np.log(9 * power_of(0.5, 128))
    assert np.abs(np.log(six.along) - expected).mean() < 0.04


def test_a_large_image_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reucid_core.spectra.PIXELS", 2**14)
    shape = (1200, 128)
    found = estimate_noise([lattice(shape) + 3 * autoregressive(shape, 0.5)])
    assert found.kind == "row"
    assert found.variance == pytest.approx(9, rel=0.1)


@pytest.mark.parametrize("offset", [-1e4, 0.0, 1e6])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_offsets_do_not_matter_and_scales_scale(offset: float, scale: float) -> None:
    noisy = lattice((128, 128)) + 3 * autoregressive((128, 128), 0.5)
    plain, changed = estimate_noise([noisy]), estimate_noise([scale * noisy + offset * scale])
    assert changed.kind == plain.kind
    np.testing.assert_allclose(changed.along, scale**2 * np.array(plain.along), rtol=1e-5)


def test_where_signal_reaches_to_the_top_it_says_so() -> None:
    upper = (np.arange(200) > 0.45 * 400).astype(float)
    fine = cosine_filter(20 * white((200, 200), 1), upper, axis=0)
    assert not estimate_noise([lattice((200, 200)) + fine + white((200, 200))], "x").certain


def test_where_one_pixel_rules_the_spectrum_it_says_so() -> None:
    noisy = 50 + white((64, 64))
    noisy[30, 30] = 1e6
    assert not estimate_noise([noisy]).certain


UNMEASURABLE: dict[str, Float64] = {
    "constant": np.full((64, 64), 7.0),
    "zeros": np.zeros((64, 64)),
    "two levels": np.where(np.indices((64, 64))[1] > 30, 1.0, 0.0),
    "chequered": (np.indices((64, 64)).sum(axis=0) % 2).astype(float),
    "a ramp": np.indices((64, 64))[1] * 1.0,
    "a wave": np.cos(np.indices((64, 64))[0] / 5.0),
    "levels of rows": np.repeat(white((64, 1)), 64, axis=1),
    "levels of columns": np.repeat(white((1, 64)), 64, axis=0),
    "too small": white((15, 200)),
    "too few rows of the spectrum": white((16, 400)),
}


@pytest.mark.parametrize("image", UNMEASURABLE.values(), ids=UNMEASURABLE)
def test_where_nothing_can_be_told_it_says_none(image: Float64) -> None:
    found = estimate_noise([image])
    assert found.kind == "none"
    assert (found.variance, found.along, found.next_pixel) == (0.0, [], 0.0)


@pytest.mark.parametrize("scan_noise", ["remove", "keep"])
def test_powers_are_positive_and_the_image_is_left_alone(scan_noise: Any) -> None:
    noisy = blurred(lattice((128, 128)) + white((128, 128)))
    before = noisy.copy()
    first, second = (estimate_noise([noisy], "auto", scan_noise) for _ in range(2))
    np.testing.assert_array_equal(noisy, before)
    assert asdict(first) == asdict(second)
    rows, columns = first.spectrum()
    assert min(rows.min(), columns.min()) > 0
    assert np.isfinite(rows).all()
    assert np.isfinite(columns).all()


@pytest.mark.parametrize("times", [2, 3])
def test_upsampled_images_are_no_cause_of_overflow(times: int) -> None:
    """Their highest frequencies hold rounding alone, which whitening must not amplify."""
    rng = np.random.default_rng(times)
    small = rng.poisson(20 + 10 * np.cos(np.arange(64) / 2), (64, 64)).astype(np.float64)
    image = scipy.ndimage.zoom(small, times, order=3).astype(np.float32)
    model = estimate_noise([image])
    if model.kind != "none":
        whitened = Whitening.of(model).whiten(image)
        assert np.isfinite(whitened).all()
        assert np.abs(whitened).max() < 1e6
    result = denoise(image, DenoiseParams(method="two-scale", threads=1))
    assert np.isfinite(result.image).all()


@pytest.mark.parametrize("seed", [10, 12, 15])
@pytest.mark.parametrize("dose", [0.1, 1.0])
def test_counting_noise_that_is_strongest_at_a_border_is_measured_there_too(
    seed: int, dose: float
) -> None:
    truth = aperiodic.particles(seed)
    image = aperiodic.noisy(truth, dose=dose, next_pixel=0.0, seed=seed)
    model = estimate_noise([image])
    assert model.variance == pytest.approx(np.var(image - truth), rel=0.2)


def test_the_noise_of_a_tall_image_is_compared_part_by_part() -> None:
    image = white((4096, 256)).astype(np.float32)
    alone = Spectra.of(image).noise_alone(0.2)
    tracemalloc.start()
    try:
        found = evenness([image], 0.2, alone)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == pytest.approx(1, abs=0.05)
    assert peak < image.nbytes / 2  # held together, the spectra of all parts are twice the image
