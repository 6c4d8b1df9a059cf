from dataclasses import replace

import numpy as np
import pytest

from reucid_core.eigenpatches import Decomposition
from reucid_core.features import FEATURES, features, noise_level
from reucid_core.training.examples import decompose_whole


@pytest.mark.parametrize("p", [5, 7, 11, 21])
@pytest.mark.parametrize("sigma", [0.1, 30.0])
def test_the_noise_level_of_noise_is_its_variance(p: int, sigma: float) -> None:
    noise = np.random.default_rng(0).normal(50 * sigma, sigma, (160, 160))
    assert noise_level(decompose_whole(noise, p, seed=0)) == pytest.approx(sigma**2, rel=0.05)


def test_the_noise_level_survives_a_strong_lattice() -> None:
    y, x = np.indices((160, 160))
    lattice = 40 * np.cos(y / 2) * np.cos(x / 3)
    noisy = 100 + lattice + np.random.default_rng(0).normal(0, 3, lattice.shape)
    assert noise_level(decompose_whole(noisy, 11, seed=0)) == pytest.approx(9, rel=0.1)


@pytest.fixture(scope="module")
def decomposition() -> Decomposition:
    y, x = np.indices((96, 96))
    image = 10 + np.cos(x) + np.random.default_rng(1).normal(0, 1, (96, 1))
    return decompose_whole(image + np.random.default_rng(2).normal(0, 0.3, y.shape), 9, seed=0)


def test_every_feature_is_there_and_finite(decomposition: Decomposition) -> None:
    found = features(decomposition)
    assert set(found) == set(FEATURES)
    for values in found.values():
        assert values.shape == (len(decomposition.eigenpatches),)
        assert np.isfinite(values).all()


def test_neither_sign_nor_scale_matters(decomposition: Decomposition) -> None:
    scaled = replace(
        decomposition,
        eigenpatches=-decomposition.eigenpatches,
        singular_values=7 * decomposition.singular_values,
        energy=49 * decomposition.energy,
    )
    again = features(scaled)
    for name, values in features(decomposition).items():
        np.testing.assert_allclose(again[name], values, atol=1e-9, err_msg=name)


def test_streaks_are_told_from_columns(decomposition: Decomposition) -> None:
    found = features(decomposition)
    assert found["row_level"][0] > found["column_level"][0]
    streaked = int(np.argmax(found["row_share"][1:])) + 1
    assert found["row_share"][streaked] > 0.8 > found["column_share"][streaked]


@pytest.mark.parametrize("level", [0.0, 5.0])
def test_an_image_without_noise_has_features_too(level: float) -> None:
    for values in features(decompose_whole(np.full((40, 40), level), 5, seed=0)).values():
        assert np.isfinite(values).all()
