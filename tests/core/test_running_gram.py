"""The Gram matrix of rows that come in any blocks and order, some of them again."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reucid_core.running_gram import RunningGram
from tests.support.strategies import odd_patch_sizes, seeds

ROWS, COLUMNS = 26, 17
Blocks = list[tuple[int, int]]

blocks: st.SearchStrategy[Blocks] = st.lists(
    st.tuples(st.integers(0, ROWS - 1), st.integers(1, ROWS)).map(
        lambda drawn: (drawn[0], min(ROWS, drawn[0] + drawn[1]))
    ),
    min_size=1,
    max_size=8,
)


def literal(
    image: NDArray[np.float64], there: NDArray[np.bool_], p: int
) -> tuple[NDArray[np.float64], int]:
    """By the definition: from all patches whose rows are there."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (p, p))
    whole = np.lib.stride_tricks.sliding_window_view(there, p).all(axis=1)
    patches = windows[whole].reshape(-1, p * p)
    return patches.T @ patches, len(patches)


@given(blocks=blocks, p=odd_patch_sizes, seed=seeds, offset=st.sampled_from([0.0, 30.0]))
@settings(max_examples=60, deadline=None)
def test_it_is_that_of_all_patches_that_are_there(
    blocks: Blocks, p: int, seed: int, offset: float
) -> None:
    rng = np.random.default_rng(seed)
    image = np.zeros((ROWS, COLUMNS))
    gram = RunningGram(image, p)
    for first, stop in blocks:
        if gram.counted[first:stop].any():
            gram.discount(first, stop)
        image[first:stop] = offset + rng.normal(size=(stop - first, COLUMNS))
        gram.count(first, stop)
    expected, n_patches = literal(image, gram.counted, p)
    assert gram.n_patches == n_patches
    scale = max(float(np.trace(expected)), 1e-300)
    np.testing.assert_allclose(gram.matrix / scale, expected / scale, atol=1e-13)


def test_enormous_rows_leave_nothing_behind_once_they_are_replaced() -> None:
    rng = np.random.default_rng(3)
    image = rng.normal(size=(ROWS, COLUMNS))
    gram = RunningGram(image, 5)
    image[8:12] *= 1e9
    gram.count(0, ROWS)
    gram.discount(8, 12)
    image[8:12] /= 1e9
    gram.count(8, 12)
    expected, _ = literal(image, gram.counted, 5)
    np.testing.assert_allclose(gram.matrix, expected, rtol=0, atol=1e-12 * np.trace(expected))


@given(height=st.integers(8, 64), p=st.sampled_from([5, 9]))
@settings(max_examples=20, deadline=None)
def test_the_work_follows_the_rows_that_are_new(height: int, p: int) -> None:
    image = np.random.default_rng(1).normal(size=(400, 12))
    gram = RunningGram(image, p)
    for first in range(0, 400, height):
        before = gram.rows_read
        gram.count(first, min(400, first + height))
        assert gram.rows_read - before <= height + p - 1
    before = gram.rows_read
    gram.discount(100, 100 + height)
    gram.count(100, 100 + height)
    assert gram.rows_read - before <= 2 * (height + 2 * (p - 1))
