"""Several frames of one specimen: each by itself, or all by the same eigenpatches."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from reucid_core.eigenpatches import Classify
from reucid_core.errors import ParameterError
from reucid_core.joint import find_shared
from reucid_core.noise_floor import noise_floor
from reucid_core.outcome import OnStack
from reucid_core.params import DenoiseParams
from reucid_core.pipeline import Result, denoise

Frame = NDArray[Any]


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
        yield from find_shared(frames, params, classify).denoise(frames, classify)
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
