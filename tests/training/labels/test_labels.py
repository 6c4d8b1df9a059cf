from itertools import product

import numpy as np
import pytest

from reucid_core import DenoiseParams, denoise
from reucid_core.metrics import psnr
from reucid_core.patches import gather, origin_grid, origins_of
from reucid_core.training.labels.examples import Example, make_example
from reucid_core.training.labels.oracle import Components, image_oracle
from reucid_core.training.micrographs.crystals import CRYSTALS
from reucid_core.training.micrographs.recipes import Recipe, micrograph
from reucid_core.training.micrographs.simulate import View


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    view = View(shape=(32, 30), sampling=0.3, rotation=20)
    return Recipe(specimen=CRYSTALS["Si[110]"], view=view, dose=300, patch_size=3, seed=1)


@pytest.fixture(scope="module")
def example(recipe: Recipe) -> Example:
    return make_example(recipe)


def test_patch_changes_are_those_of_the_patch_matrices(recipe: Recipe, example: Example) -> None:
    images = micrograph(recipe)
    noisy, truth = images.noisy, images.specimen
    origins = origins_of(np.ones(origin_grid((32, 30), 3), dtype=bool), 30)
    noisy_patches, true_patches = (gather(image, origins, 3) for image in (noisy, truth))
    changes = []
    for e in example.decomposition.eigenpatches.reshape(9, -1):
        error = np.outer(noisy_patches @ e, e) - true_patches
        changes.append(np.sum(error**2) - np.sum(true_patches**2))
    expected = np.array(changes)
    components = Components.of(example.decomposition, noisy)
    found = components.patch_changes(truth)
    np.testing.assert_allclose(found, expected, atol=1e-8 * np.abs(expected).max())
    np.testing.assert_array_equal(components.patch_oracle(truth), expected < 0)


def test_subset_error_is_that_of_the_pipeline(recipe: Recipe, example: Example) -> None:
    images = micrograph(recipe)
    noisy, truth = images.noisy, images.specimen
    kept = example.keep.image_oracle
    result = denoise(
        noisy, DenoiseParams(patch_size=3, stacks=1), classify=lambda _: kept.astype(float)
    )
    assert example.keep.error.psnr(kept) == pytest.approx(psnr(result.image, truth), abs=1e-6)
    assert example.keep.error.flips(kept)[2] == pytest.approx(
        example.keep.error.squared_error(kept ^ (np.arange(9) == 2))
        - example.keep.error.squared_error(kept)
    )


def test_all_components_together_are_the_image(recipe: Recipe, example: Example) -> None:
    noisy = micrograph(recipe).noisy
    fused = Components.of(example.decomposition, noisy).fused
    np.testing.assert_allclose(fused.sum(axis=0), noisy.ravel(), atol=1e-6)  # float32 eigenpatches


@pytest.mark.parametrize("seed", range(4))
def test_image_oracle_is_the_best_of_all_subsets_but_for_a_trifle(
    recipe: Recipe, example: Example, seed: int
) -> None:
    images = micrograph(recipe)
    noisy, truth = images.noisy, images.specimen
    error = Components.of(example.decomposition, noisy).error(truth)
    best = max(error.psnr(np.array(z)) for z in product((False, True), repeat=9))
    start = np.random.default_rng(seed).random(9) < 0.5
    found = image_oracle(error, start)
    assert (error.flips(found) >= -1e-9 * error.energy).all()
    assert best - 0.05 <= error.psnr(found) <= best
    assert error.psnr(example.keep.image_oracle) >= error.psnr(example.keep.patch_oracle)
