"""Whether denoising the input once more decides and yields the same."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from reucid_core import DenoiseParams, Progress, Result, denoise, denoise_frames, noise_floor
from reucid_core.eigenpatches import Classify
from reucid_core.report import Report, StackReport
from reucid_core.revision import Verdicts, revise, verdicts_of_people
from worker.bundles.account import Account
from worker.bundles.evidence import Evidence, Pixels
from worker.bundles.recomputation import Frame, check_input, frame_of, result_of, threads_of
from worker.bundles.verdicts import Unverifiable, Verdict, refuting
from worker.denoising.model_files import Models
from worker.denoising.model_loading import classifier_at
from worker.denoising.params import JobParams
from worker.denoising.reports import told_of_people
from worker.denoising.selection import as_stack

SINGULAR_VALUES = 1e-4  # relative to the largest
UTILITIES = {"float64": 1e-3, "float32": 2e-2}  # by the precision of the eigenpatches
SAME = (  # of the report, beside the numbers
    "method",
    "engine",
    "shape",
    "input_dtype",
    "precision",
    "patch_size",
    "patch_size_origin",
    "psf_radius",
    "stacks",
    "stacks_done",
    "uncovered_pixels",
    "components",
    "threshold",
    "scan_noise",
    "seed",
)


def check_rerun(evidence: Evidence, found: Verdict) -> None:
    told, pixels = evidence.told, evidence.input[0]
    check_input(told, pixels)
    params = _params(told)
    classify = _classifier(told, params, Models.of(evidence.settings))
    result = as_stack(result_of(evidence))
    if people := told_of_people(told.raw):
        found.remarks.append(f"judged by a person, and taken as it was said: {people}")
    with refuting():
        for n, judged in enumerate(_again(told, pixels, params.denoising, classify)):
            here = frame_of(evidence, found, n)
            again = _as_people_said(here, judged, threads_of(told))
            _compare_reports(here, again)
            here.compare("result.npy", result[n], again.image, "what the re-run gives")


def _params(told: Account) -> JobParams:
    """As they were given."""
    try:
        with refuting():
            return JobParams.from_json(told.parameters)
    except TypeError as error:
        names = ", ".join(sorted(told.parameters))[:200]
        raise Unverifiable(f"it was made with parameters unknown here, among {names}") from error


def _classifier(told: Account, params: JobParams, models: Models) -> Classify:
    """The one that made it, by the hash of its weights, with the decision as given."""
    model = told.reports[0].model
    if model == noise_floor.identity:
        return noise_floor
    path = models.with_digest((model or "").rpartition("sha256:")[2])
    if path is None:
        here = ", ".join(info.identity for info in models.offered().values()) or "none"
        raise Unverifiable(
            f"it was made with the weights {model}, these are here: {here}; name its weights with "
            "REUCID_MODEL, or put them into REUCID_MODEL_DIR"
        )
    return classifier_at(path, replace(params.denoising, method="paper").scan_noise_decision)


def _again(
    told: Account, pixels: Pixels, given: DenoiseParams, classify: Classify
) -> Iterator[Result]:
    """Every frame that was denoised, once more."""
    threads = threads_of(told)
    if told.joint:
        params = _pinned(given, told.reports[0], threads)
        frames = denoise_frames(as_stack(pixels), params, classify=classify, joint=True)
        yield from islice(frames, len(told.reports))
        return
    for frame, report in zip(as_stack(pixels), told.reports, strict=False):
        yield denoise(
            frame,
            _pinned(given, report, threads),
            classify=classify,
            on_stack=None if report.complete else partial(_unfinished, stacks=report.stacks_done),
        )


def _as_people_said(here: Frame, again: Result, threads: int | None) -> Result:
    """The same with what people decided in place of the classifier."""
    verdicts = verdicts_of_people(here.report)
    if verdicts == Verdicts():
        return again
    image, _, report = revise(
        here.pixels, again.report, again.eigenpatches, verdicts, threads=threads
    )
    return replace(again, image=image, report=report)


def _unfinished(progress: Progress, *, stacks: int) -> bool:
    return progress.stack < stacks


def _compare_reports(here: Frame, again: Result) -> None:
    problems, report = here.found.problems, here.report
    for name in SAME:
        told, got = getattr(report, name), getattr(again.report, name)
        if told != got:
            problems.append(
                f"{here.label}{name}: the report says {told!r}, the re-run gives {got!r}"
            )
    stacks = zip(report.stack_reports, again.report.stack_reports, strict=False)
    for told_stack, got_stack in stacks:
        _compare_stacks(here, told_stack, got_stack, again.eigenpatches[0].dtype)


def _compare_stacks(
    frame: Frame, told: StackReport, got: StackReport, dtype: np.dtype[Any]
) -> None:
    found, here = frame.found, f"{frame.label}stack {told.stack}"
    if told.n_patches != got.n_patches or len(told.kept) != len(got.kept):
        found.problems.append(
            f"{here}: the report says {told.n_patches} patches and {len(told.kept)} eigenpatches, "
            f"the re-run gives {got.n_patches} and {len(got.kept)}"
        )
        return
    for index in np.flatnonzero(np.not_equal(told.kept, got.kept)):
        found.problems.append(
            f"{here}: eigenpatch {index + 1} was {'kept' if told.kept[index] else 'left out'} with "
            f"a utility of {told.utilities[index]:.4f}, the re-run "
            f"{'keeps' if got.kept[index] else 'leaves out'} it with {got.utilities[index]:.4f}"
        )
    largest = max(got.singular_values[0], np.finfo(float).tiny)
    singular = np.subtract(told.singular_values, got.singular_values) / largest
    utilities = np.subtract(told.utilities, got.utilities)
    for name, deviations, tolerance in (
        ("singular values", singular, SINGULAR_VALUES),
        ("utilities", utilities, UTILITIES[dtype.name]),
    ):
        deviation = float(np.abs(deviations).max())
        if not found.measure(name, deviation, tolerance):
            found.problems.append(
                f"{here}: the {name} of the report and of the re-run differ by up to "
                f"{deviation:.2g}, tolerated is {tolerance:g}"
            )


def _pinned(given: DenoiseParams, report: Report, threads: int | None) -> DenoiseParams:
    """As they were given, but for what the memory and the clock of another machine decided."""
    pinned: dict[str, Any] = {
        "method": report.method,
        "engine": report.engine,
        "stacks": report.stacks if report.engine == "stacked" else None,
        "deadline": None,
        "memory_budget": None,
        "threads": threads,
    }
    return replace(given, **pinned)
