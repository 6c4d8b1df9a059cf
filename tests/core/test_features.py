from dataclasses import replace

import numpy as np
import pytest

from reucid_core.eigenpatches import Decomposition
from reucid_core.exact import Transform, decompose_all
from reucid_core.features import FEATURES, features, noise_level
from reucid_core.training.labels.examples import decompose_whole
from reucid_core.training.micrographs.crystals import CRYSTALS
from reucid_core.training.micrographs.simulate import View, simulate

SIGMA = 0.3


def decompose(image: np.ndarray, p: int, components: int) -> Decomposition:
    return decompose_all(Transform.of(image), p, components)


@pytest.mark.parametrize(("p", "components"), [(5, 25), (7, 49), (7, 20), (11, 64), (21, 84)])
@pytest.mark.parametrize("signal", [0.0, 1.0])
@pytest.mark.parametrize("offset", [0.0, 50.0])
def test_the_noise_level_is_the_variance_of_white_noise(
    p: int, components: int, signal: float, offset: float
) -> None:
    view = View(shape=(160, 150), sampling=0.25, rotation=15)
    truth = signal * simulate(CRYSTALS["Si[110]"], view) + offset
    noisy = truth + np.random.default_rng(p).normal(0, SIGMA, truth.shape)
    found = noise_level(decompose(noisy, p, components))
    assert found == pytest.approx(SIGMA**2, rel=0.08)


def test_the_noise_level_survives_a_strong_lattice() -> None:
    y, x = np.indices((160, 160))
    lattice = 40 * np.cos(y / 2) * np.cos(x / 3)
    noisy = 100 + lattice + np.random.default_rng(0).normal(0, 3, lattice.shape)
    assert noise_level(decompose(noisy, 11, 64)) == pytest.approx(9, rel=0.03)


def test_the_noise_level_of_nothing_is_zero() -> None:
    assert noise_level(decompose(np.zeros((20, 20)), 3, 9)) == 0.0
    constant = decompose(np.full((20, 20), 7.0), 3, 9)
    assert noise_level(constant) == pytest.approx(0, abs=1e-10)


@pytest.fixture(scope="module")
def decomposition() -> Decomposition:
    y, x = np.indices((96, 96))
    image = 10 + np.cos(x) + np.random.default_rng(1).normal(0, 1, (96, 1))
    return decompose_whole(image + np.random.default_rng(2).normal(0, 0.3, y.shape), 9)


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
    for values in features(decompose_whole(np.full((40, 40), level), 5)).values():
        assert np.isfinite(values).all()
