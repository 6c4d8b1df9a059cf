"""How utilities become eigenpatches that are kept."""

import numpy as np
import pytest
from numpy.typing import ArrayLike

from reucid_core import Decomposition, DenoiseParams, ParameterError, ReucidError, denoise
from tests.support.strategies import blob_lattice, keep_first, keep_none

IMAGE = np.random.default_rng(0).normal(3, 1, (20, 20))
PARAMS = DenoiseParams(patch_size=3, stacks=2)


class Descending:
    """Utilities that fall from 1 to 0."""

    def __call__(self, decomposition: Decomposition) -> ArrayLike:
        return np.linspace(1, 0, len(decomposition.singular_values))


class WithThreshold(Descending):
    threshold = 0.75
    identity = "descending@1"
    scan_noise = "remove"


def test_where_nothing_is_useful_the_first_eigenpatch_is_kept_and_a_warning_says_so() -> None:
    report = denoise(IMAGE, PARAMS, classify=keep_none).report
    assert [verdict.nothing_useful for verdict in report.stack_reports] == [True, True]
    assert [verdict.n_kept for verdict in report.stack_reports] == [1, 1]
    assert all(verdict.kept[0] for verdict in report.stack_reports)
    assert [warning[:8] for warning in report.warnings] == ["stack 1:", "stack 2:"]


def test_nothing_is_warned_of_where_all_is_well() -> None:
    noise = np.random.default_rng(0).normal(0, 0.3, (60, 60))
    image = blob_lattice((60, 60), period=8, sigma=1.5) + noise
    params = DenoiseParams(method="paper", patch_size=7)
    assert denoise(image, params, classify=keep_first(15)).report.warnings == []


@pytest.mark.parametrize(
    "utilities",
    [
        lambda k: np.ones(k - 1),
        lambda k: np.ones((k, 1)),
        lambda _: 1.0,
        lambda _: [],
        lambda k: np.full(k, np.nan),
        lambda k: [*[0.5] * (k - 1), np.inf],
    ],
)
def test_utilities_must_be_finite_and_one_for_each_eigenpatch(utilities) -> None:  # type: ignore[no-untyped-def]
    def classify(decomposition: Decomposition) -> ArrayLike:
        return utilities(len(decomposition.singular_values))

    with pytest.raises(ReucidError, match="expected 9 finite utilities"):
        denoise(IMAGE, PARAMS, classify=classify)


def test_the_callers_threshold_goes_before_the_classifiers_and_that_before_one_half() -> None:
    stated = DenoiseParams(patch_size=3, threshold=0.25)
    runs = {
        0.25: denoise(IMAGE, stated, classify=WithThreshold()),
        0.75: denoise(IMAGE, PARAMS, classify=WithThreshold()),
        0.5: denoise(IMAGE, PARAMS, classify=Descending()),
    }
    for threshold, result in runs.items():
        assert result.report.threshold == threshold
        for verdict in result.report.stack_reports:
            assert verdict.kept == [utility >= threshold for utility in verdict.utilities]


def test_the_report_names_the_classifier() -> None:
    named = denoise(IMAGE, PARAMS, classify=WithThreshold()).report
    assert (named.model, named.scan_noise) == ("descending@1", "remove")
    unnamed = denoise(IMAGE, PARAMS, classify=Descending()).report
    assert (unnamed.model, unnamed.scan_noise) == (None, None)


def test_the_classifier_sees_the_decomposition_and_no_more() -> None:
    seen: list[Decomposition] = []

    def classify(decomposition: Decomposition) -> ArrayLike:
        seen.append(decomposition)
        return Descending()(decomposition)

    result = denoise(IMAGE, PARAMS, classify=classify)
    assert [type(thing) for thing in seen] == [Decomposition, Decomposition]
    known = {"eigenpatches", "singular_values", "n_patches", "energy", "noise_variance", "found_by"}
    assert vars(seen[0]).keys() == known
    assert seen[0].noise_variance is None  # one number, and by method paper none
    assert sum(decomposition.n_patches for decomposition in seen) == 18 * 18
    assert seen[0].eigenpatches is result.eigenpatches[0]


@pytest.mark.parametrize(("spacing", "largest"), [(1, 41), (2, 21)])
def test_with_two_scales_it_sees_the_noise_s_variance_besides(spacing: int, largest: int) -> None:
    seen: list[Decomposition] = []

    def classify(decomposition: Decomposition) -> ArrayLike:
        seen.append(decomposition)
        return Descending()(decomposition)

    y, x = np.indices((140, 140))
    period = 3 if spacing == 1 else 8
    lattice = np.cos(2 * np.pi * x / period) + np.cos(2 * np.pi * y / period)
    image = 9 + 3 * lattice + np.random.default_rng(1).normal(size=lattice.shape)
    report = denoise(image, DenoiseParams(method="two-scale"), classify=classify).report
    on_grids = {(d.eigenpatches.shape[-1], d.noise_variance) for d in seen}
    assert (largest, 1 / spacing**2) in on_grids
    assert {variance for _, variance in on_grids} <= {1.0, 0.25}
    for decomposition in seen:
        k, p, _ = decomposition.eigenpatches.shape
        assert p < 140 / 3 + 1  # no array is an image
        assert k <= p**2
        assert decomposition.singular_values.shape == (k,)
        scalars = decomposition.n_patches, decomposition.energy, decomposition.noise_variance
        assert [type(value) for value in scalars] == [int, float, float]
    assert report.recovery is not None


class Gapped:
    """Every third eigenpatch is useful."""

    def __call__(self, decomposition: Decomposition) -> ArrayLike:
        return np.where(np.arange(len(decomposition.singular_values)) % 3 == 2, 0.9, 0.1)


@pytest.mark.parametrize("engine", ["exact", "stacked"])
def test_leading_keeps_as_many_from_the_first_on(engine: str) -> None:
    stated = {"method": "paper", "engine": engine, "patch_size": 3}
    runs = {
        select: denoise(IMAGE, DenoiseParams(select=select, **stated), classify=Gapped())  # type: ignore[arg-type]
        for select in ("any", "leading")
    }
    kept = {select: np.array(run.report.stack_reports[0].kept) for select, run in runs.items()}
    np.testing.assert_array_equal(np.flatnonzero(kept["any"]), [2, 5, 8])
    np.testing.assert_array_equal(np.flatnonzero(kept["leading"]), [0, 1, 2])
    first_three = denoise(IMAGE, DenoiseParams(**stated), classify=keep_first(3))  # type: ignore[arg-type]
    np.testing.assert_array_equal(runs["leading"].image, first_three.image)
    assert [run.report.select for run in runs.values()] == ["any", "leading"]


def test_leading_keeps_the_first_where_nothing_is_useful() -> None:
    params = DenoiseParams(patch_size=3, stacks=2, select="leading")
    report = denoise(IMAGE, params, classify=keep_none).report
    assert all(stack.nothing_useful and stack.n_kept == 1 for stack in report.stack_reports)


def test_a_selection_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ParameterError, match="any, leading"):
        DenoiseParams(select="last")  # type: ignore[arg-type]
