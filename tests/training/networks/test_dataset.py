from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reucid_core.features import FEATURES
from reucid_core.training.labels.examples import (
    Example,
    decompose_whole,
    kept_examples,
    make_example,
    make_examples,
    split,
    without,
)
from reucid_core.training.micrographs.crystals import CRYSTALS
from reucid_core.training.micrographs.drawing import draw_recipe, draw_recipes, paper_recipes
from reucid_core.training.micrographs.recipes import Recipe, micrograph
from reucid_core.training.micrographs.simulate import RowNoise, View
from reucid_core.training.networks.dataset import UPRIGHT, across, augment, datapoints, labelled


def small(recipe: Recipe) -> Recipe:
    return replace(recipe, view=replace(recipe.view, shape=(48, 48)), patch_size=5)


def drawn(each: int, invented: int, *, seed: int) -> list[Recipe]:
    return [
        recipe for group in draw_recipes(each, invented, seed=seed).values() for recipe in group
    ]


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return make_examples([small(recipe) for recipe in drawn(2, 4, seed=3)])


def test_the_same_seed_draws_the_same_examples() -> None:
    recipe = small(drawn(1, 1, seed=7)[4])
    assert draw_recipes(1, 1, seed=7) == draw_recipes(1, 1, seed=7) != draw_recipes(1, 1, seed=8)
    one, other = make_example(recipe), make_example(recipe)
    np.testing.assert_array_equal(one.decomposition.eigenpatches, other.decomposition.eigenpatches)
    np.testing.assert_array_equal(one.remove.image_oracle, other.remove.image_oracle)


def test_recipes_cover_what_is_promised() -> None:
    rng = np.random.default_rng(0)
    recipes = [draw_recipe(CRYSTALS["Si[110]"], rng=rng) for _ in range(3000)]
    stated = {recipe.patch_size for recipe in recipes if recipe.patch_size is not None}
    assert stated == set(range(5, 64, 2))
    assert all(30 <= recipe.dose <= 30_000 for recipe in recipes)
    assert all(0 <= recipe.read_noise <= 0.10 for recipe in recipes)
    shares = [
        np.mean([bool(getattr(r.rows, name)) for r in recipes]) for name in ("offset", "jitter")
    ]
    assert shares == pytest.approx([0.4, 0.25], abs=0.05)
    assert {r.specimen.name for r in drawn(1, 3, seed=0)} == {*CRYSTALS, "invented"}


def test_examples_are_kept_and_do_not_depend_on_the_processes(tmp_path: Path) -> None:
    recipes = [small(recipe) for recipe in drawn(1, 0, seed=3)[:3]]
    made = kept_examples(recipes, tmp_path, processes=2)
    found = kept_examples(recipes, tmp_path)
    for one, other, third in zip(made, found, make_examples(recipes), strict=True):
        for again in (other, third):
            np.testing.assert_array_equal(one.keep.image_oracle, again.keep.image_oracle)
            np.testing.assert_array_equal(one.keep.error.gram, again.keep.error.gram)
    assert len(list(tmp_path.iterdir())) == 1


def test_no_image_is_on_both_sides_of_a_split(examples: list[Example]) -> None:
    training, validation = split(examples, 0.8, seed=0)
    seeds = [{example.recipe.seed for example in side} for side in (training, validation)]
    assert not seeds[0] & seeds[1]
    assert seeds[0] | seeds[1] == {example.recipe.seed for example in examples}
    assert split(examples, 0.8, seed=0)[0] == training


def test_leaving_out_a_family_leaves_out_its_likes(examples: list[Example]) -> None:
    rest = without(examples, CRYSTALS["Si[110]"].family)
    assert 0 < len(rest) < len(examples)
    assert not {"Si[110]", "GaAs[110]"} & {example.recipe.specimen.name for example in rest}


def test_eight_variants_differ_and_rows_stay_rows_in_the_upright_ones() -> None:
    eigenpatches = torch.rand(2, 1, 25, 25, generator=torch.Generator().manual_seed(0))
    variants = [augment(eigenpatches, number) for number in range(8)]
    assert torch.equal(variants[0], eigenpatches)
    for one in range(8):
        assert not any(torch.equal(variants[one], variants[other]) for other in range(one))
    streaks = torch.rand(1, 1, 25, 1, generator=torch.Generator().manual_seed(1)).expand(
        1, 1, 25, 25
    )
    for number in range(8):
        turned = augment(streaks, number)
        assert bool((turned == turned[..., :1]).all()) is (number in UPRIGHT)


def test_features_of_a_turned_image_are_those_that_augmentation_takes() -> None:
    view = View(shape=(40, 40), sampling=0.25, rotation=20)
    rows = RowNoise(offset=0.1)
    recipe = Recipe(specimen=CRYSTALS["Si[110]"], view=view, dose=500, rows=rows, patch_size=5)
    image = micrograph(recipe).noisy
    batches = []
    for turned in (image, np.rot90(image)):
        decomposition = decompose_whole(turned, 5)
        ones = np.ones(len(decomposition.eigenpatches), np.float32)
        batches.append(labelled([decomposition], FEATURES, labels=ones, costs=ones))
    upright, turned_batch = batches
    np.testing.assert_allclose(
        upright.inputs[:, across(FEATURES)], turned_batch.inputs, rtol=1e-4, atol=1e-4
    )
    quarter = upright.augmented(torch.full((len(upright),), 4))
    np.testing.assert_allclose(quarter.inputs, turned_batch.inputs, rtol=1e-4, atol=1e-4)


def test_datapoints_carry_labels_and_costs(examples: list[Example]) -> None:
    batch = datapoints(examples, ("relative_singular_value",))
    assert len(batch) == sum(len(example.keep.image_oracle) for example in examples)
    assert batch.eigenpatches.shape[1:] == (1, 25, 25)
    assert (batch.costs >= 0).all()
    assert batch.costs[0] > 1  # nobody can do without the first eigenpatch
    assert set(batch.labels.tolist()) == {0.0, 1.0}


def test_no_subset_flipped_by_one_beats_the_labels(examples: list[Example]) -> None:
    for example in examples:
        for labels in (example.keep, example.remove):
            assert labels.loss(labels.patch_oracle) >= -1e-9
            first = np.arange(25) == 0
            assert labels.loss(np.zeros(25, dtype=bool)) == labels.loss(first) >= 0


def test_scan_noise_is_a_decision() -> None:
    view = View(shape=(64, 64), sampling=0.2)
    recipe = Recipe(
        specimen=CRYSTALS["Si[110]"],
        view=view,
        dose=3000,
        rows=RowNoise(offset=0.2, jitter=0.5),
        patch_size=7,
    )
    images, example = micrograph(recipe), make_example(recipe)
    assert not np.array_equal(images.scanned, images.specimen)
    assert images.truth("keep") is images.scanned
    assert images.truth("remove") is images.specimen
    assert (example.keep.image_oracle != example.remove.image_oracle).any()
    quiet = make_example(replace(recipe, rows=RowNoise()))
    assert quiet.keep is quiet.remove


def test_the_paper_s_images_are_one_for_every_patch_size() -> None:
    recipes = paper_recipes(CRYSTALS["graphene"], 1, patch_sizes=(11, 31), seed=1)
    assert len(recipes) == 8
    for one, other in zip(recipes[::2], recipes[1::2], strict=True):
        np.testing.assert_array_equal(micrograph(one).noisy, micrograph(other).noisy)
