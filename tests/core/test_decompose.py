"""The randomised SVD against the full one."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from reucid_core import Decomposition
from reucid_core import decompose as module
from reucid_core.decompose import decompose, randomised_svd
from tests.support.strategies import seeds


def patches_with_spectrum(
    n_patches: int, p: int, spectrum: NDArray[np.float64], seed: int
) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.normal(size=(n_patches, len(spectrum)))).Q
    right = np.linalg.qr(rng.normal(size=(p * p, len(spectrum)))).Q
    return (left * spectrum) @ right.T


@pytest.fixture(params=[decompose, randomised_svd], autouse=True)
def method(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "used", request.param)


used: Any = decompose  # or the randomised SVD where the Gram matrix is cheaper


def run(patches: NDArray[np.floating], components: int, seed: int = 0) -> Decomposition:
    return used(patches, components, rng=np.random.default_rng(seed))


@given(st.integers(1, 300), st.sampled_from([3, 5, 11]), st.integers(1, 130), seeds)
def test_the_decomposition_is_orthonormal_decreasing_and_complete_in_energy(
    n_patches: int, p: int, components: int, seed: int
) -> None:
    patches = np.random.default_rng(seed).normal(2.0, 1.0, (n_patches, p * p))
    found = run(patches, components, seed)
    k = min(components, n_patches, p * p)
    assert found.eigenpatches.shape == (k, p, p)
    assert found.singular_values.shape == (k,)
    assert found.n_patches == n_patches
    E = found.eigenpatches.reshape(k, -1)
    np.testing.assert_allclose(E @ E.T, np.eye(k), atol=1e-12)
    assert (np.diff(found.singular_values) <= 0).all()
    assert found.energy == pytest.approx(np.sum(patches**2), rel=1e-12)
    assert 0 <= found.energy_shares.sum() <= 1 + 1e-12
    assert found.relative_singular_values[0] == 1


@pytest.mark.parametrize("n_patches", [40, 500])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_leading_singular_pairs_are_those_of_the_full_svd(n_patches: int, dtype: type) -> None:
    p, rank = 11, 8
    spectrum = np.concatenate([np.geomspace(100, 10, rank), np.geomspace(0.1, 0.01, 30)])
    patches = patches_with_spectrum(n_patches, p, spectrum, seed=1).astype(dtype)
    found = run(patches, rank)
    full = np.linalg.svd(patches.astype(np.float64), full_matrices=False)
    tolerance = 1e-10 if dtype is np.float64 else 1e-5
    np.testing.assert_allclose(found.singular_values, full.S[:rank], rtol=tolerance)
    overlap = np.abs(np.sum(found.eigenpatches.reshape(rank, -1) * full.Vh[:rank], axis=1))
    np.testing.assert_allclose(overlap, 1, rtol=tolerance)


def test_a_full_sketch_yields_the_whole_spectrum() -> None:
    patches = np.random.default_rng(2).normal(size=(200, 25))
    expected = np.linalg.svd(patches, compute_uv=False)
    np.testing.assert_allclose(run(patches, 25).singular_values, expected, rtol=1e-12)


def test_few_patches_yield_as_many_eigenpatches() -> None:
    patches = np.random.default_rng(3).normal(size=(4, 49))
    found = run(patches, 49)
    np.testing.assert_allclose(
        found.singular_values, np.linalg.svd(patches, compute_uv=False), rtol=1e-12
    )


def test_float32_resolves_noise_under_a_large_offset() -> None:
    n_patches, p, offset = 4000, 7, 3000.0
    noise = np.random.default_rng(4).normal(size=(n_patches, p * p))
    patches = (noise + offset).astype(np.float32)
    expected = np.linalg.svd(patches.astype(np.float64), compute_uv=False)
    found = run(patches, p * p)
    np.testing.assert_allclose(found.singular_values, expected, rtol=2e-3)
    assert found.energy == pytest.approx(np.sum(expected**2), rel=1e-5)


def test_zero_patches_have_zero_singular_values() -> None:
    found = run(np.zeros((100, 9)), 9)
    assert not found.singular_values.any()
    assert not found.energy_shares.any()
    assert not found.relative_singular_values.any()
    E = found.eigenpatches.reshape(9, 9)
    np.testing.assert_allclose(E @ E.T, np.eye(9), atol=1e-14)


def test_the_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    patches = np.random.default_rng(5).normal(1, 1, (300, 25))
    whole = run(patches, 10)
    monkeypatch.setattr(module, "block_length", lambda _: 7)
    parts = run(patches, 10)
    np.testing.assert_allclose(parts.singular_values, whole.singular_values, rtol=1e-12)


def test_how_they_were_found_is_told() -> None:
    rng = np.random.default_rng(0)
    small, large = rng.random((400, 25)), rng.random((600, 441))
    assert decompose(small, 8, rng=rng).found_by == "gram matrix"
    assert decompose(large, 8, rng=rng).found_by == "randomised svd"
