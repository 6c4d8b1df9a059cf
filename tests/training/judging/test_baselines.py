"""Rules that choose eigenpatches, against what they claim to estimate."""

from itertools import product

import numpy as np
import pytest

from reucid_core.eigenpatches import Decomposition
from reucid_core.exact import Transform, decompose_all
from reucid_core.training.judging import baselines
from reucid_core.training.judging.baselines import TuningExample
from reucid_core.training.labels.examples import make_example
from reucid_core.training.labels.oracle import Components
from reucid_core.training.micrographs.crystals import CRYSTALS
from reucid_core.training.micrographs.recipes import Recipe
from reucid_core.training.micrographs.simulate import View, simulate

SIGMA = 0.3


def decompose(image: np.ndarray, p: int, components: int) -> Decomposition:
    return decompose_all(Transform.of(image), p, components)


def lattice(shape: tuple[int, int] = (96, 90)) -> np.ndarray:
    return simulate(CRYSTALS["Si[110]"], View(shape=shape, sampling=0.25, rotation=15))


@pytest.fixture(scope="module")
def examples() -> list[TuningExample]:
    view = View(shape=(80, 80), sampling=0.3)
    made = [
        make_example(Recipe(specimen=CRYSTALS[name], view=view, dose=dose, patch_size=7, seed=seed))
        for seed, (name, dose) in enumerate(product(("Si[110]", "GaN[11-20]"), (100.0, 2000.0)))
    ]
    return [TuningExample(each.decomposition, each.keep.error) for each in made]


def test_a_constant_image_keeps_its_first_eigenpatch() -> None:
    assert baselines.noise_multiple(decompose(np.full((20, 20), 7.0), 3, 9))[0]


@pytest.mark.parametrize(
    ("beta", "published"), [(0.05, 1.5194), (0.1, 1.6089), (0.5, 2.1711), (1.0, 2.8582)]
)
def test_omega_has_its_published_values(beta: float, published: float) -> None:
    assert baselines.omega(beta) == pytest.approx(published, abs=2e-4)


def test_hard_threshold_of_a_square_matrix() -> None:
    assert baselines.hard_threshold(1.0) == pytest.approx(4 / np.sqrt(3))


def test_marchenko_pastur_median_is_that_of_a_random_matrix() -> None:
    matrix = np.random.default_rng(0).normal(size=(200, 800))
    eigenvalues = np.linalg.svd(matrix, compute_uv=False) ** 2 / 800
    expected = baselines.marchenko_pastur_median(0.25)
    assert np.median(eigenvalues) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("components", [49, 30])
@pytest.mark.parametrize(
    "rule", [baselines.gavish_donoho, baselines.marchenko_pastur_edge, baselines.noise_multiple]
)
def test_rules_keep_a_rank_of_two(rule: baselines.Rule, components: int) -> None:
    p, n_patches = 7, 4000
    rng = np.random.default_rng(3)
    basis = np.linalg.qr(rng.normal(size=(49, 2)))[0]
    patches = 3 * rng.normal(size=(n_patches, 2)) @ basis.T
    patches += rng.normal(0, SIGMA, (n_patches, p * p))
    found = Decomposition.of_gram_matrix(patches.T @ patches, components, n_patches=n_patches)
    np.testing.assert_array_equal(np.flatnonzero(rule(found)), [0, 1])


def test_truncation_and_relative_values() -> None:
    found = decompose(lattice(), 5, 25)
    assert baselines.truncation(found, 4).sum() == 4
    assert baselines.relative_singular_value(found, 2.0).sum() == 1  # never none
    assert baselines.relative_singular_value(found, 0.0).sum() == 25


def test_gradient_of_white_noise_is_four_and_of_a_constant_zero() -> None:
    e = np.random.default_rng(0).normal(size=(400, 11, 11))
    e[0] = 1.0
    found = Decomposition(e, np.ones(400), 1000, 400.0)
    assert baselines.gradient(found)[0] == 0.0
    assert baselines.gradient(found)[1:].mean() == pytest.approx(4.0, rel=0.02)


def test_entropy_is_zero_for_one_level_and_four_bits_for_all() -> None:
    e = np.stack([np.ones((4, 4)), np.arange(16.0).reshape(4, 4)])
    found = Decomposition(e, np.ones(2), 1000, 2.0)
    np.testing.assert_allclose(baselines.entropy(found), [0.0, 4.0])


def test_tuned_threshold_is_the_best_of_all(examples: list[TuningExample]) -> None:
    def mean(rule: baselines.Rule) -> float:
        return float(np.mean([e.error.psnr(rule(e.decomposition)) for e in examples]))

    best = baselines.best_noise_multiple(examples)
    for c in (0.9, 1.2, 1.6, 2.0, 3.0, 5.0, 10.0):
        assert mean(best) >= mean(baselines.Threshold(baselines.noise_multiples, c)) - 1e-9
    alpha = baselines.best_truncation(examples)
    fixed = [mean(lambda d, a=a: baselines.truncation(d, a)) for a in range(1, 49)]  # type: ignore[misc]
    assert mean(alpha) == pytest.approx(max(fixed))
    assert mean(baselines.best_entropy(examples)) < mean(best)


def test_tuning_needs_examples() -> None:
    with pytest.raises(ValueError, match="at least one"):
        baselines.best_gradient([])


def test_traces_are_those_of_the_operators() -> None:
    shape, p = (8, 9), 3
    found = decompose(np.random.default_rng(1).normal(size=shape), p, 4)
    from reucid_core.terrain import full_terrain

    impulses = np.eye(72).reshape(72, *shape)
    fused = np.stack([Components.of(found, impulse).fused for impulse in impulses])
    expected = np.einsum("jkj->k", fused.reshape(72, 4, 72))
    traces = baselines.fused_traces(found, 1.0 / full_terrain(shape, p))
    np.testing.assert_allclose(traces, expected)


@pytest.mark.parametrize("shot", [False, True])
def test_steins_estimate_is_the_error_in_expectation(shot: bool) -> None:
    truth = lattice((30, 32))
    sigma = SIGMA * np.sqrt(truth + 0.1) if shot else np.full(truth.shape, SIGMA)
    rng = np.random.default_rng(5)
    fixed = decompose(truth + rng.normal(0, sigma), 5, 12)  # of other noise than below
    kept = np.arange(12) < 5
    differences = []
    for _ in range(200):
        noisy = truth + rng.normal(0, sigma)
        estimate = baselines.sure_error(fixed, noisy, sigma**2).squared_error(kept)
        differences.append(estimate - Components.of(fixed, noisy).error(truth).squared_error(kept))
    standard_error = np.std(differences) / np.sqrt(len(differences))
    assert abs(np.mean(differences)) < 3 * standard_error
    assert standard_error < 0.01 * np.sum(sigma**2)


def test_steins_subset_is_near_the_oracle() -> None:
    truth = lattice((128, 128))
    noisy = truth + np.random.default_rng(2).normal(0, SIGMA, truth.shape)
    found = decompose(noisy, 7, 49)
    error = Components.of(found, noisy).error(truth)
    from reucid_core.training.labels.oracle import image_oracle

    best = error.psnr(image_oracle(error, baselines.noise_multiple(found)))
    kept = baselines.sure_subset(found, noisy, gram=error.gram)
    np.testing.assert_array_equal(kept, baselines.sure_subset(found, noisy))
    assert error.psnr(kept) > best - 0.7
