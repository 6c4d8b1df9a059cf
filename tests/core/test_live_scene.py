"""Whether a frame shows what the frames before have shown."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reucid_core.exact import Transform, gram_of_patches
from reucid_core.live_scene import Lags, Residual
from reucid_core.patches import origin_grid
from tests.support.strategies import blob_lattice, seeds

SHAPE = (96, 110)
P = 21


def frame(period: float, *, seed: int, noise: float = 8.0, drift: int = 0) -> Transform:
    rng = np.random.default_rng(seed)
    wide = blob_lattice((SHAPE[0] + 20, SHAPE[1] + 20), period=period, sigma=2.0)
    truth = 30 * wide[drift : drift + SHAPE[0], drift : drift + SHAPE[1]]
    return Transform.of(truth + rng.normal(0, noise, SHAPE), lags=40)


def lags(transform: Transform, *, of: str) -> Lags:
    if of == "correlation":
        return Lags.of_correlation(transform.correlation, 24, transform.image.size)
    rows, columns = origin_grid(SHAPE, P)
    return Lags.of_patches(gram_of_patches(transform, P), rows * columns)


@pytest.mark.parametrize("of", ["correlation", "patches"])
@given(seed=seeds, noise=st.floats(1, 60), drift=st.integers(0, 20))
@settings(max_examples=25, deadline=None)
def test_a_scene_that_drifts_is_the_same(of: str, seed: int, noise: float, drift: int) -> None:
    before = lags(frame(11.0, seed=seed, noise=noise), of=of)
    assert not lags(frame(11.0, seed=seed + 1, noise=noise, drift=drift), of=of).unlike(before)


@pytest.mark.parametrize("of", ["correlation", "patches"])
@given(seed=seeds, period=st.sampled_from([8.0, 9.0, 14.0, 17.0]))
@settings(max_examples=15, deadline=None)
def test_another_lattice_is_another_scene(of: str, seed: int, period: float) -> None:
    before = lags(frame(11.0, seed=seed), of=of)
    assert lags(frame(period, seed=seed + 1), of=of).unlike(before)


def test_the_patches_of_two_corners_have_all_lags() -> None:
    transform = frame(11.0, seed=2, noise=1.0)
    found = lags(transform, of="patches").values
    image = transform.image
    rows, columns = origin_grid(SHAPE, P)
    for b, d in ((1, 5), (4, 0), (20, 20)):
        pairs = image[:rows, :columns] * image[b : b + rows, d : d + columns]
        right = found[b - 1, P - 1 + d]
        assert right - found[0, P - 1] == pytest.approx(
            pairs.mean() - (image[:rows, :columns] * image[1 : 1 + rows, :columns]).mean()
        )
    for b, d in ((1, 3), (7, 20)):
        first = image[:rows, P - 1 : P - 1 + columns]
        pairs = first * image[b : b + rows, P - 1 - d : P - 1 - d + columns]
        assert found[b - 1, P - 1 - d] - found[0, P - 1] == pytest.approx(
            pairs.mean() - (image[:rows, :columns] * image[1 : 1 + rows, :columns]).mean()
        )


@given(seed=seeds, share=st.floats(0, 0.2))
@settings(max_examples=15, deadline=None)
def test_noise_is_the_same_noise_beside_what_departs(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    residuals = rng.normal(size=(2, *SHAPE))
    departs = rng.random((2, *SHAPE)) < np.array([share, 0.02])[:, None, None]
    residuals[departs] *= 5
    now, before = (Residual.of(*each) for each in zip(residuals, departs, strict=True))
    assert not now.unlike(before)


def test_far_more_that_departs_is_another_scene() -> None:
    rng = np.random.default_rng(1)
    before = Residual.of(rng.normal(size=SHAPE), rng.random(SHAPE) < 0.05)
    assert Residual.of(rng.normal(size=SHAPE), rng.random(SHAPE) < 0.4).unlike(before)
    assert not before.exceeded_by(0.29)


@pytest.mark.parametrize("louder", [1.3, 0.7])
def test_noise_that_has_become_louder_or_fainter_is_told(louder: float) -> None:
    rng = np.random.default_rng(1)
    nowhere = np.zeros(SHAPE, dtype=bool)
    before = Residual.of(rng.normal(size=SHAPE), nowhere)
    assert not Residual.of(rng.normal(size=SHAPE), nowhere).unlike(before)
    assert Residual.of(louder * rng.normal(size=SHAPE), nowhere).unlike(before)


def test_noise_that_has_become_correlated_along_the_rows_is_told() -> None:
    rng = np.random.default_rng(1)
    nowhere = np.zeros(SHAPE, dtype=bool)
    white = rng.normal(size=(2, *SHAPE))
    coloured = (white[1] + np.roll(white[1], 1, axis=1)) / np.sqrt(2)
    before = Residual.of(white[0], nowhere)
    assert Residual.of(coloured, nowhere).unlike(before)
