"""Metrics beside people's answers: what they name, and the fit of the edited one."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from reucid_core.errors import SurveyError
from reucid_core.fir import project_and_fuse
from reucid_core.metrics import ief, psnr, ssim
from reucid_core.training.labels.alpha_metrics import (
    NAMES,
    Comparison,
    Curves,
    check_truth,
    curves_of,
    fit_base,
    label_by_metric,
)
from reucid_core.training.labels.examples import decompose_whole
from reucid_core.training.labels.ief import best_alpha, edited
from reucid_core.training.micrographs.crystals import CRYSTALS
from reucid_core.training.micrographs.recipes import Micrograph, Recipe, micrograph
from reucid_core.training.micrographs.simulate import View

pytest.importorskip("skimage", reason="computes SSIM (extra `laboratory`)")

Float64 = NDArray[np.float64]


def images(name: str = "Si[110]", dose: float = 300, seed: int = 1) -> Micrograph:
    view = View(shape=(48, 52), sampling=0.25, rotation=20)
    return micrograph(Recipe(specimen=CRYSTALS[name], view=view, dose=dose, seed=seed))


def curves(name: str = "Si[110]", dose: float = 300, seed: int = 1) -> Curves:
    made = images(name, dose, seed)
    return curves_of(decompose_whole(made.noisy, 5), made.noisy, made.specimen)


def random_curve(rng: np.random.Generator) -> Float64:
    """Rises, and falls again, as the IEF does."""
    alpha = np.arange(1, 26)
    top = rng.uniform(3, 18)
    return np.asarray(
        np.exp(-((alpha - top) ** 2) / rng.uniform(60, 300)) + rng.uniform(0, 0.01, 25)
    )


def of_ief(values: Float64) -> Curves:
    return Curves({"IEF": values})


def test_curves_are_the_metrics_of_the_reconstructions() -> None:
    made = images()
    decomposition = decompose_whole(made.noisy, 5)
    found = curves_of(decomposition, made.noisy, made.specimen, most=8)
    E = decomposition.eigenpatches.astype(np.float64)
    for alpha in range(1, 9):
        image = project_and_fuse(made.noisy, E[:alpha])
        expected = (
            np.mean((image - made.specimen) ** 2),
            psnr(image, made.specimen),
            ssim(image, made.specimen),
            ief(made.noisy, image, made.specimen),
        )
        for name, value in zip(NAMES, expected, strict=True):
            assert found.values[name][alpha - 1] == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("name", ["Si[110]", "SrTiO3[100]", "graphene"])
@pytest.mark.parametrize("dose", [100, 3000])
def test_mse_psnr_and_ief_name_the_same(name: str, dose: float) -> None:
    found = curves(name, dose)
    assert found.alpha("MSE") == found.alpha("PSNR") == found.alpha("IEF")


def test_neighbours_are_told_apart_by_what_lies_between() -> None:
    found = of_ief(np.array([1.0, 4.0, 5.0, 3.0]))
    assert found.told_apart("IEF", 3) == pytest.approx((1 + 2) / 2 / 4)
    assert found.told_apart("IEF", 1) == pytest.approx(3 / 4)
    assert found.told_apart("IEF", 4) == pytest.approx(2 / 4)
    assert of_ief(np.ones(4)).told_apart("IEF", 2) == 0


@pytest.mark.parametrize("seed", range(5))
def test_no_c_on_a_fine_grid_is_better(seed: int) -> None:
    rng = np.random.default_rng(seed)
    some = [random_curve(rng) for _ in range(6)]
    answers = rng.uniform(2, 20, 6)
    fitted = fit_base([of_ief(each) for each in some], answers.tolist())

    def cost(base: float) -> float:
        alphas = np.array([best_alpha(edited(each, base=base)) for each in some])
        return float(np.sum((alphas - answers) ** 2))

    assert cost(fitted.base) == pytest.approx(float(np.sum((fitted.alphas - answers) ** 2)))
    assert cost(fitted.base) <= min(cost(base) for base in np.geomspace(0.3, 3, 4000))


@pytest.mark.parametrize("base", [0.9, 1.0, 1.1])
def test_the_c_by_which_answers_were_given_is_found(base: float) -> None:
    rng = np.random.default_rng(3)
    some = [random_curve(rng) for _ in range(16)]
    answers = [float(best_alpha(edited(each, base=base))) for each in some]
    fitted = fit_base([of_ief(each) for each in some], answers)
    assert fitted.low <= base <= fitted.high
    assert fitted.base == pytest.approx(base, rel=0.02)
    np.testing.assert_array_equal(fitted.alphas, answers)
    assert np.abs(fitted.held_out - np.array(answers)).mean() < 0.5


def test_the_interval_repeats_and_needs_two_images() -> None:
    rng = np.random.default_rng(4)
    some = [of_ief(random_curve(rng)) for _ in range(5)]
    one, again = (fit_base(some, [4, 5, 6, 7, 8]) for _ in range(2))
    assert (one.low, one.high) == (again.low, again.high)
    with pytest.raises(SurveyError, match="got 1 image"):
        fit_base(some[:1], [4])


def test_a_comparison_names_the_edited_metric_the_nearest() -> None:
    some = [curves(name, dose) for name in ("Si[110]", "graphene") for dose in (100, 1000)]
    answers = [float(best_alpha(edited(each.values["IEF"], base=1.15))) for each in some]
    found = {each.name: each for each in Comparison.of(["a"] * 4, some, answers).predictors}
    plain, fitted = found["IEF"], next(each for name, each in found.items() if "fitted" in name)
    assert fitted.distance <= plain.distance
    np.testing.assert_array_equal(found["MSE"].alphas, plain.alphas)
    paper = found["IEF / 0.64^alpha, the paper's"]
    assert set(paper.alphas.tolist()) == {25}


def test_labels_of_the_metric_say_that_nobody_answered() -> None:
    made = images()
    decomposition = decompose_whole(made.noisy, 5)
    found = curves_of(decomposition, made.noisy, made.specimen)
    labelled = label_by_metric("more", decomposition, found, base=1.0)
    assert labelled.respondents == 0
    assert labelled.alpha == int(labelled.labels.sum()) == found.alpha("IEF")


def test_what_is_no_truth_of_the_image_is_refused() -> None:
    made = images()
    check_truth("i", made.noisy, made.specimen)
    check_truth("i", made.noisy, images(seed=9).specimen)  # its units alone are looked at
    for truth, message in (
        (made.specimen[:-1], "expected"),
        (300 * made.specimen, "same units"),
        (made.specimen + 10, "same units"),
        (np.zeros_like(made.specimen), "without contrast"),
        (np.rot90(made.specimen[:, :48]), "expected"),
        (replace(made, specimen=made.specimen[::-1, ::-1].copy()).specimen, "same specimen"),
    ):
        with pytest.raises(SurveyError, match=message):
            check_truth("i", made.noisy, truth)
