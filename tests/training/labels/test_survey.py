"""Choices of people as labels, without files of images."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from reucid_core import DenoiseParams, denoise
from reucid_core.errors import ParameterError, SurveyError
from reucid_core.training.labels.ief import first
from reucid_core.training.labels.survey import Choice, SurveyImage, blinded, label, options_of
from reucid_core.training.labels.survey_files import (
    decomposition_bytes,
    load_decomposition,
    load_survey,
    survey_bytes,
)
from reucid_core.training.micrographs.crystals import CRYSTALS
from reucid_core.training.micrographs.recipes import Recipe, micrograph
from reucid_core.training.micrographs.simulate import View


@pytest.fixture(scope="module")
def noisy() -> NDArray[np.float64]:
    view = View(shape=(64, 72), sampling=0.3, rotation=20)
    return micrograph(Recipe(specimen=CRYSTALS["Si[110]"], view=view, dose=300, seed=1)).noisy


@pytest.fixture(scope="module")
def labelled(noisy: NDArray[np.float64]) -> list[SurveyImage]:
    choices = [Choice.of([3, 4]), Choice.of([7])]
    decompositions = [options_of(noisy, patch_size=p).decomposition for p in (5, 7)]
    return [
        label(f"image {p}", decomposition, choice)
        for p, decomposition, choice in zip((5, 7), decompositions, choices, strict=True)
    ]


@pytest.mark.parametrize("patch_size", [None, 7])
def test_reconstructions_are_those_of_the_pipeline(
    noisy: NDArray[np.float64], patch_size: int | None
) -> None:
    options = options_of(noisy, patch_size=patch_size, most=6)
    assert [alpha for alpha, _ in options.reconstructions()] == list(range(1, 7))
    for alpha in (1, 4):
        result = denoise(
            noisy,
            DenoiseParams(method="paper", patch_size=patch_size),
            classify=lambda d, alpha=alpha: first(alpha, len(d.eigenpatches)).astype(float),
        )
        np.testing.assert_array_equal(options.reconstruction(alpha), result.image)
        assert result.report.patch_size == options.decomposition.patch_size
        assert result.report.components == len(options.decomposition.eigenpatches)


def test_no_more_options_than_components(noisy: NDArray[np.float64]) -> None:
    assert options_of(noisy, patch_size=3, most=25).most == 9
    assert options_of(noisy, patch_size=11, most=90).most == 90
    with pytest.raises(ParameterError, match="which is even"):
        options_of(noisy, patch_size=8)


def test_a_rule_may_give_the_patch_size(noisy: NDArray[np.float64]) -> None:
    options = options_of(noisy, patch_size_from="information-limit", most=3)
    report = denoise(
        noisy, DenoiseParams(method="paper", patch_size_from="information-limit")
    ).report
    assert options.decomposition.patch_size == report.patch_size
    assert options.patch_size_origin == report.patch_size_origin == "information-limit"
    with pytest.raises(ParameterError, match="expected one of"):
        options_of(noisy, patch_size_from="nobody's")


def test_blinded_order_holds_every_option_once() -> None:
    order = blinded(25, rng=np.random.default_rng(3))
    assert sorted(order) == list(range(1, 26))
    assert order != sorted(order)


@pytest.mark.parametrize(
    ("alphas", "kept"), [([3, 4], 4), ([4, 5], 5), ([2, 2, 3], 2), ([1], 1), ([25, 25], 25)]
)
def test_means_are_rounded_half_up(alphas: list[int], kept: int) -> None:
    choice = Choice.of(alphas)
    assert choice.kept == kept
    assert choice.mean == np.mean(alphas)
    assert (choice.respondents, choice.least, choice.most) == (
        len(alphas),
        min(alphas),
        max(alphas),
    )


def test_spread_is_the_standard_deviation_of_a_sample() -> None:
    assert Choice.of([2, 4, 9]).spread == pytest.approx(np.std([2, 4, 9], ddof=1))
    assert np.isnan(Choice.of([2]).spread)


def test_labels_survive_their_file(labelled: list[SurveyImage], tmp_path: Path) -> None:
    path = tmp_path / "labels.safetensors"
    path.write_bytes(survey_bytes(labelled, {"seed": 3}))
    for found, expected in zip(load_survey(path), labelled, strict=True):
        assert found.image == expected.image
        assert (found.alpha, found.respondents) == (expected.alpha, expected.respondents)
        np.testing.assert_equal(found.spread, expected.spread)
        np.testing.assert_array_equal(found.labels, expected.labels)
        for name in ("eigenpatches", "singular_values", "n_patches", "energy"):
            np.testing.assert_array_equal(
                getattr(found.decomposition, name), getattr(expected.decomposition, name)
            )
    assert [int(each.labels.sum()) for each in labelled] == [4, 7]
    assert labelled[0].labels[:4].all()


def test_the_same_decomposition_gives_the_same_file(labelled: list[SurveyImage]) -> None:
    written = [decomposition_bytes(labelled[0].decomposition) for _ in range(2)]
    assert written[0] == written[1]


def test_other_files_are_refused_with_the_reason(
    labelled: list[SurveyImage], tmp_path: Path
) -> None:
    path = tmp_path / "file.safetensors"
    with pytest.raises(SurveyError, match="cannot be read"):
        load_survey(path)
    path.write_bytes(b"no safetensors at all")
    with pytest.raises(SurveyError, match="cannot be read"):
        load_survey(path)
    path.write_bytes(decomposition_bytes(labelled[0].decomposition))
    with pytest.raises(SurveyError, match="expected 'reucid-survey-labels'"):
        load_survey(path)
    whole = survey_bytes(labelled, {})
    path.write_bytes(whole)
    with pytest.raises(SurveyError, match="expected 'reucid-decomposition'"):
        load_decomposition(path)
    path.write_bytes(whole.replace(b'"1.labels"', b'"1.lapels"'))
    with pytest.raises(SurveyError, match=r"damaged.*1\.labels"):
        load_survey(path)
