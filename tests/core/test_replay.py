"""A result follows from the image, the eigenpatches and the report alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reucid_core import DenoiseParams, denoise
from reucid_core.replay import patch_energy, replay
from tests.support.strategies import Micrograph, keep_first, micrographs

ENGINES: list[dict[str, Any]] = [
    {"engine": "exact"},
    {"engine": "stacked", "stacks": 1},
    {"engine": "stacked", "stacks": 3, "seed": 7},
]


@pytest.mark.parametrize("how", ENGINES)
@pytest.mark.parametrize("precision", ["float32", "float64"])
@given(micrographs(st.tuples(st.integers(30, 44), st.integers(30, 44))), st.sampled_from([3, 5, 7]))
def test_replay_makes_the_same_image(
    how: dict[str, Any], precision: str, micrograph: Micrograph, p: int
) -> None:
    params = DenoiseParams(patch_size=p, precision=precision, **how)  # type: ignore[arg-type]
    result = denoise(micrograph.image, params, classify=keep_first(micrograph.rank))
    image, coverage = replay(micrograph.image, result.report, result.eigenpatches)
    assert image.dtype == precision
    atol = 8 * np.finfo(precision).eps * np.abs(micrograph.image).max()
    np.testing.assert_allclose(image, result.image, rtol=0, atol=atol)
    np.testing.assert_array_equal(coverage, result.coverage)
    energies = [stack.energy for stack in result.report.stack_reports]
    np.testing.assert_allclose(patch_energy(micrograph.image, result.report), energies, rtol=1e-5)


def test_replay_of_a_result_that_was_stopped_early() -> None:
    image = np.random.default_rng(0).normal(5, 1, (30, 30))
    params = DenoiseParams(patch_size=5, stacks=9)
    result = denoise(image, params, classify=keep_first(2), on_stack=lambda p: p.stack < 2)
    assert (result.report.stacks_done, result.report.complete) == (2, False)
    again, coverage = replay(image, result.report, result.eigenpatches)
    np.testing.assert_allclose(again, result.image, rtol=1e-14)
    np.testing.assert_array_equal(coverage, result.coverage)


@pytest.mark.parametrize("what", ["kept", "seed", "eigenpatches", "image"])
def test_replay_of_anything_else_makes_another_image(what: str) -> None:
    image = np.random.default_rng(0).normal(5, 1, (30, 30))
    params = DenoiseParams(patch_size=5, stacks=2)
    result = denoise(image, params, classify=keep_first(3))
    report, eigenpatches = result.report, list(result.eigenpatches)
    match what:
        case "kept":
            fewer = replace(report.stack_reports[0], kept=[True] + 24 * [False])
            report = replace(report, stack_reports=[fewer, *report.stack_reports[1:]])
        case "seed":
            report = replace(report, seed=1)
        case "eigenpatches":
            eigenpatches.reverse()
        case "image":
            image = image + 0.01 * (np.arange(900).reshape(30, 30) == 465)
    again, _ = replay(image, report, eigenpatches)
    assert np.abs(again - result.image).max() > 1e-4
