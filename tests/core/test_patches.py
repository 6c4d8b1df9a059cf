"""Patches come and go without loss; the terrain counts them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from reucid_core.patches import (
    Origins,
    assign,
    block_length,
    gather,
    origin_grid,
    origins_of,
    scatter_add,
)
from reucid_core.terrain import terrain
from tests.support.strategies import odd_patch_sizes, seeds, shapes


@st.composite
def marked_origins(
    draw: st.DrawFn,
) -> tuple[tuple[int, int], int, NDArray[np.bool_], np.random.Generator]:
    """A shape, a patch size and some of the origins they allow."""
    shape, p, rng = draw(shapes), draw(odd_patch_sizes), np.random.default_rng(draw(seeds))
    return shape, p, rng.random(origin_grid(shape, p)) < draw(st.floats(0, 1)), rng


@given(marked_origins())
def test_terrain_is_the_sum_of_patches_of_ones(drawn) -> None:  # type: ignore[no-untyped-def]
    shape, p, members, _ = drawn
    origins = origins_of(members, shape[1])
    ones = np.zeros(shape)
    scatter_add(ones, np.ones((len(origins), p * p)), origins, p)
    np.testing.assert_array_equal(terrain(members, p), ones)


@given(marked_origins())
def test_scattering_is_the_adjoint_of_gathering(drawn) -> None:  # type: ignore[no-untyped-def]
    shape, p, members, rng = drawn
    origins = origins_of(members, shape[1])
    image, patches = rng.normal(size=shape), rng.normal(size=(len(origins), p * p))
    scattered = np.zeros(shape)
    scatter_add(scattered, patches, origins, p)
    gathered = np.vdot(gather(image, origins, p), patches)
    np.testing.assert_allclose(gathered, np.vdot(image, scattered), rtol=1e-12, atol=1e-9)


@given(marked_origins())
def test_a_gathered_patch_is_the_image_at_its_origin(drawn) -> None:  # type: ignore[no-untyped-def]
    shape, p, members, rng = drawn
    image = rng.normal(size=shape)
    origins: Origins = origins_of(members, shape[1])
    for origin, patch in zip(origins, gather(image, origins, p), strict=True):
        y, x = divmod(int(origin), shape[1])
        assert members[y, x]
        np.testing.assert_array_equal(patch.reshape(p, p), image[y : y + p, x : x + p])


@given(shapes, odd_patch_sizes, st.integers(1, 9), seeds)
def test_each_origin_is_in_one_stack(
    shape: tuple[int, int], p: int, stacks: int, seed: int
) -> None:
    assignment = assign(shape, p, stacks, np.random.default_rng(seed))
    assert assignment.shape == (shape[0] - p + 1, shape[1] - p + 1)
    assert 1 <= assignment.min() <= assignment.max() <= stacks


def test_stacks_are_drawn_evenly() -> None:
    sizes = np.bincount(assign((200, 200), 5, 4, np.random.default_rng(0)).ravel())[1:]
    assert len(sizes) == 4
    assert np.abs(sizes - sizes.mean()).max() < 5 * np.sqrt(sizes.mean())


@given(st.integers(9, 2**26))
def test_a_block_holds_a_patch_at_least(patch_pixels: int) -> None:
    assert 1 <= block_length(patch_pixels) <= 8192
