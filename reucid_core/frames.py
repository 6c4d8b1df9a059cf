"""Several frames of one specimen: each by itself, or all by the same eigenpatches."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reucid_core.clock import Clock
from reucid_core.eigenpatches import Classify
from reucid_core.errors import ParameterError
from reucid_core.exact import Float64, Transform, decompose_frames, prepare
from reucid_core.fir import project_and_fuse
from reucid_core.grids import Frames
from reucid_core.image import as_working_image
from reucid_core.noise_floor import noise_floor
from reucid_core.outcome import OnStack, Outcome, Task
from reucid_core.params import DenoiseParams
from reucid_core.pipeline import Result, assessed, denoise, report_of
from reucid_core.plan import Plan, choose_way
from reucid_core.report import StackReport
from reucid_core.scales import find_scales
from reucid_core.threads import limited
from reucid_core.two_scale import denoise_frame

Frame = NDArray[Any]
JOINT = "the eigenpatches of all frames together"


def denoise_frames(
    frames: Sequence[Frame] | NDArray[Any],
    params: DenoiseParams | None = None,
    *,
    classify: Classify = noise_floor,
    joint: bool = False,
    on_stack: OnStack | None = None,
) -> Iterator[Result]:
    """Denoise frames one after another; whoever has enough stops asking for the next.

    Parameters
    ----------
    frames : ndarray, shape (frames, m, n), or sequence of ndarray, shape (m, n)
        Read one at a time, more than once if `joint`; may be a memory map. Never modified.
    params : DenoiseParams, optional
        `deadline` holds for all frames together: no frame is begun after it.
    classify : callable, optional
        As in `denoise`.
    joint : bool
        Decompose the patches of all frames together. The Gram matrix is then the sum of the
        frames' own, so all frames have one patch size and one verdict, and each is filtered by the
        eigenpatches that were kept. Frames then have to show the same structure with the same
        point-spread function; with two scales they also share the noise. Engine `exact` only.
    on_stack : callable, optional
        As in `denoise`, for each frame; not called if `joint`.

    Yields
    ------
    Result
        Of each frame, in order.

    Raises
    ------
    ReucidError
        As `denoise`; nothing of a frame that raises is yielded.
    """
    params = params or DenoiseParams()
    if joint:
        check_joint(params)
        yield from _jointly(frames, params, classify)
    else:
        yield from _each(frames, params, classify, on_stack)


def check_joint(params: DenoiseParams) -> None:
    """Refuse what one decomposition of all frames cannot be combined with.

    Raises
    ------
    ParameterError
    """
    if params.engine == "stacked" or params.stacks is not None or params.deadline is not None:
        raise ParameterError(
            "frames",
            "got 'joint' with engine stacked, a number of stacks or a deadline, expected none of "
            "them: only engine exact decomposes all frames together",
        )
    if params.bias:
        raise ParameterError(
            "bias", "got true with frames 'joint', expected 'each': it is measured frame by frame"
        )


def _each(
    frames: Sequence[Frame] | NDArray[Any],
    params: DenoiseParams,
    classify: Classify,
    on_stack: OnStack | None,
) -> Iterator[Result]:
    start = time.perf_counter()
    for number, frame in enumerate(frames):
        if params.deadline is not None:
            left = params.deadline - (time.perf_counter() - start)
            if number and left <= 0:
                return
            params_left = replace(params, deadline=max(0.0, left))
        else:
            params_left = params
        yield denoise(frame, params_left, classify=classify, on_stack=on_stack)


def _jointly(
    frames: Sequence[Frame] | NDArray[Any], params: DenoiseParams, classify: Classify
) -> Iterator[Result]:
    chosen = choose_way(params, classify)
    way = replace(chosen, engine="exact", engine_reason=JOINT)
    task = Task(replace(params, method=way.method), classify, None, Clock())
    outcomes = _at_two_scales if way.method == "two-scale" else _at_one_scale
    for frame, outcome in zip(frames, outcomes(frames, task), strict=True):
        yield Result(
            noisy=frame,
            image=outcome.image,
            partial_coverage=None,
            eigenpatches=tuple(outcome.eigenpatches),
            report=report_of(frame, outcome.image, way, outcome, task),
        )
        task.clock.restart()  # what all share is in the first frame's report


def _at_two_scales(frames: Sequence[Frame] | NDArray[Any], task: Task) -> Iterator[Outcome]:
    clean = Frames(frames, task.params)
    with limited(task.params.threads):
        scales = find_scales(clean, task)
    for number in range(len(clean)):
        with limited(task.params.threads):
            outcome = denoise_frame(clean, number, scales, task)
        yield outcome


def _at_one_scale(frames: Sequence[Frame] | NDArray[Any], task: Task) -> Iterator[Outcome]:
    params = task.params
    with limited(params.threads):
        plan, height, eigenpatches, verdict = _decide(frames, task)
    useful = eigenpatches[verdict.kept]
    for frame in frames:
        with limited(params.threads):
            noisy = as_working_image(frame, params.precision)
            image = project_and_fuse(noisy, useful, height=height, threads=params.threads)
        task.clock.lap("fuse")
        yield assessed(Outcome(plan, image, None, [eigenpatches], [verdict]), noisy)


def _decide(
    frames: Sequence[Frame] | NDArray[Any], task: Task
) -> tuple[Plan, int, Float64, StackReport]:
    """One patch size, height of the bands, decomposition and verdict for all frames."""
    params = task.params
    images = (as_working_image(frame, params.precision) for frame in frames)
    prepared = prepare(images, frames[0].shape, params, task.clock)
    plan, height = prepared.plan, prepared.height
    del prepared  # and with it the last frame's transform
    transforms = _transforms(frames, params, plan.p - 1, height)
    decomposition = decompose_frames(transforms, plan.p, plan.components)
    task.clock.lap("decompose")
    verdict = task.judge(decomposition, stack=1)
    task.clock.lap("classify")
    return plan, height, decomposition.eigenpatches.astype(np.float64), verdict


def _transforms(
    frames: Sequence[Frame] | NDArray[Any], params: DenoiseParams, lags: int, height: int
) -> Iterator[Transform]:
    """One at a time: all of them would be many times the frames' own size."""
    for frame in frames:
        yield Transform.of(
            as_working_image(frame, params.precision),
            lags=lags,
            height=height,
            threads=params.threads,
        )
