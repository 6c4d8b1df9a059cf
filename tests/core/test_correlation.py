"""Autocorrelation and filter at fast lengths are those at the image's own."""

import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from reucid_core import psf
from reucid_core.correlation import close_seams, correlation_of, fast_shape
from reucid_core.exact import Transform, gram_of_patches, reconstruct
from reucid_core.fir import project_and_fuse
from tests.support.strategies import blob_lattice, seeds

Float64 = NDArray[np.float64]
sides = st.integers(7, 120)
SLOW = [(101, 97), (96, 103), (103, 96), (131, 262), (67, 67)]  # prime, or twice a prime


def circular(image: Float64) -> Float64:
    return np.asarray(np.fft.ifft2(np.abs(np.fft.fft2(image)) ** 2).real)


@settings(max_examples=80, deadline=None)
@given(sides, sides, st.data())
def test_closed_seams_give_the_circular_autocorrelation(
    m: int, n: int, data: st.DataObject
) -> None:
    lags = data.draw(st.integers(1, (min(m, n) - 1) // 2))
    image = np.random.default_rng(m * n).normal(size=(m, n))
    torus = fast_shape(image.shape)
    zeros_around = correlation_of(scipy.fft.rfft2(image, s=torus), torus[1], lags)
    found = close_seams(zeros_around, image, lags)
    near = np.arange(-lags, lags + 1)
    expected = circular(image)
    np.testing.assert_allclose(
        found[:, near], expected[: lags + 1, near], rtol=0, atol=1e-6 * expected[0, 0]
    )


@given(sides, st.integers(1, 119))
def test_half_a_transform_leads_back(side: int, lags: int) -> None:
    image = np.random.default_rng(side).normal(size=(side, 9))
    lags = min(lags, side - 1)
    found = correlation_of(np.fft.rfft2(image), 9, lags)
    expected = circular(image)
    np.testing.assert_allclose(found, expected[: lags + 1], atol=1e-12 * expected[0, 0])


@pytest.mark.parametrize("shape", SLOW)
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_gram_matrix_at_slow_sides(shape: tuple[int, int], offset: float) -> None:
    p = 11
    image = offset + np.random.default_rng(0).normal(size=shape)
    patches = sliding_window_view(image, (p, p)).reshape(-1, p * p)
    expected = patches.T @ patches
    found = gram_of_patches(Transform.of(image, lags=40 if min(shape) > 80 else p - 1), p)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


@pytest.mark.parametrize("shape", SLOW)
@pytest.mark.parametrize("period", [9, 14, 20])
def test_patch_size_at_slow_sides_is_that_of_the_image_s_own_torus(
    shape: tuple[int, int], period: int
) -> None:
    rng = np.random.default_rng(period)
    image = blob_lattice(shape, period=period, sigma=period / 7)
    image = image + 0.5 * image.std() * rng.normal(size=shape)
    own = psf.patch_size_of(psf.autocorrelation(image), shape)
    found = psf.find_patch_size(image)
    assert (found.size, found.origin, found.radius) == (own.size, own.origin, own.radius)
    np.testing.assert_allclose(found.profile, own.profile, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(25, 110), st.integers(25, 110), st.sampled_from([3, 5, 7, 11]), seeds)
def test_one_filter_however_it_is_transformed(m: int, n: int, p: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = 5 + rng.normal(size=(m, n))
    E = np.linalg.qr(rng.normal(size=(p * p, 4))).Q.T.reshape(4, p, p)
    literal = literally(image, E)
    scale = np.abs(image).max()
    for found in (
        project_and_fuse(image, E),
        project_and_fuse(image, E, height=13),
        reconstruct(Transform.of(image, lags=p - 1), E),
        reconstruct(Transform.of(image), E),
    ):
        np.testing.assert_allclose(found, literal, rtol=0, atol=1e-12 * scale)
    for rough in (
        project_and_fuse(image, E.astype(np.float32)),
        reconstruct(Transform.of(image, lags=p - 1), E, precision=np.float32),
    ):
        assert rough.dtype == image.dtype
        np.testing.assert_allclose(rough, literal, rtol=0, atol=1e-5 * scale)


def literally(image: Float64, E: Float64) -> Float64:
    """Every patch projected and placed, by the definition."""
    p = E.shape[-1]
    windows = sliding_window_view(image, (p, p))
    flat = E.reshape(len(E), -1)
    placed = (windows.reshape(-1, p * p) @ flat.T @ flat).reshape(windows.shape)
    canvas, terrain = np.zeros_like(image), np.zeros_like(image)
    rows, columns = windows.shape[:2]
    for a, c in np.ndindex(p, p):
        canvas[a : a + rows, c : c + columns] += placed[:, :, a, c]
        terrain[a : a + rows, c : c + columns] += 1
    return np.asarray(canvas / terrain)
