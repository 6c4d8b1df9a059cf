import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from reucid_core.classifier import FORMAT, PAPER, Architecture, EigenpatchNet, load_classifier
from reucid_core.errors import ModelError
from reucid_core.features import FEATURES
from reucid_core.training.labels.examples import Example, make_examples
from reucid_core.training.labels.survey import SurveyImage
from reucid_core.training.labels.survey_files import load_survey, survey_bytes
from reucid_core.training.micrographs.crystals import CRYSTALS
from reucid_core.training.micrographs.recipes import Recipe
from reucid_core.training.micrographs.simulate import RowNoise, View
from reucid_core.training.networks.card import model_card, readable, survey_card
from reucid_core.training.networks.dataset import datapoints, surveyed_datapoints
from reucid_core.training.networks.fit import (
    DECISIONS,
    Fit,
    FitOptions,
    as_classifier,
    cross_entropy,
    fit,
    write,
)

SEEING = Architecture(channels=(4, 5), widths=(8, 6), inputs=FEATURES)
OPTIONS = {
    "paper": FitOptions(epochs=4, epoch_size=512, batch_size=64),
    "seeing": FitOptions(architecture=SEEING, epochs=4, epoch_size=512, batch_size=64),
}


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    names = ("Si[110]", "MgO[100]", "graphene", "SrTiO3[100]")
    view = View(shape=(48, 48), sampling=0.2, rotation=30)
    return make_examples(
        [
            Recipe(
                specimen=CRYSTALS[name],
                view=view,
                dose=1000,
                rows=RowNoise(offset=0.05),
                patch_size=5,
                seed=seed,
            )
            for seed, name in enumerate(names)
        ]
    )


@pytest.fixture(scope="module", params=OPTIONS)
def options(request: pytest.FixtureRequest) -> FitOptions:
    return OPTIONS[request.param]


@pytest.fixture(scope="module")
def fits(examples: list[Example], options: FitOptions) -> list[Fit]:
    return [fit(examples[:3], examples[3:], options, scan_noise=each) for each in DECISIONS]


@pytest.fixture(scope="module")
def weights(
    fits: list[Fit],
    examples: list[Example],
    options: FitOptions,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    card = model_card("tiny", fits, examples[:3], examples[3:], options=options, command="a test")
    write(fits, path, card)
    return path


def test_the_paper_s_network_is_that_of_figure_3() -> None:
    shapes = {name: tuple(p.shape) for name, p in EigenpatchNet().named_parameters()}
    assert shapes == {
        "conv1.weight": (14, 1, 5, 5),
        "conv1.bias": (14,),
        "conv2.weight": (15, 14, 3, 3),
        "conv2.bias": (15,),
        "hidden.0.weight": (16, 16),
        "hidden.0.bias": (16,),
        "output.weight": (1, 16),
        "output.bias": (1,),
    }
    assert PAPER.inputs == ("relative_singular_value",)


def test_training_lowers_the_loss(fits: list[Fit]) -> None:
    for fitted in fits:
        assert fitted.epochs[-1].training_loss < 0.9 * fitted.epochs[0].training_loss


def test_training_repeats(fits: list[Fit], examples: list[Example], options: FitOptions) -> None:
    again = fit(examples[:3], examples[3:], options)
    assert again.epochs == fits[0].epochs
    for name, tensor in fits[0].network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], tensor)


def test_weights_survive_the_file(
    fits: list[Fit], weights: Path, examples: list[Example], options: FitOptions
) -> None:
    decomposition = examples[0].decomposition
    for fitted in fits:
        loaded = load_classifier(weights, scan_noise=fitted.scan_noise)
        np.testing.assert_allclose(
            loaded(decomposition), as_classifier(fitted.network)(decomposition), atol=1e-5
        )
        assert loaded.threshold == fitted.threshold
        assert loaded.scan_noise == fitted.scan_noise
        assert loaded.card["format"] == FORMAT
        assert Architecture.of(loaded.card) == options.architecture
        assert loaded.card["images"] == {"training": 3, "validation": 1}
        assert loaded.identity.startswith("tiny@sha256:")
        assert "Si[110]" in readable({"tiny": "0"}, {"tiny": loaded.card})


def test_the_two_decisions_are_two_networks(weights: Path, examples: list[Example]) -> None:
    keep, remove = (load_classifier(weights, scan_noise=each) for each in DECISIONS)
    decomposition = examples[0].decomposition
    assert not np.allclose(keep(decomposition), remove(decomposition), atol=1e-3)


