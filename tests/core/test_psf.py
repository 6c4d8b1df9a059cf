"""The autocorrelation tells the size of a patch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reucid_core import DenoiseParams, denoise, psf
from reucid_core.psf import autocorrelation, find_patch_size, radial_mean
from tests.support.strategies import (
    Float64Image,
    blob_lattice,
    keep_first,
    noise_images,
    scattered_blobs,
    seeds,
    waves,
)


def white(shape: tuple[int, int], seed: int = 0) -> Float64Image:
    return np.random.default_rng(seed).normal(size=shape)


@given(noise_images())
def test_autocorrelation_is_the_sum_over_shifted_products(image: Float64Image) -> None:
    centred = image - image.mean()
    found = autocorrelation(image)
    for dy, dx in [(0, 0), (1, 0), (0, 3), (-2, 5)]:
        shifted = np.roll(centred, (dy, dx), (0, 1))
        expected = np.sum(centred * shifted) / np.sum(centred**2)
        assert found[dy, dx] == pytest.approx(expected, abs=1e-12)


@given(noise_images(), st.integers(1, 5))
def test_radial_mean_is_the_mean_over_rings(image: Float64Image, radius: int) -> None:
    correlation = autocorrelation(image)
    rings: dict[int, list[float]] = {}
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            rings.setdefault(round(float(np.hypot(dy, dx))), []).append(correlation[dy, dx])
    expected = [np.mean(rings[lag]) for lag in range(radius + 1)]
    np.testing.assert_allclose(radial_mean(correlation, radius), expected, atol=1e-12)


@pytest.mark.parametrize("period", [10, 14, 18, 24])
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_a_lattice_of_blobs_has_its_first_minimum_between_the_blobs(
    period: int, noise: float
) -> None:
    image = blob_lattice((200, 240), period=period, sigma=period / 7)
    found = find_patch_size(image + noise * white(image.shape))
    assert found.origin == "minimum"
    assert found.radius is not None
    # Neighbours lie at the period and at its diagonal: the minimum of the mean over directions.
    assert period / 2 <= found.radius <= period / np.sqrt(2) + 1
    assert found.size in (found.radius, found.radius + 1)


@pytest.mark.parametrize("sigma", [2.0, 3.0, 4.0, 6.0])
@pytest.mark.parametrize("noise", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_scattered_blobs_are_sized_by_the_inflexion(sigma: float, noise: float, seed: int) -> None:
    image = scattered_blobs((256, 256), number=100, sigma=sigma, seed=seed)
    found = find_patch_size(image + noise * image.std() * white(image.shape, seed))
    assert found.origin == "inflexion"
    fwhm = 2.355 * sigma
    assert 0.8 * fwhm <= found.size <= 1.6 * fwhm + 1
    assert found.size == 2 * found.radius + 1  # type: ignore[operator]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("shape", [(40, 64), (200, 200)])
def test_white_noise_has_no_point_spread_function(shape: tuple[int, int], seed: int) -> None:
    found = find_patch_size(white(shape, seed))
    assert (found.size, found.origin, found.radius) == (5, "none", None)


def test_without_a_point_spread_function_a_warning_says_so() -> None:
    params = DenoiseParams(method="paper")
    report = denoise(white((40, 40)), params, classify=keep_first(1)).report
    assert report.patch_size_origin == "none"
    (warning,) = (text for text in report.warnings if "no point-spread function" in text)
    assert "information-limit" in warning


@pytest.mark.parametrize("period", [12, 18])
@pytest.mark.parametrize("seed", range(3))
def test_the_spike_of_the_noise_does_not_decide(period: int, seed: int) -> None:
    clean = blob_lattice((256, 256), period=period, sigma=period / 6)
    noisy = clean + 3 * clean.std() * white(clean.shape, seed)
    assert abs(find_patch_size(noisy).size - find_patch_size(clean).size) <= 2


def test_chance_minima_in_the_tail_do_not_decide() -> None:
    for seed in range(10):
        image = scattered_blobs((256, 256), number=150, sigma=2, seed=seed)
        noisy = image + 3 * image.std() * white(image.shape, seed)
        assert find_patch_size(noisy).size <= 17


@pytest.mark.parametrize(
    ("shape", "size"), [((3, 3), 3), ((19, 90), 3), ((20, 90), 5), ((31, 64), 7), ((90, 40), 9)]
)
def test_a_patch_is_at_most_a_quarter_of_the_shorter_side(
    shape: tuple[int, int], size: int
) -> None:
    y, x = np.indices(shape)
    found = find_patch_size(np.sin(2 * np.pi * y / shape[0]) + np.sin(2 * np.pi * x / shape[1]))
    assert found.size <= size


def test_the_clamps_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    image = white((44, 90))
    for lag, size in [(2, 5), (3, 5), (6, 7), (7, 7), (8, 9), (9, 9), (10, 11), (40, 11)]:
        monkeypatch.setattr(psf, "first_turn", lambda *_, lag=lag: (lag, "minimum"))
        assert find_patch_size(image).size == size


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_a_constant_image_has_no_point_spread_function(value: float) -> None:
    assert find_patch_size(np.full((64, 50), value)).origin == "none"


@given(seeds, st.floats(0.1, 1e4), st.floats(-1e3, 1e3))
def test_intensity_scale_and_offset_do_not_matter(seed: int, scale: float, offset: float) -> None:
    image = waves((64, 64), number=2, seed=seed) + 0.2 * white((64, 64), seed)
    assert find_patch_size(scale * image + offset).size == find_patch_size(image).size


@pytest.mark.parametrize(
    ("name", "origin", "sizes"),
    [
        ("srtio3_osiris_512.tif", "minimum", (13, 17)),
        ("si110_512.png", "minimum", (19, 23)),
        ("pt_porph_single_atoms_512.tif", "minimum", (11, 15)),
        ("re_phen_single_atoms_1024.tif", "inflexion", (7, 15)),
    ],
)
def test_real_micrographs_get_patches_of_the_size_of_their_atoms(
    real_images: Path,
    read_image: Callable[[Path], Float64Image],
    name: str,
    origin: str,
    sizes: tuple[int, int],
) -> None:
    found = find_patch_size(read_image(real_images / name))
    assert found.origin == origin
    assert sizes[0] <= found.size <= sizes[1]
