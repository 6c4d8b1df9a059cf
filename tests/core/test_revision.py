"""A person's verdicts on eigenpatches, and the result that follows from them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from reucid_core import DenoiseParams, ParameterError, Result, denoise, noise_floor
from reucid_core.revision import Verdicts, judged_anew, revise, verdicts_of_people
from tests.support.strategies import Micrograph, keep_first, micrographs

ENGINES: list[dict[str, Any]] = [
    {"engine": "exact"},
    {"engine": "stacked", "stacks": 1},
    {"engine": "stacked", "stacks": 3, "seed": 7},
]
SIDES = st.tuples(st.integers(30, 44), st.integers(30, 44))


@pytest.fixture(scope="module")
def lattice() -> NDArray[Any]:
    """Counts of a lattice with a weak atom, 128 x 132 px."""
    rng = np.random.default_rng(11)
    y, x = np.mgrid[:128, :132]
    atoms = (1 + np.cos(2 * np.pi * x / 12)) * (1 + np.cos(2 * np.pi * y / 11))
    atoms[40:52, 60:72] *= 0.3
    return np.asarray(rng.poisson(30 * atoms + 40).astype(np.uint16))


@pytest.fixture(scope="module")
def two_scale(lattice: NDArray[Any]) -> Result:
    result = denoise(lattice, DenoiseParams(method="two-scale"))
    assert result.report.recovery is not None
    assert result.report.recovery.share > 0
    return result


@pytest.mark.parametrize("how", ENGINES)
@given(micrographs(SIDES), st.integers(2, 6), st.data())
def test_it_is_the_result_of_a_classifier_of_the_same_mind(
    how: dict[str, Any], micrograph: Micrograph, before: int, data: st.DataObject
) -> None:
    """Dropping all but some of what was kept is denoising with a classifier that keeps those."""
    params = DenoiseParams(method="paper", patch_size=5, precision="float64", **how)
    first = denoise(micrograph.image, params, classify=keep_first(before))
    after = data.draw(st.integers(1, 8), "after")
    other = denoise(micrograph.image, params, classify=keep_first(after))
    stacks = [stack.stack for stack in first.report.stack_reports]
    verdicts = Verdicts(
        keep={stack: list(range(1, after + 1)) for stack in stacks},
        drop={stack: list(range(after + 1, before + 1)) for stack in stacks},
    )
    image, coverage, report = revise(micrograph.image, first.report, first.eigenpatches, verdicts)
    atol = 64 * np.finfo(float).eps * np.abs(micrograph.image).max()
    np.testing.assert_allclose(image, other.image, rtol=0, atol=atol)
    np.testing.assert_array_equal(coverage, other.coverage)
    assert [s.kept for s in report.stack_reports] == [s.kept for s in other.report.stack_reports]


def test_two_scales_of_another_mind(lattice: NDArray[Any], two_scale: Result) -> None:
    """Verdicts on the lattice change its weights and what is said of the result."""
    report = two_scale.report
    kept = report.stack_reports[0].n_kept
    assert kept > 2
    fewer = Verdicts(drop={1: list(range(3, kept + 1))})
    image, _, revised = revise(lattice, report, two_scale.eigenpatches, fewer)
    assert revised.weights[:2] == report.weights[:2]
    assert not any(revised.weights[2:])
    assert report.assessment is not None
    assert revised.assessment is not None
    assert revised.assessment.noise_removed > report.assessment.noise_removed
    assert revised.assessment.structure > report.assessment.structure
    residual = np.std(lattice - image)
    assert residual > np.std(lattice - two_scale.image)
    # And back: the weights are the noise's.
    back = Verdicts(keep={1: list(range(3, kept + 1))})
    again, _, report_again = revise(lattice, revised, two_scale.eigenpatches, back)
    np.testing.assert_allclose(report_again.weights, report.weights, rtol=1e-12)
    np.testing.assert_allclose(again, two_scale.image, rtol=0, atol=1e-4)


def test_departures_of_another_mind(lattice: NDArray[Any], two_scale: Result) -> None:
    recovery = two_scale.report.recovery
    assert recovery is not None
    kept = recovery.stack_report.n_kept
    dropped = Verdicts(drop={2: list(range(2, kept + 1))})
    image, _, report = revise(lattice, two_scale.report, two_scale.eigenpatches, dropped)
    assert report.recovery is not None
    assert report.recovery.stack_report.n_kept == 1
    assert report.weights == two_scale.report.weights
    changed = image != two_scale.image
    departures = two_scale.departures
    assert departures is not None
    assert changed[departures].mean() > 0.5


def test_what_is_confirmed_changes_nothing_but_who_judged(
    lattice: NDArray[Any], two_scale: Result
) -> None:
    stack = two_scale.report.stack_reports[0]
    dropped = [k for k, kept in enumerate(stack.kept, start=1) if not kept][:1]
    verdicts = Verdicts(keep={1: [1]}, drop={1: dropped})
    image, _, report = revise(lattice, two_scale.report, two_scale.eigenpatches, verdicts)
    np.testing.assert_allclose(image, two_scale.image, rtol=0, atol=1e-4)
    assert report.stack_reports[0].kept == stack.kept
    assert report.stack_reports[0].judges[0] == "person"
    assert report.stack_reports[0].judges.count("person") == 1 + len(dropped)
    old, new = two_scale.report.assessment, report.assessment
    assert old is not None
    assert new is not None
    np.testing.assert_allclose(new.noise_removed, old.noise_removed, rtol=1e-9)
    np.testing.assert_allclose(new.gain, old.gain, rtol=1e-9)
    np.testing.assert_allclose(new.structure, old.structure, rtol=1e-2)
    assert new.bound == old.bound


def test_people_are_told_from_the_classifier() -> None:
    image = np.random.default_rng(0).normal(5, 1, (40, 40))
    params = DenoiseParams(method="paper", patch_size=5, stacks=2)
    result = denoise(image, params, classify=keep_first(3))
    assert result.report.stack_reports[0].judged_by == []
    assert verdicts_of_people(result.report) == Verdicts()
    one = judged_anew(result.report, Verdicts(keep={2: [5]}, drop={2: [1], 1: [3]}))
    assert one.stack_reports[1].judges[:6] == [
        *("person", "classifier", "classifier", "classifier", "person", "classifier")
    ]
    assert one.stack_reports[1].utilities == result.report.stack_reports[1].utilities
    two = judged_anew(one, Verdicts(keep={1: [3]}))
    assert verdicts_of_people(two) == Verdicts(keep={1: [3], 2: [5]}, drop={2: [1]})
    assert judged_anew(result.report, verdicts_of_people(two)) == two


def test_warnings_are_of_the_new_result() -> None:
    image = np.random.default_rng(0).normal(5, 1, (40, 40))
    result = denoise(image, DenoiseParams(method="paper", patch_size=5), classify=keep_first(3))
    once = revise(image, result.report, result.eigenpatches, Verdicts(drop={1: [3]}))[2]
    twice = revise(image, once, result.eigenpatches, Verdicts(drop={1: [2]}))[2]
    assert once.warnings[:-1] == twice.warnings[:-1] == result.report.warnings
    assert once.warnings[-1].startswith("a person decided to keep 0 and to leave out 1 ")
    assert twice.warnings[-1].startswith("a person decided to keep 0 and to leave out 2 ")


@pytest.mark.parametrize(
    ("verdicts", "field", "said"),
    [
        (Verdicts(keep={2: [1]}), "keep", "stack 2, expected one of 1"),
        (Verdicts(keep={1: [0]}), "keep", "expected 1 to 25"),
        (Verdicts(drop={1: [26]}), "drop", "expected 1 to 25"),
        (Verdicts(keep={1: [4]}, drop={1: [2, 4]}), "drop", "eigenpatch 4 of stack 1 in keep"),
        (Verdicts(drop={1: [1, 2, 3]}), "drop", "at least one"),
    ],
)
def test_what_cannot_be_judged(verdicts: Verdicts, field: str, said: str) -> None:
    image = np.random.default_rng(0).normal(5, 1, (40, 40))
    result = denoise(image, DenoiseParams(method="paper", patch_size=5), classify=keep_first(3))
    with pytest.raises(ParameterError, match=said) as error:
        judged_anew(result.report, verdicts)
    assert error.value.field == field


def test_nothing_given_is_changed(lattice: NDArray[Any], two_scale: Result) -> None:
    before = lattice.copy(), two_scale.report.to_dict()
    revise(lattice, two_scale.report, two_scale.eigenpatches, Verdicts(drop={1: [2]}))
    np.testing.assert_array_equal(lattice, before[0])
    assert two_scale.report.to_dict() == before[1]


def test_a_result_without_noise_has_one_verdict() -> None:
    result = denoise(np.ones((40, 40)), DenoiseParams(method="two-scale"), classify=noise_floor)
    assert result.report.recovery is None
    with pytest.raises(ParameterError, match="at least one"):
        judged_anew(result.report, Verdicts(drop={1: [1]}))
    same = revise(np.ones((40, 40)), result.report, result.eigenpatches, Verdicts(keep={1: [1]}))
    np.testing.assert_array_equal(same[0], result.image)
    assert replace(same[2], seconds={}, warnings=[]).assessment is None
