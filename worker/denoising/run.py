"""The denoising of an image or a stack, whoever runs it: a work horse or the command line."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from reucid_core import Progress, Result, denoise_frames
from reucid_core.eigenpatches import Classify
from reucid_core.joint import Shared
from worker.contract import ImageInfo
from worker.denoising.artifacts import ResultFiles
from worker.denoising.params import JobParams
from worker.denoising.selection import Chosen, as_stack


@dataclass(frozen=True)
class Step:
    """What was just finished: a stack of patches or a scale of an image, or a frame of a stack.

    Parameters
    ----------
    n, of : int
        How many are finished, and how many there are.
    what : {"stacks", "scales", "frames"}
    kept : int
        Eigenpatches kept in this one.
    image : ndarray, shape (m, n)
        The image as far as it is denoised; or the frame.
    info : ImageInfo
        What is known of its source.
    """

    n: int
    of: int
    what: Literal["stacks", "scales", "frames"]
    kept: int
    image: NDArray[Any]
    info: ImageInfo

    @property
    def shows(self) -> str:
        """What the image is, in words."""
        if self.what == "frames":
            return f"frame {self.n} of {self.of}"
        if self.n == self.of:
            return "the whole result"
        if self.what == "scales":
            return "the lattice, without what departs from it"
        return (
            f"{self.n} of {self.of} stacks of patches, each pixel the mean of those that reach it; "
            "the raw value where none does"
        )


def denoise_signal(
    signal: NDArray[Any],
    chosen: Chosen,
    params: JobParams,
    folder: Path,
    *,
    classify: Classify,
    on_step: Callable[[Step], None],
    goes_on: Callable[[], bool] = lambda: True,
    shared: Shared | None = None,
    first: bool = True,
) -> dict[str, Any]:
    """Denoise what was chosen of a file, and leave all artifacts in a folder; returns the report.

    Parameters
    ----------
    signal : ndarray, shape (m, n) or (frames, m, n)
        As decoded; may be a memory map.
    chosen : Chosen
    params : JobParams
    folder : Path
    classify : callable
        As in `reucid_core.denoise`.
    on_step : callable
        Called with each `Step`. What it raises ends the denoising.
    goes_on : callable
        Asked before each further stack or frame; when False, what is finished is the result.
    shared : Shared, optional
        What joint frames share, where others have found it.
    first : bool
        Whether the first of these frames is the first of all.
    """
    noisy = chosen.pixels_of(signal)
    is_stack = noisy.ndim == 3

    def on_stack(progress: Progress) -> bool:
        if not is_stack:  # of a stack, only whole frames are shown
            on_step(_of_image(progress, chosen.info))
        return progress.stack == progress.stacks or goes_on()

    results = (
        shared.denoise(as_stack(noisy), classify, first=first)
        if shared is not None
        else denoise_frames(
            as_stack(noisy),
            params.denoising,
            classify=classify,
            joint=is_stack and params.selection.frames == "joint",
            on_stack=on_stack,
        )
    )
    with ResultFiles(folder, noisy, chosen, params) as files:
        for result in results:
            files.add(result)
            if is_stack:
                on_step(of_stack(files, result, chosen.info))
            if files.done < files.frames and not goes_on():
                return files.finish("request")
        return files.finish("deadline")


def _of_image(progress: Progress, info: ImageInfo) -> Step:
    kept = progress.report.n_kept
    what = progress.what
    return Step(progress.stack, progress.stacks, what, kept, progress.image, info)


def of_stack(files: ResultFiles, result: Result, info: ImageInfo) -> Step:
    """The frame of a stack of images that was just finished."""
    kept = sum(stack.n_kept for stack in result.report.stack_reports)
    return Step(files.done, files.frames, "frames", kept, result.image, info)
