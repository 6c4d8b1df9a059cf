"""Training on people's answers alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reucid_core.classifier import load_classifier
from reucid_core.errors import SurveyError
from reucid_core.training.labels.examples import decompose_whole
from reucid_core.training.labels.survey import Choice, SurveyImage, label
from reucid_core.training.labels.survey_files import load_survey, survey_bytes
from reucid_core.training.micrographs.crystals import CRYSTALS
from reucid_core.training.micrographs.recipes import Recipe, micrograph
from reucid_core.training.micrographs.simulate import View
from reucid_core.training.networks.card import readable, survey_card, survey_model_card
from reucid_core.training.networks.fit import DECISIONS, FitOptions, write
from reucid_core.training.networks.survey_fit import (
    FEW,
    check_survey,
    fit_survey,
    held_back,
    threshold_of,
)

OPTIONS = FitOptions(epochs=12, epoch_size=512, batch_size=64)
ANSWERS = {100.0: 4, 1000.0: 8, 10000.0: 12}  # by dose: what respondents are made to choose


@pytest.fixture(scope="module")
def survey() -> list[SurveyImage]:
    images = []
    for name in ("Si[110]", "SrTiO3[100]"):
        for dose, alpha in ANSWERS.items():
            view = View(shape=(48, 48), sampling=0.2, rotation=30)
            recipe = Recipe(specimen=CRYSTALS[name], view=view, dose=dose, seed=int(dose))
            decomposition = decompose_whole(micrograph(recipe).noisy, 5)
            choice = Choice.of([alpha - 1, alpha, alpha + 1])
            images.append(label(f"{name} {dose:g}", decomposition, choice))
    return images


def test_each_image_is_held_back_once_where_there_are_few() -> None:
    for n in (2, 4, 5, FEW - 1):
        groups = held_back(n, seed=0)
        assert sorted(i for _, unseen in groups for i in unseen) == list(range(n))
        assert all(seen and not set(seen) & set(unseen) for seen, unseen in groups)


def test_a_fifth_is_held_back_where_there_are_many() -> None:
    ((seen, unseen),) = held_back(20, seed=0)
    assert (len(seen), len(unseen)) == (16, 4)
    assert sorted(seen + unseen) == list(range(20))


def test_the_threshold_keeps_as_many_as_people_chose() -> None:
    utilities = [np.linspace(1, 0, 21)] * 2
    threshold, misses = threshold_of(utilities, np.array([6.0, 8.0]))
    kept = int((utilities[0] >= threshold).sum())
    assert 6 <= kept <= 8
    np.testing.assert_array_equal(misses, [kept - 6, kept - 8])


def test_a_network_of_a_survey_keeps_what_people_chose(survey: list[SurveyImage]) -> None:
    """Cross-validated: each image's answer was guessed by networks that had not seen it."""
    fitted = fit_survey(survey, OPTIONS, scan_noise="keep")
    assert fitted.folds == 5
    assert len(fitted.misses) == len(survey)
    # Always the mean answer of 8 would miss by 2.7.
    assert np.abs(fitted.misses).mean() < 2.5


def test_it_repeats(survey: list[SurveyImage]) -> None:
    short = replace(OPTIONS, epochs=1)
    one, again = (fit_survey(survey, short, scan_noise="remove") for _ in range(2))
    assert again.threshold == one.threshold
    np.testing.assert_array_equal(again.misses, one.misses)


def test_the_card_says_what_took_part_and_what_did_not(
    survey: list[SurveyImage], tmp_path: Path
) -> None:
    labels = tmp_path / "labels.safetensors"
    labels.write_bytes(survey_bytes(survey, {}))
    images = load_survey(labels)
    fits = [
        fit_survey(images, replace(OPTIONS, epochs=2), scan_noise=decision)
        for decision in DECISIONS
    ]
    card = survey_model_card(
        "own", fits, images, options=OPTIONS, command="a test", survey=survey_card(labels, images)
    )
    path = tmp_path / "own.safetensors"
    write(fits, path, card)
    card = dict(load_classifier(path).card)
    assert card["labels"] == "a survey"
    assert card["images"] == {"training": 6, "validation": 6}
    assert card["specimens"] == sorted(each.image for each in survey)
    page = readable({"own": "0" * 64}, {"own": card})
    for text in (page, card["data"], card["limits"]):
        assert "multislice" not in text
        assert "Simulated" not in text
        assert "no experimental" not in text
    assert "nothing was simulated" in page
    assert "cross-validation in 5 parts" in page
    assert "dB" not in page


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda images: images[:0], "got labels of 0 images, expected at least 2"),
        (lambda images: images[:1], "got labels of 1 image, expected at least 2"),
        (lambda images: [replace(each, respondents=1) for each in images], "got one answer"),
        (lambda images: [replace(each, alpha=7.0) for each in images], "the same mean answer, 7"),
    ],
)
def test_a_survey_that_teaches_nothing_is_refused(
    survey: list[SurveyImage], change: object, reason: str
) -> None:
    assert callable(change)
    with pytest.raises(SurveyError, match=reason):
        check_survey(change(survey))


@pytest.mark.parametrize("alpha", [0.0, 26.0])
def test_an_answer_beyond_what_there_is_is_refused(
    survey: list[SurveyImage], tmp_path: Path, alpha: float
) -> None:
    path = tmp_path / "labels.safetensors"
    path.write_bytes(survey_bytes([replace(survey[0], alpha=alpha)], {}))
    with pytest.raises(SurveyError, match="expected 1 to 25"):
        load_survey(path)
