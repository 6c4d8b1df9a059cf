"""A projection that is held does what one does that is made anew, whatever it is applied to."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reucid_core.fir import MOST_DENSE, SHAPES, Projection, project_and_fuse
from reucid_core.patches import gather, origins_of, scatter_add
from reucid_core.terrain import full_terrain
from tests.support.strategies import seeds


def orthonormal(p: int, number: int, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return np.linalg.qr(rng.normal(size=(p * p, number)))[0].T.reshape(number, p, p)


def by_definition(image: NDArray[np.float64], E: NDArray[np.float64]) -> NDArray[np.float64]:
    """Every patch projected, added up where it lies, and divided by how many overlap."""
    p = E.shape[-1]
    m, n = image.shape
    origins = origins_of(np.ones((m - p + 1, n - p + 1), dtype=bool), n)
    basis = E.reshape(len(E), -1)
    canvas = np.zeros_like(image)
    scatter_add(canvas, gather(image, origins, p) @ basis.T @ basis, origins, p)
    return np.asarray(canvas / full_terrain((m, n), p))


@given(
    p=st.sampled_from([3, 5, 7]),
    extra=st.tuples(st.integers(0, 30), st.integers(0, 30)),
    number=st.integers(1, 4),
    seed=seeds,
)
@settings(max_examples=40, deadline=None)
def test_one_image_or_several_by_the_definition(
    p: int, extra: tuple[int, int], number: int, seed: int
) -> None:
    E = orthonormal(p, number, seed)
    images = np.random.default_rng(seed).normal(3, 1, (3, p + extra[0], p + extra[1]))
    expected = np.stack([by_definition(image, E) for image in images])
    held = Projection(E, held=True)
    for found in (
        held.fuse(images),
        Projection(E).fuse(images),
        np.stack([held.fuse(image) for image in images]),
        np.stack([project_and_fuse(image, E) for image in images]),
    ):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("shape", [(40, 50), (6, 50)])
@pytest.mark.parametrize("height", [None, 16])
def test_written_where_it_is_told(shape: tuple[int, int], height: int | None) -> None:
    E = orthonormal(5, 3, 1)
    image = np.random.default_rng(0).normal(3, 1, shape)
    canvas = np.zeros((2 * shape[0], 2 * shape[1]))
    Projection(E).fuse(image, height=height, out=canvas[::2, 1::2])
    np.testing.assert_array_equal(canvas[::2, 1::2], Projection(E).fuse(image, height=height))
    assert not canvas[1::2].any()
    assert not canvas[:, ::2].any()


@pytest.mark.parametrize("p", [MOST_DENSE + 1, MOST_DENSE + 3])
def test_corners_with_and_without_an_operator(p: int) -> None:
    E = orthonormal(p, 3, 1)
    symmetric = (E + E[:, ::-1, ::-1]) / 2  # themselves, turned by half
    image = np.random.default_rng(0).normal(size=(2 * p + 5, 3 * p))
    for each in (E, symmetric):
        found = Projection(each, held=True).fuse(image)
        np.testing.assert_allclose(found, by_definition(image, each), rtol=0, atol=1e-11)


def test_responses_of_the_last_shapes_alone_are_held() -> None:
    held = Projection(orthonormal(3, 2, 0), held=True)
    for side in range(20, 20 + 2 * SHAPES):
        held.fuse(np.ones((side, side)))
    assert len(held._responses) <= SHAPES
