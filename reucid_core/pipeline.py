"""From a noisy image to a linear filter of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reucid_core.assessment import assess_one_scale
from reucid_core.clock import Clock
from reucid_core.departures import mask_of
from reucid_core.eigenpatches import Classify, FloatArray
from reucid_core.errors import MemoryBudgetError
from reucid_core.exact import denoise_exact
from reucid_core.image import as_working_image
from reucid_core.noise import NoiseModel, estimate_noise
from reucid_core.noise_floor import noise_floor
from reucid_core.outcome import OnStack, Outcome, Progress, Task
from reucid_core.outliers import without
from reucid_core.params import DenoiseParams
from reucid_core.plan import Way, choose_way, thriftier
from reucid_core.renoising import estimate_bias
from reucid_core.report import NO_NOISE, OutlierReport, Report, library_versions
from reucid_core.stacked import denoise_stacked
from reucid_core.terrain import full_terrain
from reucid_core.threads import limited
from reucid_core.two_scale import denoise_two_scale

__all__ = ["OnStack", "Progress", "Result", "denoise"]

SHOWN = 5  # outliers that a warning names
Engine = Callable[[FloatArray, Task], Outcome]

METHODS: dict[tuple[str, str], Engine] = {
    ("paper", "exact"): denoise_exact,
    ("paper", "stacked"): denoise_stacked,
    ("two-scale", "exact"): denoise_two_scale,
}


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
    partial_coverage : ndarray, shape (m, n), int32, or None
        The coverage where it was stopped; None when all patches are in.
    eigenpatches : tuple of ndarray, shape (k, p, p)
        All offered eigenpatches of each processed stack; with method `two-scale` those of the
        lattice, then those of what departs from it.
    report : Report
    """

    noisy: NDArray[Any]
    image: FloatArray
    partial_coverage: NDArray[np.int32] | None
    eigenpatches: tuple[FloatArray, ...]
    report: Report

    @cached_property
    def coverage(self) -> NDArray[np.int32]:
        """Number of patches that overlap each pixel, shape (m, n); 0 where the raw value is."""
        if self.partial_coverage is not None:
            return self.partial_coverage
        return full_terrain(self.report.shape, self.report.patch_size, self.report.spacing)

    @cached_property
    def departures(self) -> NDArray[np.bool_] | None:
        """Where the image is not its lattice, shape (m, n); None with one scale."""
        recovery = self.report.recovery
        return None if recovery is None else mask_of(recovery.runs, self.report.shape)

    @cached_property
    def residual(self) -> FloatArray:
        """Noisy image minus reconstruction, shape (m, n), in the type of `image`."""
        residual: FloatArray = self.noisy.astype(self.image.dtype) - self.image
        return residual


