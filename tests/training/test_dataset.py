from dataclasses import replace

import numpy as np
import pytest
import torch

from reucid_core.training.crystals import CRYSTALS
from reucid_core.training.dataset import (
    Example,
    Recipe,
    augment,
    datapoints,
    draw_recipes,
    make_example,
    make_examples,
    split,
    without,
)


def small(recipe: Recipe) -> Recipe:
    return replace(recipe, view=replace(recipe.view, shape=(48, 48)), patch_size=5)


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return make_examples([small(recipe) for recipe in draw_recipes(2, 4, seed=3)])


def test_the_same_seed_draws_the_same_examples() -> None:
    recipe = small(draw_recipes(1, 1, seed=7)[4])
    assert draw_recipes(1, 1, seed=7) == draw_recipes(1, 1, seed=7) != draw_recipes(1, 1, seed=8)
    one, other = make_example(recipe), make_example(recipe)
    np.testing.assert_array_equal(one.decomposition.eigenpatches, other.decomposition.eigenpatches)
    np.testing.assert_array_equal(one.image_labels, other.image_labels)


def test_recipes_cover_what_is_promised() -> None:
    recipes = draw_recipes(50, 50, seed=0)
    assert {recipe.crystal.name for recipe in recipes} == {*CRYSTALS, "invented"}
    stated = {recipe.patch_size for recipe in recipes if recipe.patch_size is not None}
    assert stated == set(range(5, 32, 2))
    assert len({recipe.seed for recipe in recipes}) == len(recipes)
    assert all(50 <= recipe.dose <= 20000 for recipe in recipes)


def test_no_image_is_on_both_sides_of_a_split(examples: list[Example]) -> None:
    training, validation = split(examples, 0.8, seed=0)
    seeds = [{example.recipe.seed for example in side} for side in (training, validation)]
    assert not seeds[0] & seeds[1]
    assert seeds[0] | seeds[1] == {example.recipe.seed for example in examples}
    assert split(examples, 0.8, seed=0)[0] == training


def test_leaving_out_a_family_leaves_out_its_likes(examples: list[Example]) -> None:
    rest = without(examples, CRYSTALS["Si[110]"].family)
    assert 0 < len(rest) < len(examples)
    assert not {"Si[110]", "GaAs[110]"} & {example.recipe.crystal.name for example in rest}


def test_eight_variants_differ_and_return() -> None:
    eigenpatches = torch.rand(2, 1, 25, 25, generator=torch.Generator().manual_seed(0))
    variants = [augment(eigenpatches, number) for number in range(8)]
    assert torch.equal(variants[0], eigenpatches)
    for one in range(8):
        assert not any(torch.equal(variants[one], variants[other]) for other in range(one))
    assert torch.equal(augment(variants[3], 1), eigenpatches)


def test_datapoints_carry_labels_and_costs(examples: list[Example]) -> None:
    batch = datapoints(examples)
    assert len(batch) == sum(len(example.image_labels) for example in examples)
    assert batch.eigenpatches.shape[1:] == (1, 25, 25)
    assert (batch.costs >= 0).all()
    assert (batch.costs[:1] > 1).all()  # nobody can do without the first eigenpatch
    variant = torch.full((len(batch),), 6)
    assert torch.equal(batch.augmented(variant).eigenpatches, augment(batch.eigenpatches, 6))
    assert set(batch.labels.tolist()) == {0.0, 1.0}


def test_no_subset_flipped_by_one_beats_the_labels(examples: list[Example]) -> None:
    for example in examples:
        assert example.loss(example.patch_labels) >= -1e-9
        first = np.arange(25) == 0
        assert example.loss(np.zeros(25, dtype=bool)) == example.loss(first) >= 0