def test_utilities_are_probabilities_on_what_calibrated_them(
    fits: list[Fit], examples: list[Example]
) -> None:
    for fitted in fits:
        labels = examples[3].labels(fitted.scan_noise).image_oracle
        utilities = as_classifier(fitted.network)(examples[3].decomposition)
        assert utilities.mean() == pytest.approx(labels.mean(), abs=0.1)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no classifier weights"):
        load_classifier(tmp_path / "none.safetensors")


@pytest.mark.parametrize("keep", [0, 7, 500, -4])
def test_a_damaged_file_is_refused(weights: Path, tmp_path: Path, keep: int) -> None:
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(ModelError, match=r"damaged\.safetensors"):
        load_classifier(damaged)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": "reucid-fig3"}, "reucid-fig3"),
        ({"architecture": {"channels": [14, 15], "widths": [16], "inputs": ["dose"]}}, "dose"),
        ({"architecture": {"channels": [14, 15], "widths": [7], "inputs": []}}, "does not fit"),
        ({"architecture": "unet"}, "architecture"),
        ({"thresholds": {}}, "keep"),
        ({"thresholds": {"keep": 7}}, "threshold"),
    ],
)
def test_another_card_is_refused(
    weights: Path, tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    path = tmp_path / "other.safetensors"
    card = {**load_classifier(weights).card, **change}
    save_file(load_file(weights), path, metadata={"card": json.dumps(card)})
    with pytest.raises(ModelError, match=reason):
        load_classifier(path)


def test_weights_that_are_not_finite_are_refused(weights: Path, tmp_path: Path) -> None:
    path, tensors = tmp_path / "nan.safetensors", load_file(weights)
    tensors["remove.output.bias"].fill_(float("nan"))
    card = json.dumps(load_classifier(weights).card)
    save_file(tensors, path, metadata={"card": card})
    with pytest.raises(ModelError, match="not finite"):
        load_classifier(path)


@pytest.fixture(scope="module")
def survey(examples: list[Example]) -> list[SurveyImage]:
    """People who want everything, whatever the truth says."""
    every = [np.ones_like(each.keep.image_oracle) for each in examples[:2]]
    return [
        SurveyImage("image.tif", e.decomposition, labels, len(labels), 0.0, 3)
        for e, labels in zip(examples, every, strict=False)
    ]


def test_people_s_labels_are_learned_beside_the_simulated(
    examples: list[Example], survey: list[SurveyImage], options: FitOptions
) -> None:
    names = options.architecture.inputs
    people = surveyed_datapoints(survey, names, cost=100 * options.weight_cap)
    assert people is not None
    assert surveyed_datapoints([], names, cost=1.0) is None
    joined = datapoints(examples, names).joined(people)
    assert len(joined) == len(people) + sum(len(e.keep.image_oracle) for e in examples)
    without, asked = (
        fit(examples[:3], examples[3:], options, people=each) for each in (None, people)
    )
    surprise = [cross_entropy(f.network, people).mean().item() for f in (without, asked)]
    # Their word weighs more than any micrograph's: costs of theirs have no limit.
    assert surprise[1] < 0.5 * surprise[0]


def test_datapoints_of_other_inputs_do_not_join(
    examples: list[Example], survey: list[SurveyImage]
) -> None:
    people = surveyed_datapoints(survey, ("log_rank",), cost=1.0)
    assert people is not None
    with pytest.raises(ValueError, match="expected"):
        datapoints(examples, ("log_excess",)).joined(people)


def test_a_card_tells_of_the_survey(
    fits: list[Fit], examples: list[Example], survey: list[SurveyImage], tmp_path: Path
) -> None:
    path = tmp_path / "labels.safetensors"
    path.write_bytes(survey_bytes(survey, {}))
    about = survey_card(path, load_survey(path))
    assert (about["images"], about["answers"]) == (2, 6)
    architecture = fits[0].network.architecture
    card = model_card(
        "tiny",
        fits,
        examples[:3],
        examples[3:],
        options=FitOptions(architecture=architecture),
        command="a test",
        survey=about,
    )
    assert card["survey"] == about
    assert "image oracle and a survey" in readable({"tiny": "0" * 64}, {"tiny": card})
