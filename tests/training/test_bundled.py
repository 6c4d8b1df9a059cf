"""The weights that are shipped."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from reucid_core import denoise
from reucid_core.classifier import BUNDLED, Classifier, load_classifier
from reucid_core.metrics import psnr
from reucid_core.training.card import readable
from reucid_core.training.crystals import Crystal
from reucid_core.training.dataset import Example, Recipe, make_example
from reucid_core.training.evaluate import Score, score, summary, table
from reucid_core.training.micrograph import demonstration, write_demonstration
from reucid_core.training.simulate import View

# In no list of crystals, so in no training, and like none of them.
UNSEEN = Crystal("unseen", "unseen", (4.6, 2.7), ((0, 0, "W"), (0.5, 0.5, "W"), (0.2, 0.4, "Ti")))


@pytest.fixture(scope="module")
def classify() -> Classifier:
    return load_classifier()


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    view = View(shape=(128, 128), sampling=0.2, rotation=17)
    return [
        make_example(Recipe(crystal=UNSEEN, view=view, dose=dose, black_level=black, seed=5))
        for dose, black in ((100, 0.0), (500, 0.5), (1000, 0.0), (10000, 0.0))
    ]


@pytest.fixture(scope="module")
def scores(examples: list[Example], classify: Classifier) -> list[Score]:
    return [score(example, classify, classify.threshold) for example in examples]


def test_utilities_are_probabilities(examples: list[Example], classify: Classifier) -> None:
    for example in examples:
        utilities = classify(example.decomposition)
        assert utilities.shape == example.image_labels.shape
        assert ((utilities >= 0) & (utilities <= 1)).all()


def test_the_sign_of_an_eigenpatch_does_not_matter(
    examples: list[Example], classify: Classifier
) -> None:
    decomposition = examples[0].decomposition
    signs = np.random.default_rng(0).choice([-1, 1], size=(len(decomposition.eigenpatches), 1, 1))
    flipped = replace(decomposition, eigenpatches=signs * decomposition.eigenpatches)
    np.testing.assert_allclose(classify(flipped), classify(decomposition), atol=1e-6)


def test_loss_on_an_unseen_crystal_is_below_a_decibel(scores: list[Score]) -> None:
    assert np.median([one.network_loss for one in scores]) <= 1.0
    assert max(one.network_loss for one in scores) <= 2.0
    assert min(one.network - one.noisy for one in scores) > 3


def test_it_beats_the_rule_of_thumb(scores: list[Score]) -> None:
    assert np.mean([one.network_loss for one in scores]) < np.mean(
        [one.rule_loss for one in scores]
    )


def test_tables_tell_the_scores(scores: list[Score]) -> None:
    assert f"| {scores[0].network:.2f} |" in table(scores)
    assert f"| unseen | {np.median([one.network_loss for one in scores]):.2f} |" in summary(scores)


def test_the_demonstration_gains_decibels(classify: Classifier) -> None:
    noisy, truth = demonstration()
    result = denoise(noisy, classify=classify)
    assert psnr(result.image, truth) > psnr(noisy, truth) + 6


def test_the_bundled_micrograph_is_the_simulated_one(tmp_path: Path) -> None:
    for path in write_demonstration(tmp_path):
        bundled = BUNDLED.parents[2] / "app" / "demo" / path.name
        np.testing.assert_allclose(tifffile.imread(path), tifffile.imread(bundled), rtol=1e-6)
        with tifffile.TiffFile(bundled) as file:
            assert file.imagej_metadata is not None
            assert file.imagej_metadata["unit"] == "nm"
            numerator, denominator = file.pages.first.tags["XResolution"].value
            assert denominator / numerator == pytest.approx(0.02)


def test_the_readable_card_is_that_of_the_weights(classify: Classifier) -> None:
    readme = BUNDLED.parent / "README.md"
    assert readme.read_text() == readable(BUNDLED.name, classify.card)