def denoise(
    image: ArrayLike,
    params: DenoiseParams | None = None,
    *,
    classify: Classify = noise_floor,
    on_stack: OnStack | None = None,
) -> Result:
    """Denoise a micrograph by keeping only its useful eigenpatches.

    Parameters
    ----------
    image : array_like, shape (m, n), integer or floating
        Finite intensities in any unit, at least 3 x 3 px. Never modified.
    params : DenoiseParams, optional
    classify : callable, optional
        Utilities in [0, 1] of a `Decomposition`'s eigenpatches; it never sees a pixel. By default
        the rule of `reucid_core.noise_floor`; for a network see
        `reucid_core.classifier.load_classifier`.
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
    with limited(params.threads):
        noisy = as_working_image(source, params.precision)
        way = choose_way(params, classify)
        while True:
            task = Task(replace(params, method=way.method), classify, on_stack, Clock())
            try:
                outcome = METHODS[way.method, way.engine](noisy, task)
                break
            except MemoryBudgetError as error:
                other = thriftier(way, params, str(error))
                if other is None:
                    raise
                way = other
        outcome = assessed(outcome, noisy)
        if params.bias:
            outcome = with_bias(outcome, noisy, task, METHODS[way.method, way.engine])
    return Result(
        noisy=source,
        image=outcome.image,
        partial_coverage=outcome.coverage,
        eigenpatches=tuple(outcome.eigenpatches),
        report=report_of(source, noisy, way, outcome, task),
    )


def assessed(outcome: Outcome, noisy: FloatArray) -> Outcome:
    """With an assessment, if it is of one scale and whole."""
    if outcome.assessment is not None or outcome.noise is not None or outcome.stopped_by:
        return outcome
    passed = [verdict.n_kept / outcome.plan.p**2 for verdict in outcome.verdicts]
    found = assess_one_scale(outcome.image, noisy, sum(passed) / len(passed))
    return replace(outcome, assessment=found)


def with_bias(outcome: Outcome, noisy: FloatArray, task: Task, engine: Engine) -> Outcome:
    """With an assessment that tells what is kept of small changes in columns, where any is told."""
    noise = estimate_noise([noisy]) if outcome.noise is None else outcome.noise
    if outcome.assessment is None or noise.kind == "none":
        return outcome
    quiet = replace(task, on_stack=None, clock=Clock())
    result, psf = outcome.image, outcome.plan.patch_size
    if outcome.outliers is not None:
        result = without(result, outcome.outliers)
    found = estimate_bias(
        result, noise, psf.radius, task.params.seed, lambda image: engine(image, quiet).image
    )
    task.clock.lap("bias")
    return replace(outcome, assessment=replace(outcome.assessment, columns=found))


def report_of(
    source: NDArray[Any], noisy: FloatArray, way: Way, outcome: Outcome, task: Task
) -> Report:
    """The report of a reconstruction."""
    plan = outcome.plan
    return Report(
        engine=way.engine,
        engine_reason=way.engine_reason,
        shape=(noisy.shape[0], noisy.shape[1]),
        input_dtype=str(source.dtype),
        precision=str(noisy.dtype),
        patch_size=plan.p,
        patch_size_origin=plan.patch_size.origin,
        psf_radius=plan.patch_size.radius,
        psf_profile=plan.patch_size.profile.tolist(),
        stacks=plan.stacks,
        stacks_origin=plan.stacks_origin,
        stacks_done=len(outcome.verdicts),
        stopped_by=outcome.stopped_by,
        uncovered_pixels=_uncovered(outcome.coverage),
        components=plan.components,
        threshold=task.threshold,
        model=getattr(task.classify, "identity", None),
        scan_noise=_scan_noise(task),
        method=way.method,
        method_reason=way.method_reason,
        noise=outcome.noise,
        spacing=outcome.spacing,
        weights=outcome.weights,
        recovery=outcome.recovery,
        assessment=outcome.assessment,
        outliers=outcome.outliers,
        seed=task.params.seed,
        seconds=task.clock.seconds,
        stack_reports=outcome.verdicts,
        warnings=_warnings(outcome),
        versions=library_versions(),
    )


def _scan_noise(task: Task) -> str | None:
    """The decision, by the noise model with two scales and by the classifier with one."""
    if task.params.method == "two-scale":
        return task.params.scan_noise_decision
    return getattr(task.classify, "scan_noise", None)


def _uncovered(coverage: NDArray[np.int32] | None) -> int:
    return 0 if coverage is None else coverage.size - int(np.count_nonzero(coverage))


def _warnings(outcome: Outcome) -> list[str]:
    warnings = []
    plan = outcome.plan
    if outcome.noise is not None:
        warnings += _told_of_noise(outcome.noise)
    if outcome.noise is not None and outcome.stopped_by is not None:
        warnings.append(
            "it was stopped at the lattice: what departs from it, as defects do, was not recovered"
        )
    if outcome.assessment is not None:
        warnings += outcome.assessment.doubts
    if outcome.outliers is not None:
        warnings += _told_of_outliers(outcome.outliers)
    if plan.patch_size.origin == "none" and outcome.noise is None:
        warnings.append(
            "the autocorrelation shows no point-spread function above the noise; the smallest "
            f"patch size, {plan.p} px, was taken"
        )
    warnings += [
        f"stack {verdict.stack}: no eigenpatch reached the threshold, the first was kept"
        for verdict in outcome.verdicts
        if verdict.nothing_useful
    ]
    return warnings


def _told_of_outliers(found: OutlierReport) -> list[str]:
    told = []
    verb = "kept as they are" if found.treatment == "keep" else "repaired"
    if found.rows:
        places = [f"({y}, {x})" for y, x in list(zip(*found.positions, strict=True))[:SHOWN]]
        told.append(
            f"{len(found.rows)} pixels stand far out of their neighbours and were {verb}: "
            + _listed(places, len(found.rows))
        )
    if found.boxes:
        areas = [
            f"rows {top} to {bottom}, columns {left} to {right}"
            for top, left, bottom, right in found.boxes[:SHOWN]
        ]
        told.append(
            f"{len(found.boxes)} areas are drawn over the image or missing from it and were "
            f"{verb}, left out of everything measured: {_listed(areas, len(found.boxes), '; ')}"
        )
    return told


def _listed(shown: list[str], number: int, separator: str = ", ") -> str:
    return separator.join(shown if number <= SHOWN else [*shown, "..."])


def _told_of_noise(noise: NoiseModel) -> list[str]:
    told = []
    if noise.kind == "none":
        told.append(NO_NOISE)
    if noise.kind == "separable":
        told.append(
            "the noise is correlated in both directions, as in filtered or resampled images; it is "
            "removed where it can be told from signal"
        )
    if not noise.certain:
        told.append(
            "part of the signal may have been measured as noise: its spectrum is too steep, "
            "reaches up to the highest frequencies, or is ruled by a few pixels"
        )
    return told
