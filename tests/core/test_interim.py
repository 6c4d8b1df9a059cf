"""Interim results, stopping and deadlines."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from reucid_core import DenoiseParams, Progress, Result, denoise
from reucid_core.patches import assign, origins_of, scatter_add
from reucid_core.replay import replay
from tests.support.strategies import blob_lattice, keep_first

SHAPE, P, STACKS = (26, 31), 5, 4


def run(params: DenoiseParams, stop_after: int | None = None) -> tuple[Result, list[Progress]]:
    image = np.random.default_rng(0).normal(5, 1, SHAPE)
    seen: list[Progress] = []

    def on_stack(progress: Progress) -> bool | None:
        seen.append(progress)
        return False if len(seen) == stop_after else None

    return denoise(image, params, classify=keep_first(3), on_stack=on_stack), seen


def given_stacks(**more: float) -> DenoiseParams:
    return DenoiseParams(patch_size=P, stacks=STACKS, **more)  # type: ignore[arg-type]


def terrain_of(stacks_done: int) -> np.ndarray:
    assignment = assign(SHAPE, P, STACKS, np.random.default_rng(0).spawn(2)[0])
    origins = origins_of(assignment <= stacks_done, SHAPE[1])
    counts = np.zeros(SHAPE)
    scatter_add(counts, np.ones((len(origins), P * P)), origins, P)
    return counts


def test_every_stack_is_shown_and_the_last_is_the_result() -> None:
    result, seen = run(given_stacks())
    assert [(progress.stack, progress.stacks) for progress in seen] == [
        (stack, STACKS) for stack in range(1, STACKS + 1)
    ]
    assert [progress.report for progress in seen] == result.report.stack_reports
    np.testing.assert_array_equal(seen[-1].image, result.image)
    np.testing.assert_array_equal(seen[-1].coverage, result.coverage)
    assert result.report.stopped_by is None
    assert result.report.complete


def test_coverage_counts_the_patches_of_the_stacks_so_far() -> None:
    for progress in run(given_stacks())[1]:
        np.testing.assert_array_equal(progress.coverage, terrain_of(progress.stack))


def test_returning_false_begins_no_further_stack() -> None:
    result, seen = run(given_stacks(), stop_after=2)
    assert len(seen) == len(result.eigenpatches) == result.report.stacks_done == 2
    assert result.report.stopped_by == "request"
    assert not result.report.complete
    np.testing.assert_array_equal(result.image, seen[-1].image)
    np.testing.assert_array_equal(result.coverage, terrain_of(2))


def test_returning_false_at_the_last_stack_leaves_nothing_out() -> None:
    result, _ = run(given_stacks(), stop_after=STACKS)
    assert result.report.stopped_by is None
    assert result.report.complete


def test_pixels_without_a_patch_keep_the_raw_value() -> None:
    image = np.random.default_rng(0).normal(5, 1, (40, 40)).astype(np.float32)
    params = DenoiseParams(patch_size=3, stacks=20, deadline=0.0)
    result = denoise(image, params, classify=keep_first(1))
    bare = result.coverage == 0
    assert result.report.uncovered_pixels == np.count_nonzero(bare) > 0
    np.testing.assert_array_equal(result.image[bare], image[bare])
    assert (result.image[~bare] != image[~bare]).all()


@pytest.mark.parametrize(("deadline", "done"), [(0.0, 1), (1e9, STACKS)])
def test_a_deadline_begins_no_further_stack(deadline: float, done: int) -> None:
    result, _ = run(given_stacks(deadline=deadline))
    assert result.report.stacks_done == done
    assert result.report.stopped_by == ("deadline" if done < STACKS else None)
    np.testing.assert_array_equal(result.coverage, terrain_of(done))


def test_an_error_in_on_stack_is_the_callers() -> None:
    def broken(_: Progress) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        denoise(np.ones((9, 9)), classify=keep_first(1), on_stack=broken)


def two_scales(
    deadline: float | None = None, stop_after: int | None = None
) -> tuple[Result, list[Progress], NDArray[np.float64]]:
    truth = 10 + 30 * blob_lattice((120, 130), period=11, sigma=2.5)
    truth[57:63, 60:66] -= 15
    noisy = truth + np.random.default_rng(0).normal(0, 4, truth.shape)
    noisy[20, 30] = 500  # left out, and put back
    seen: list[Progress] = []

    def on_stack(progress: Progress) -> bool | None:
        image = progress.image.copy()
        seen.append(replace(progress, image=image))
        return False if len(seen) == stop_after else None

    params = DenoiseParams(method="two-scale", deadline=deadline, threads=1)
    return denoise(noisy, params, on_stack=on_stack), seen, noisy


def test_of_two_scales_the_lattice_is_shown_first() -> None:
    result, seen, noisy = two_scales()
    assert [(each.stack, each.stacks, each.what) for each in seen] == [
        (1, 2, "scales"),
        (2, 2, "scales"),
    ]
    np.testing.assert_array_equal(seen[1].image, result.image)
    departed = np.abs(seen[0].image - result.image) > 0.01
    assert departed[60, 63]
    assert departed.mean() < 0.05
    assert seen[0].image[20, 30] == noisy[20, 30]


@pytest.mark.parametrize("why", ["request", "deadline"])
def test_two_scales_stopped_after_the_first_are_its_image_and_say_so(why: str) -> None:
    _, (shown, _), noisy = two_scales()
    stop = {"stop_after": 1} if why == "request" else {"deadline": 0.0}
    result, seen, _ = two_scales(**stop)  # type: ignore[arg-type]
    assert len(seen) == len(result.eigenpatches) == 1
    np.testing.assert_array_equal(result.image, shown.image)
    report = result.report
    assert (report.stopped_by, report.complete, report.recovery) == (why, False, None)
    assert any("was not recovered" in warning for warning in report.warnings)
    again, coverage = replay(noisy, report, result.eigenpatches)
    np.testing.assert_allclose(again, result.image, atol=1e-9 * np.abs(noisy).max())
    np.testing.assert_array_equal(coverage, result.coverage)
