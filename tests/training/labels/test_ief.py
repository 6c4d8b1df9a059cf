"""The paper's edited IEF, against the definition, and what its printed constant does."""

import numpy as np
import pytest

from reucid_core.fir import project_and_fuse
from reucid_core.metrics import ief
from reucid_core.training.labels.examples import decompose_whole
from reucid_core.training.labels.ief import best_alpha, edited, first, ief_curve
from reucid_core.training.labels.ief_table import Case, cases_of, table
from reucid_core.training.micrographs.crystals import CRYSTALS
from reucid_core.training.micrographs.recipes import Recipe, micrograph
from reucid_core.training.micrographs.simulate import View

PAPER = ("Si[110]", "SrTiO3[100]", "graphene", "BaNdTiO[001]")


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return list(cases_of([CRYSTALS[name] for name in PAPER]))


def test_curve_is_the_ief_of_the_reconstructions() -> None:
    view = View(shape=(40, 44), sampling=0.3, rotation=20)
    recipe = Recipe(specimen=CRYSTALS["Si[110]"], view=view, dose=300, patch_size=5, seed=1)
    images = micrograph(recipe)
    noisy, truth = images.noisy, images.specimen
    decomposition = decompose_whole(noisy, 5)
    E = decomposition.eigenpatches.astype(np.float64)
    expected = [ief(noisy, project_and_fuse(noisy, E[:a]), truth) for a in range(1, 13)]
    curve = ief_curve(decomposition, noisy, truth, most=12)
    np.testing.assert_allclose(curve, expected, rtol=1e-9)
    labels = first(best_alpha(edited(curve, base=1.0)), 25)
    np.testing.assert_array_equal(labels, first(int(np.argmax(expected)) + 1, 25))


def test_base_and_exponent_are_those_of_the_formula() -> None:
    curve = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(edited(curve, base=0.5), [2, 8, 24])
    np.testing.assert_allclose(edited(curve, base=0.5, exponent=-1), [0.5, 0.5, 0.375])
    np.testing.assert_array_equal(edited(curve, base=1.0), curve)
    assert best_alpha(np.array([1.0, 3.0, 2.0])) == 2


def test_the_printed_constant_always_chooses_the_last_reconstruction(cases: list[Case]) -> None:
    assert len(cases) == 16
    assert {case.alpha(1) for case in cases} == {25}


def test_with_the_sign_turned_it_chooses_few_and_never_more_than_the_ief(cases: list[Case]) -> None:
    for case in cases:
        assert 1 <= case.alpha(-1) <= 8
        assert case.alpha(-1) <= case.alpha() <= 25


def test_table_has_a_line_for_each_case(cases: list[Case]) -> None:
    lines = table(cases).splitlines()
    assert len(lines) == 2 + len(cases)
    assert len({line.count("|") for line in lines}) == 1
