"""Algorithm 1 of the paper: from a noisy image to a linear filter of it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from reucid_core.canvas import Canvas
from reucid_core.clock import Clock
from reucid_core.decompose import decompose
from reucid_core.eigenpatches import Classify, FloatArray
from reucid_core.image import working_copy
from reucid_core.params import DenoiseParams
from reucid_core.patches import assign, gather
from reucid_core.plan import Plan, make_plan
from reucid_core.report import Report, StackReport, StoppedBy, library_versions
from reucid_core.verdict import choose_threshold, judge


@dataclass(frozen=True)
class Progress:
    """Where a denoising stands after a stack.

    Parameters
    ----------
    stack, stacks : int
        Stacks finished, and in all.
    image : ndarray, shape (m, n)
        The interim result; pixels that no patch has reached yet hold the raw value.
    coverage : ndarray, shape (m, n), int32
        As in `Result`.
    report : StackReport
        Of the stack just finished.
    """

    stack: int
    stacks: int
    image: FloatArray
    coverage: NDArray[np.int32]
    report: StackReport


@dataclass(frozen=True)
class Result:
    """What a denoising yields.

    Parameters
    ----------
    noisy : ndarray, shape (m, n)
        The caller's own image, not a copy.
    image : ndarray, shape (m, n), float32 or float64
        The reconstruction, in the intensity units of the input. Pixels under no processed patch
        hold the raw value.
    coverage : ndarray, shape (m, n), int32
        Number of patches that overlap each pixel; 0 where the raw value was kept.
    eigenpatches : tuple of ndarray, shape (k, p, p)
        All offered eigenpatches of each processed stack.
    report : Report
    """

    noisy: NDArray[Any]
    image: FloatArray
    coverage: NDArray[np.int32]
    eigenpatches: tuple[FloatArray, ...]
    report: Report

    @cached_property
    def residual(self) -> FloatArray:
        """Noisy image minus reconstruction, shape (m, n), in the type of `image`."""
        residual: FloatArray = self.noisy.astype(self.image.dtype) - self.image
        return residual


OnStack = Callable[[Progress], bool | None]


def denoise(
    image: ArrayLike,
    params: DenoiseParams | None = None,
    *,
    classify: Classify,
    on_stack: OnStack | None = None,
) -> Result:
    """Denoise a micrograph by keeping only its useful eigenpatches.

    Parameters
    ----------
    image : array_like, shape (m, n), integer or floating
        Finite intensities in any unit, at least 3 x 3 px. Never modified.
    params : DenoiseParams, optional
    classify : callable
        Utilities in [0, 1] of a `Decomposition`'s eigenpatches; see
        `reucid_core.classifier.load_classifier`. It never sees a pixel.
    on_stack : callable, optional
        Called with a `Progress` after each stack; when it returns False no further stack is begun
        (the paper's ``interim_required``).

    Returns
    -------
    Result

    Raises
    ------
    ImageError
        When the image is not a finite, real, two-dimensional array of at least 3 x 3 px.
    ParameterError
        When a parameter does not fit the image.
    MemoryBudgetError
        When no number of stacks, or not the stated one, fits into the memory.

    Notes
    -----
    Given the eigenpatches, the result is a linear filter of the input. The same image and
    parameters give the same bits on one machine and number of threads.

    Scaling the image scales the result. Adding an offset adds it to the result only when all
    eigenpatches are kept: patches are not centred, so an offset draws the first eigenpatch towards
    the constant patch, and the others give way. A large offset makes the first the constant one,
    up to a share that falls like 1 / offset, and the result less the offset settles.
    """
    params = params or DenoiseParams()
    source = np.asarray(image)
    with threadpool_limits(params.threads):
        clock = Clock()
        noisy = working_copy(source, params.precision)
        plan = make_plan(noisy, params)
        clock.lap("psf")

        threshold = choose_threshold(params.threshold, classify)
        assignment_rng, sketch_rng = np.random.default_rng(params.seed).spawn(2)
        canvas = Canvas(noisy, assign(noisy.shape, plan.p, plan.stacks, assignment_rng), plan.p)
        eigenpatches: list[FloatArray] = []
        verdicts: list[StackReport] = []
        stopped_by: StoppedBy | None = None
        for stack in range(1, plan.stacks + 1):
            origins = canvas.origins(stack)
            patches = gather(noisy, origins, plan.p)
            clock.lap("gather")
            decomposition = decompose(patches, plan.components, rng=sketch_rng)
            clock.lap("decompose")
            verdict = judge(decomposition, classify, threshold, stack=stack)
            clock.lap("classify")
            canvas.fuse(patches, origins, decomposition.eigenpatches[verdict.kept])
            clock.lap("fuse")
            del patches  # before the next stack takes its place
            eigenpatches.append(decomposition.eigenpatches)
            verdicts.append(verdict)
            stopped_by = _stopped(canvas, verdict, plan, on_stack, params.deadline, clock)
            clock.lap("interim")
            if stopped_by:
                break

        coverage = canvas.coverage()
        denoised = canvas.image(coverage)
        clock.lap("terrain")

    report = Report(
        engine="stacked",
        engine_reason=plan.engine_reason,
        shape=(noisy.shape[0], noisy.shape[1]),
        input_dtype=str(source.dtype),
        precision=str(noisy.dtype),
        patch_size=plan.p,
        patch_size_origin=plan.patch_size.origin,
        psf_radius=plan.patch_size.radius,
        psf_profile=plan.patch_size.profile.tolist(),
        stacks=plan.stacks,
        stacks_origin=plan.stacks_origin,
        stacks_done=len(verdicts),
        stopped_by=stopped_by,
        uncovered_pixels=int(np.count_nonzero(coverage == 0)),
        components=plan.components,
        threshold=threshold,
        model=getattr(classify, "identity", None),
        seed=params.seed,
        seconds=clock.seconds,
        stack_reports=verdicts,
        warnings=_warnings(plan, verdicts),
        versions=library_versions(),
    )
    return Result(source, denoised, coverage, tuple(eigenpatches), report)


def _stopped(
    canvas: Canvas,
    verdict: StackReport,
    plan: Plan,
    on_stack: OnStack | None,
    deadline: float | None,
    clock: Clock,
) -> StoppedBy | None:
    """Show the interim result; say who wants no further stack, if there is one to leave out."""
    stopped_by: StoppedBy | None = None
    if deadline is not None and clock.elapsed >= deadline:
        stopped_by = "deadline"
    if on_stack is not None:
        coverage = canvas.coverage()
        interim = canvas.image(coverage)
        if on_stack(Progress(verdict.stack, plan.stacks, interim, coverage, verdict)) is False:
            stopped_by = "request"
    return stopped_by if verdict.stack < plan.stacks else None


def _warnings(plan: Plan, verdicts: list[StackReport]) -> list[str]:
    warnings = []
    if plan.patch_size.origin == "none":
        warnings.append(
            "the autocorrelation shows no point-spread function above the noise; the smallest "
            f"patch size, {plan.p} px, was taken"
        )
    warnings += [
        f"stack {verdict.stack}: no eigenpatch reached the threshold, the first was kept"
        for verdict in verdicts
        if verdict.nothing_useful
    ]
    return warnings
