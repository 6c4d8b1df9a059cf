"""What holds of `denoise` whatever the image."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reucid_core import DenoiseParams, Progress, denoise
from tests.support.strategies import (
    Float64Image,
    Micrograph,
    keep_all,
    keep_first,
    keep_none,
    micrographs,
    noise_images,
    odd_patch_sizes,
    seeds,
    tiny_shapes,
    waves,
)

LAYOUTS = {
    "big-endian": lambda image: image.astype(">f8"),
    "not contiguous": lambda image: np.repeat(np.repeat(image, 2, 0), 3, 1)[::2, ::3],
    "column order": np.asfortranarray,
    "reversed": lambda image: image[::-1, ::-1].copy()[::-1, ::-1],
    "nested lists": lambda image: image.tolist(),
}


def noisy_waves(shape: tuple[int, int] = (30, 24)) -> Float64Image:
    return 2 + waves(shape, number=2, seed=0) + np.random.default_rng(1).normal(0, 0.5, shape)


@given(noise_images(tiny_shapes | st.tuples(st.integers(9, 20), st.integers(9, 20))), st.data())
def test_keeping_all_eigenpatches_returns_the_image(
    image: Float64Image, data: st.DataObject
) -> None:
    p = data.draw(st.sampled_from([p for p in (3, 5, 7) if p <= min(image.shape)]))
    assume(np.prod(np.array(image.shape) - p + 1) >= 1)
    params = DenoiseParams(patch_size=p, components=p * p)
    result = denoise(image, params, classify=keep_all)
    np.testing.assert_allclose(result.image, image, rtol=0, atol=1e-11)
    np.testing.assert_allclose(result.residual, 0, atol=1e-11)


@pytest.mark.parametrize("value", [0, 7, -3.5, 0.1])
@pytest.mark.parametrize("shape", [(3, 3), (3, 9), (5, 4), (40, 17)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
def test_a_constant_image_is_a_fixed_point(
    value: float, shape: tuple[int, int], dtype: str
) -> None:
    image = np.full(shape, value).astype(dtype)
    result = denoise(image, classify=keep_first(1))
    np.testing.assert_allclose(result.image, image, rtol=2e-6)
    assert result.coverage.min() == 1


@given(micrographs(), odd_patch_sizes, st.sampled_from([2.0, 2.0**-20, 2.0**30]))
def test_scaling_by_a_power_of_two_scales_every_bit(
    micrograph: Micrograph, p: int, factor: float
) -> None:
    params = DenoiseParams(patch_size=p, stacks=1)
    image, classify = micrograph.image, keep_first(3)
    scaled = denoise(factor * image, params, classify=classify)
    np.testing.assert_array_equal(
        scaled.image, factor * denoise(image, params, classify=classify).image
    )


@given(micrographs(), odd_patch_sizes, st.floats(1e-6, 1e6) | st.floats(-1e6, -1e-6))
def test_scaling_commutes(micrograph: Micrograph, p: int, factor: float) -> None:
    params = DenoiseParams(patch_size=p)
    image, classify = micrograph.image, keep_first(min(micrograph.rank, p * p))
    scaled = denoise(factor * image, params, classify=classify).image / factor
    np.testing.assert_allclose(
        scaled, denoise(image, params, classify=classify).image, rtol=0, atol=1e-8
    )


def test_an_offset_commutes_where_all_eigenpatches_are_kept() -> None:
    params = DenoiseParams(patch_size=5, components=25)
    shifted = denoise(noisy_waves() + 100, params, classify=keep_all)
    expected = denoise(noisy_waves(), params, classify=keep_all).image + 100
    np.testing.assert_allclose(shifted.image, expected, rtol=1e-12)


def test_an_offset_changes_a_truncated_result_and_a_large_one_settles() -> None:
    params = DenoiseParams(patch_size=5, precision="float64")

    def less_offset(offset: float) -> Float64Image:
        result = denoise(noisy_waves() - 2 + offset, params, classify=keep_first(4))
        return np.asarray(result.image - offset)

    changes = [
        np.abs(less_offset(2 * offset) - less_offset(offset)).max()
        for offset in (0.3, 1e2, 1e3, 1e4)
    ]
    assert changes[0] > 0.05  # in units of waves of amplitude 1
    # The first eigenpatch tends to the constant one like 1 / offset.
    assert changes[1] > 5 * changes[2] > 25 * changes[3]


def test_denoising_brings_a_noisy_image_nearer_to_the_truth() -> None:
    truth = 2 + waves((64, 64), number=2, seed=0)
    noisy = truth + np.random.default_rng(1).normal(0, 0.5, truth.shape)
    result = denoise(noisy, DenoiseParams(patch_size=11, stacks=2), classify=keep_first(5))
    assert np.std(result.image - truth) < 0.3 * np.std(noisy - truth)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_in_memory_does_not_matter(layout: str) -> None:
    params = DenoiseParams(patch_size=5, stacks=2)
    image = noisy_waves()
    same = LAYOUTS[layout](image)
    result = denoise(same, params, classify=keep_first(3))
    np.testing.assert_array_equal(
        result.image, denoise(image, params, classify=keep_first(3)).image
    )


@pytest.mark.parametrize(
    ("dtype", "precision"),
    [
        ("uint8", "float32"),
        (">u2", "float32"),
        ("int16", "float32"),
        ("float16", "float32"),
        ("float32", "float32"),
        (">f4", "float32"),
        ("uint32", "float64"),
        ("int64", "float64"),
        ("float64", "float64"),
    ],
)
def test_precision_follows_the_type_of_the_image(dtype: str, precision: str) -> None:
    image = (20 * noisy_waves() + 60).astype(dtype)
    result = denoise(image, DenoiseParams(patch_size=5), classify=keep_first(3))
    assert result.image.dtype == result.residual.dtype == result.report.precision == precision
    assert result.image.dtype.isnative
    double = DenoiseParams(patch_size=5, precision="float64")
    np.testing.assert_allclose(
        result.image, denoise(image, double, classify=keep_first(3)).image, rtol=1e-4
    )


def test_a_read_only_image_is_accepted_and_none_is_modified() -> None:
    image = noisy_waves()
    before = image.copy()
    image.flags.writeable = False
    result = denoise(image, DenoiseParams(patch_size=5, stacks=2), classify=keep_first(3))
    np.testing.assert_array_equal(image, before)
    assert result.noisy is image
    assert not np.shares_memory(result.image, image)
    np.testing.assert_array_equal(result.residual, image - result.image)


@given(noise_images(st.tuples(st.integers(14, 30), st.integers(14, 30))), seeds)
def test_the_same_seed_gives_the_same_bits(image: Float64Image, seed: int) -> None:
    params = DenoiseParams(patch_size=3, stacks=2, seed=seed)
    first, second = (denoise(image, params, classify=keep_first(2)) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    for one, other in zip(first.eigenpatches, second.eigenpatches, strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_seed_gives_another_result() -> None:
    one, other = (
        denoise(
            noisy_waves(), DenoiseParams(patch_size=3, stacks=2, seed=seed), classify=keep_first(2)
        )
        for seed in (0, 1)
    )
    assert (one.image != other.image).any()


@given(noise_images(tiny_shapes))
def test_the_smallest_images_are_denoised(image: Float64Image) -> None:
    result = denoise(image, classify=keep_first(1))
    assert result.image.shape == image.shape
    assert np.isfinite(result.image).all()
    assert result.report.complete
    assert result.report.patch_size == 3
    assert result.report.uncovered_pixels == 0


def test_the_whole_image_may_be_one_patch() -> None:
    image = noisy_waves((7, 7))
    result = denoise(image, DenoiseParams(patch_size=7), classify=keep_none)
    np.testing.assert_allclose(result.image, image, rtol=1e-12)


def test_writing_into_what_on_stack_gets_does_not_reach_the_result() -> None:
    def vandal(progress: Progress) -> None:
        progress.image[:] = np.nan
        progress.coverage[:] = -1

    params = DenoiseParams(patch_size=5, stacks=3)
    image = noisy_waves()
    result = denoise(image, params, classify=keep_first(3), on_stack=vandal)
    untouched = denoise(image, params, classify=keep_first(3))
    np.testing.assert_array_equal(result.image, untouched.image)
    np.testing.assert_array_equal(result.coverage, untouched.coverage)
    assert np.isfinite(image).all()
