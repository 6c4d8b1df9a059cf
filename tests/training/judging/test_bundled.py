"""The weights that are shipped."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from reucid_core import denoise
from reucid_core.classifier import (
    BUNDLED,
    PAPER,
    WEIGHTS,
    Architecture,
    Classifier,
    load_classifier,
)
from reucid_core.metrics import psnr
from reucid_core.params import ScanNoise
from reucid_core.training.judging import baselines
from reucid_core.training.judging.case import Case, restore
from reucid_core.training.judging.contenders import Contender, Network
from reucid_core.training.judging.evaluate import Score, score
from reucid_core.training.labels.examples import Example, make_example
from reucid_core.training.micrographs.crystals import Crystal
from reucid_core.training.micrographs.micrograph import demonstration, write_demonstration
from reucid_core.training.micrographs.recipes import Recipe
from reucid_core.training.micrographs.simulate import RowNoise, View
from reucid_core.training.networks.card import readable
from reucid_core.training.networks.fit import DECISIONS

# In no list of crystals, so in no training, and like none of them.
UNSEEN = Crystal("unseen", "unseen", (4.6, 2.7), ((0, 0, "W"), (0.5, 0.5, "W"), (0.2, 0.4, "Ti")))


@pytest.fixture(scope="module", params=["paper", "tuned"])
def path(request: pytest.FixtureRequest) -> Path:
    return WEIGHTS / f"{request.param}.safetensors"


@pytest.fixture(scope="module", params=DECISIONS)
def classify(path: Path, request: pytest.FixtureRequest) -> Classifier:
    return load_classifier(path, scan_noise=request.param)


def unseen(dose: float, offset: float, black: float = 0.0) -> Recipe:
    return Recipe(
        specimen=UNSEEN,
        view=View(shape=(128, 128), sampling=0.2, rotation=17),
        dose=dose,
        rows=RowNoise(offset=offset),
        black_level=black,
        patch_size=11,
        seed=5,
    )


@pytest.fixture(scope="module")
def example() -> Example:
    return make_example(unseen(1000, 0.05))


def test_utilities_are_probabilities(example: Example, classify: Classifier) -> None:
    utilities = classify(example.decomposition)
    assert utilities.shape == example.keep.image_oracle.shape
    assert ((utilities >= 0) & (utilities <= 1)).all()


def test_the_sign_of_an_eigenpatch_does_not_matter(example: Example, classify: Classifier) -> None:
    decomposition = example.decomposition
    signs = np.random.default_rng(0).choice([-1, 1], size=(len(decomposition.eigenpatches), 1, 1))
    flipped = replace(decomposition, eigenpatches=signs * decomposition.eigenpatches)
    np.testing.assert_allclose(classify(flipped), classify(decomposition), atol=1e-6)


@pytest.fixture(scope="module")
def scores() -> list[Score]:
    contenders = [Contender("2 sigma^2 N", baselines.noise_multiple)]
    for decision in DECISIONS:
        network = Network(load_classifier(scan_noise=decision))
        contenders.append(Contender("tuned", network, decision))
    recipes = [
        unseen(dose, offset, black)
        for dose, black in ((100, 0.0), (1000, 0.5), (10000, 0.0))
        for offset in (0.0, 0.05)
    ]
    cases = [Case.of(recipe) for recipe in recipes]
    return [score(case, each) for case in cases for each in restore(case, contenders)]


def losses(scores: list[Score], method: str, offset: float, decision: ScanNoise) -> list[float]:
    return [
        one.loss
        for one in scores
        if (one.method, one.offset, one.scan_noise) == (method, offset, decision)
    ]


def test_it_is_near_the_oracle_on_an_unseen_crystal(scores: list[Score]) -> None:
    white = losses(scores, "tuned", 0.0, "keep")
    assert len(white) == 3
    assert np.mean(white) <= 0.5
    assert max(white) <= 1.0


def test_streaks_are_removed_on_demand_where_a_rule_keeps_them(scores: list[Score]) -> None:
    ours = losses(scores, "tuned", 0.05, "remove")
    assert len(ours) == 3
    assert np.mean(ours) <= 1.0
    assert np.mean(ours) < np.mean(losses(scores, "2 sigma^2 N", 0.05, "remove")) - 1


def test_the_demonstration_gains_decibels(classify: Classifier) -> None:
    noisy, truth = demonstration()
    result = denoise(noisy, classify=classify)
    assert psnr(result.image, truth) > psnr(noisy, truth) + 6
    assert result.report.scan_noise == classify.scan_noise


def test_the_bundled_micrograph_is_the_simulated_one(tmp_path: Path) -> None:
    for path in write_demonstration(tmp_path):
        bundled = BUNDLED.parents[2] / "app" / "commands" / "demo" / path.name
        np.testing.assert_allclose(tifffile.imread(path), tifffile.imread(bundled), rtol=1e-6)
        with tifffile.TiffFile(bundled) as file:
            assert file.imagej_metadata is not None
            assert file.imagej_metadata["unit"] == "nm"
            numerator, denominator = file.pages.first.tags["XResolution"].value
            assert denominator / numerator == pytest.approx(0.02)


def test_the_readable_cards_are_those_of_the_weights() -> None:
    files = sorted(WEIGHTS.glob("*.safetensors"))
    assert [file.stem for file in files] == ["paper", "tuned"]
    digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    cards = {file.name: load_classifier(file).card for file in files}
    assert (WEIGHTS / "README.md").read_text() == readable(digests, cards)
    assert Architecture.of(cards["paper.safetensors"]) == PAPER
