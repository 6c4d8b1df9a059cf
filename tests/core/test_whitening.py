"""Whitening can be undone, and whitens."""

import numpy as np
import pytest
import scipy.fft
from hypothesis import given
from hypothesis import strategies as st

from reucid_core.noise import NoiseModel
from reucid_core.whitening import Whitening, cosine_filter, half_band
from tests.support.strategies import Float64Image, noise_images, seeds, shapes


def powers(length: int, rng: np.random.Generator) -> list[float]:
    values: list[float] = np.exp(rng.normal(size=length)).tolist()
    return values


def model(shape: tuple[int, int], kind: str, axis: str, seed: int) -> NoiseModel:
    rng = np.random.default_rng(seed)
    along, across = shape if axis == "y" else shape[::-1]
    spectrum = powers(along, rng)
    other = powers(across, rng) if kind == "separable" else []
    return NoiseModel(kind, axis, 1.0, spectrum, other)  # type: ignore[arg-type]


@given(
    noise_images(st.tuples(st.integers(3, 40), st.integers(3, 40))),
    st.sampled_from(["row", "separable"]),
    st.sampled_from(["x", "y"]),
    seeds,
)
def test_it_is_exactly_invertible(image: Float64Image, kind: str, axis: str, seed: int) -> None:
    before = image.copy()
    whitening = Whitening.of(model(image.shape, kind, axis, seed))
    np.testing.assert_allclose(whitening.colour(whitening.whiten(image)), image, atol=1e-12)
    np.testing.assert_allclose(whitening.whiten(whitening.colour(image)), image, atol=1e-12)
    np.testing.assert_array_equal(image, before)


@given(shapes, st.sampled_from(["row", "separable"]), seeds)
def test_along_y_it_is_that_of_the_transposed_image(
    shape: tuple[int, int], kind: str, seed: int
) -> None:
    image = np.random.default_rng(seed).normal(size=shape)
    along_x = Whitening.of(model(shape, kind, "x", seed)).whiten(image)
    along_y = Whitening.of(model(shape[::-1], kind, "y", seed)).whiten(image.T)
    np.testing.assert_allclose(along_y, along_x.T, atol=1e-12)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_filter_neither_wraps_nor_leaks(axis: int) -> None:
    image = np.zeros((40, 50))
    image[20, 0] = image[0, 25] = 1
    spread = cosine_filter(image, np.linspace(1, 0, image.shape[axis]) ** 2, axis=axis)
    assert abs(spread[20, -5:]).max() < 1e-3
    assert abs(spread[-5:, 25]).max() < 1e-3
    untouched = spread[1:19] if axis == 1 else spread[:, 1:25]
    assert not untouched.any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_blocks_and_types_do_not_show(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).normal(100, 1, (61, 83)).astype(dtype)
    noise = model((61, 83), "separable", "x", 5)
    expected = Whitening.of(noise).whiten(image)
    monkeypatch.setattr("reucid_core.whitening.BLOCK", 200)
    found = Whitening.of(noise, threads=2).whiten(image)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected)


def test_coloured_noise_becomes_white() -> None:
    noise = model((256, 256), "separable", "y", 3)
    white = np.random.default_rng(1).normal(size=(256, 256))
    coloured = Whitening.of(noise).colour(white)
    assert coloured.std() > 1.2
    np.testing.assert_allclose(Whitening.of(noise).whiten(coloured), white, atol=1e-11)


def test_where_all_powers_are_the_same_it_is_a_factor() -> None:
    image = np.random.default_rng(2).normal(size=(30, 20))
    whitening = Whitening.of(NoiseModel("white", "x", 4.0, [4.0] * 20))
    assert whitening.rows.shape == whitening.columns.shape == (1,)
    np.testing.assert_array_equal(whitening.whiten(image), image / 2)


@pytest.mark.parametrize("shape", [(32, 32), (33, 48), (3, 64)])
def test_half_a_band_is_a_projection_that_keeps_a_quarter_of_white_noise(
    shape: tuple[int, int],
) -> None:
    image = np.random.default_rng(4).normal(size=shape)
    low = half_band(image)
    np.testing.assert_allclose(half_band(low), low, atol=1e-12)
    share = np.prod([(length + 1) // 2 / length for length in shape])
    assert np.square(low).mean() == pytest.approx(share, rel=0.35)
    assert np.vdot(low, image - low) == pytest.approx(0, abs=1e-9)


def test_half_a_band_of_a_slow_length_differs_at_its_end_alone() -> None:
    image = np.random.default_rng(4).normal(size=(96, 97))
    low, of_a_fast_length = half_band(image), half_band(image[:, :96])
    assert np.abs(half_band(low) - low)[:, :64].max() < 0.1
    assert np.abs(low[:, :96] - of_a_fast_length)[:, :64].max() < 0.1


def test_noise_correlated_across_the_scan_is_whitened_at_any_height() -> None:
    rng = np.random.default_rng(4)
    factors = 1 / np.linspace(3.0, 1.0, 120)  # by cosine frequency along y
    whitening = Whitening(factors, np.ones(1))
    coloured = whitening.colour(rng.normal(size=(120, 400)))
    part = coloured[30:90]
    whitened = whitening.of_height(60).whiten(part)
    spectrum = np.square(scipy.fft.dct(whitened, axis=0, norm="ortho")).mean(axis=1)
    np.testing.assert_allclose(spectrum, 1, atol=0.35)
    assert whitening.of_height(120) is whitening
    by_row = Whitening(np.ones(1), np.ones(400))
    assert by_row.of_height(7) is by_row
