"""The exact engine against the literal algorithm and against the stacked engine."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from reucid_core import DenoiseParams, MemoryBudgetError, ParameterError, denoise
from reucid_core.exact import Transform, decompose_all, reconstruct
from reucid_core.gram import Edges, gram_matrix
from reucid_core.workload import band_height
from tests.support.strategies import keep_first

Float64 = NDArray[np.float64]


@st.composite
def lattices(draw: st.DrawFn) -> tuple[Float64, int]:
    """A lattice on an offset, with noise far below its four components, and a patch size."""
    p = draw(st.sampled_from([3, 5, 7, 11, 15, 31]))
    m, n = (draw(st.integers(p, max(p + 1, 5 * p))) for _ in range(2))
    offset = draw(st.sampled_from([0.0, 1.0, -30.0, 100.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    y, x = np.mgrid[:m, :n]
    lattice = np.cos(0.9 * x + 0.2 * y) + np.cos(0.7 * y - 0.1 * x)
    return offset + lattice + 1e-3 * rng.normal(size=(m, n)), p


def literal(image: Float64, p: int, k: int) -> tuple[Float64, Float64]:
    """Gram matrix, and the reconstruction from the k leading eigenpatches, by the definition."""
    windows = sliding_window_view(image, (p, p))
    patches = windows.reshape(-1, p * p)
    Vt = np.linalg.svd(patches, full_matrices=False)[2][:k]
    truncated = (patches @ Vt.T @ Vt).reshape(*windows.shape)
    canvas, terrain = np.zeros_like(image), np.zeros_like(image)
    for row, column in np.ndindex(windows.shape[:2]):
        canvas[row : row + p, column : column + p] += truncated[row, column]
        terrain[row : row + p, column : column + p] += 1
    return patches.T @ patches, canvas / terrain


@settings(max_examples=60, deadline=None)
@given(lattices())
def test_gram_matrix_is_that_of_the_patches(case: tuple[Float64, int]) -> None:
    image, p = case
    spectrum = np.fft.rfft2(image)
    correlation = np.fft.irfft2(np.abs(spectrum) ** 2, s=image.shape)
    patches = sliding_window_view(image, (p, p)).reshape(-1, p * p)
    expected = patches.T @ patches
    scale = (image**2).sum()  # what its sums are differences of, at patches as large as the image
    np.testing.assert_allclose(
        gram_matrix(Edges.of(image, p - 1), correlation, p) / scale, expected / scale, atol=1e-13
    )


@settings(max_examples=60, deadline=None)
@given(lattices())
def test_result_is_the_literal_one(case: tuple[Float64, int]) -> None:
    image, p = case
    patches = sliding_window_view(image, (p, p)).reshape(-1, p * p)
    singular_values = np.linalg.svd(patches, compute_uv=False)
    # Cut where a gap says which eigenpatches are kept.
    k = min(5 if abs(image.mean()) > 0.5 else 4, len(singular_values))
    if k < len(singular_values) and singular_values[k - 1] < 3 * singular_values[k]:
        return
    _, expected = literal(image, p, k)
    params = DenoiseParams(method="paper", engine="exact", patch_size=p, precision="float64")
    result = denoise(image, params, classify=keep_first(k))
    np.testing.assert_allclose(result.image, expected, rtol=0, atol=1e-9 * np.abs(image).max())


@given(lattices())
@settings(max_examples=25, deadline=None)
def test_keeping_everything_returns_the_input(case: tuple[Float64, int]) -> None:
    image, p = case
    params = DenoiseParams(engine="exact", patch_size=p, components=p * p)
    result = denoise(image, params, classify=keep_first(p * p))
    np.testing.assert_allclose(result.image, image, atol=1e-9 * np.abs(image).max())


@settings(max_examples=60, deadline=None)
@given(lattices(), st.data())
def test_the_bands_do_not_show(case: tuple[Float64, int], data: st.DataObject) -> None:
    image, p = case
    height = data.draw(st.integers(1, len(image)))
    whole = Transform.of(image)
    banded = Transform.of(image, lags=p - 1, height=height)
    scale = whole.correlation[0, 0] or 1.0
    np.testing.assert_allclose(
        banded.correlation / scale, whole.correlation[:p] / scale, rtol=0, atol=1e-13
    )
    useful = decompose_all(whole, p, 5).eigenpatches
    np.testing.assert_allclose(
        reconstruct(banded, useful, height=height),
        reconstruct(whole, useful),
        rtol=0,
        atol=1e-12 * np.abs(image).max(),
    )


@pytest.mark.parametrize("patch_size", [None, 9])
def test_a_small_memory_budget_does_not_change_the_result(patch_size: int | None) -> None:
    rng = np.random.default_rng(6)
    y, x = np.mgrid[:700, :300]
    image = 50 * (3 + np.cos(0.7 * x) + np.cos(0.6 * y + 0.1 * x)) + rng.normal(0, 5, x.shape)
    results = [
        denoise(
            image,
            DenoiseParams(
                method="paper", engine="exact", patch_size=patch_size, memory_budget=mib * 2**20
            ),
            classify=keep_first(5),
        )
        for mib in (28, 400)
    ]
    assert band_height(image.shape, 9, 149, 28 * 2**20) < 300
    small, large = results
    assert small.report.patch_size == large.report.patch_size
    np.testing.assert_allclose(small.image, large.image, rtol=0, atol=1e-9 * image.max())


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_both_engines_agree(dtype: str) -> None:
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:90, :77]
    lattice = 60 * (2 + np.cos(x * 0.7) + np.cos(y * 0.6))
    image = rng.poisson(lattice).clip(0, 255).astype(dtype)
    results = [
        denoise(
            image,
            DenoiseParams(engine=engine, patch_size=9, stacks=1, components=81),
            classify=keep_first(5),
        )
        for engine in ("exact", "stacked")
    ]
    exact, stacked = (result.image for result in results)
    assert exact.dtype == stacked.dtype
    np.testing.assert_allclose(exact, stacked, rtol=1e-4)
    np.testing.assert_array_equal(results[0].coverage, results[1].coverage)
    assert results[0].report.patch_size == results[1].report.patch_size


def test_large_patches_are_decomposed_down_into_the_noise() -> None:
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:100, :110]
    image = np.cos(0.5 * x) + np.cos(0.4 * y) + rng.normal(size=(100, 110))
    p, k = 37, 4
    decomposition = decompose_all(Transform.of(image), p, 148)
    patches = sliding_window_view(image, (p, p)).reshape(-1, p * p)
    expected = np.sqrt(np.linalg.eigvalsh(patches.T @ patches)[:-149:-1])
    np.testing.assert_allclose(decomposition.singular_values, expected, rtol=1e-10)
    _, reconstruction = literal(image, p, k)
    mine = reconstruct(Transform.of(image), decomposition.eigenpatches[:k])
    np.testing.assert_allclose(mine, reconstruction, atol=1e-9)


def test_memory_budget_holds_for_the_exact_engine_too() -> None:
    image = np.random.default_rng(5).normal(9, 1, (200, 200))
    few = DenoiseParams(method="paper", engine="exact", patch_size=5, memory_budget=2**20)
    with pytest.raises(MemoryBudgetError, match="1 MiB may be used"):
        denoise(image, few, classify=keep_first(1))
    large = DenoiseParams(method="paper", engine="exact", patch_size=151, memory_budget=2**30)
    with pytest.raises(MemoryBudgetError, match="patches of 151 px"):
        denoise(image, large, classify=keep_first(1))


def test_progress_is_reported_once_and_cannot_harm_the_result() -> None:
    image = np.random.default_rng(3).normal(9, 1, (40, 40))
    seen = []

    def spoil(progress: object) -> None:
        seen.append(progress)
        with pytest.raises(ValueError, match="read-only"):
            progress.image[:] = 0  # type: ignore[attr-defined]

    params = DenoiseParams(method="paper", engine="exact", patch_size=5)
    spoilt = denoise(image, params, classify=keep_first(3), on_stack=spoil)  # type: ignore[arg-type]
    clean = denoise(image, params, classify=keep_first(3))
    assert len(seen) == 1
    np.testing.assert_array_equal(spoilt.image, clean.image)


@pytest.mark.parametrize(
    ("params", "engine"),
    [
        ({}, "exact"),
        ({"stacks": 1}, "stacked"),
        ({"deadline": 60.0}, "stacked"),
        ({"engine": "stacked"}, "stacked"),
        ({"engine": "exact"}, "exact"),
    ],
)
def test_which_engine_runs(params: dict[str, object], engine: str) -> None:
    image = np.random.default_rng(4).normal(9, 1, (40, 40))
    report = denoise(
        image,
        DenoiseParams(method="paper", patch_size=5, **params),  # type: ignore[arg-type]
        classify=keep_first(3),
    ).report
    assert report.engine == engine
    assert report.engine_reason


def test_exact_is_one_stack() -> None:
    with pytest.raises(ParameterError, match="stacks: got 2, expected 1"):
        DenoiseParams(method="paper", engine="exact", stacks=2)
    with pytest.raises(ParameterError, match="deadline"):
        DenoiseParams(method="paper", engine="exact", deadline=1.0)
