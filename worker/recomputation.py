"""Whether a result is found again: as the filter of its input, and by a re-run from the start."""

from dataclasses import fields
from typing import Any

import numpy as np

from reucid_core import DenoiseParams, denoise
from reucid_core.classifier import load_classifier
from reucid_core.replay import patch_energy, replay
from reucid_core.report import Report, StackReport
from worker.contract import ImageInfo
from worker.evidence import Check, Evidence, Pixels, Refuted, Unverifiable, refuting

TOLERANCE = 1e-6  # of the range of the image
ENERGY = 1e-3  # relative
SINGULAR_VALUES = 1e-4  # relative to the largest
UTILITIES = {"float64": 1e-3, "float32": 2e-2}  # by the precision of the eigenpatches
CALIBRATION = 1e-4  # relative; TIFF holds it as a ratio of integers
MOST_THREADS = 64

SAME = (  # of the report, beside the numbers
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
    "seed",
)


class _Tolerances:
    """Largest deviations that say nothing, in the image's unit of intensity.

    A pixel is the mean over p*p patches: of their roundings, about p remain.
    """

    def __init__(self, pixels: Pixels, p: int) -> None:
        low, high = float(pixels.min()), float(pixels.max())
        self._range = high - low
        self._roundings = p * max(abs(low), abs(high))

    def of(self, dtype: np.dtype[Any]) -> float:
        rounding = float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0
        return TOLERANCE * self._range + rounding * self._roundings


def check_filter(evidence: Evidence, found: Check) -> None:
    report, pixels = evidence.report, evidence.pixels
    _check_input(report, pixels)
    result, _ = evidence.image("result.npy")
    if (result.shape, str(result.dtype)) != (report.shape, report.precision):
        raise Refuted(
            f"result.npy is {result.dtype} of {result.shape}, the report says {report.precision} "
            f"of {report.shape}"
        )
    with refuting():
        filtered, coverage = replay(pixels, report, evidence.eigenpatches, threads=_threads(report))
        energies = patch_energy(pixels, report)
    for stack, energy in zip(report.stack_reports, energies, strict=True):
        if abs(energy - stack.energy) > ENERGY * max(energy, stack.energy):
            found.problems.append(
                f"the input was swapped or the report changed: the patches of stack {stack.stack} "
                f"have an energy of {energy:.6g}, the report says {stack.energy:.6g}"
            )
    tolerances = _Tolerances(pixels, report.patch_size)
    _compare(found, "result.npy", result, filtered, tolerances, "what the eigenpatches yield")
    _check_pictures(evidence, found, result, tolerances)
    uncovered = int(np.count_nonzero(coverage == 0))
    if uncovered != report.uncovered_pixels:
        found.problems.append(
            f"{uncovered} pixels lie under no patch, the report says {report.uncovered_pixels}"
        )
    if "coverage.npy" in evidence.unpacked.files:
        told, _ = evidence.image("coverage.npy")
        if not np.array_equal(told, coverage):
            found.problems.append("coverage.npy is not what the report's stacks cover")


def _check_pictures(
    evidence: Evidence, found: Check, result: Pixels, tolerances: "_Tolerances"
) -> None:
    """The TIFFs hold the same numbers, and the input's calibration."""
    pixels, info = evidence.input
    residual = pixels.astype(result.dtype) - result
    for name, expected in (("result.tif", result), ("residual.tif", residual)):
        picture, calibrated = evidence.image(name)
        _compare(found, name, picture, expected, tolerances, "what result.npy and the input say")
        if not _same_calibration(calibrated, info):
            found.problems.append(
                f"{name} has pixels of {_size(calibrated)}, those of the input are of {_size(info)}"
            )


def _compare(
    found: Check, name: str, image: Pixels, expected: Pixels, tolerances: "_Tolerances", what: str
) -> None:
    if image.shape != expected.shape:
        found.problems.append(f"{name} has the shape {image.shape}, expected {expected.shape}")
        return
    deviation = float(np.abs(image.astype(np.float64) - expected).max())
    tolerance = tolerances.of(image.dtype)
    if not found.measure(name, deviation, tolerance):
        found.problems.append(
            f"{name} is not {what}: they differ by up to {deviation:.4g}, tolerated is "
            f"{tolerance:.4g}"
        )


def _size(info: ImageInfo) -> str:
    if info.pixel_size is None:
        return "unknown size"
    return f"{info.pixel_size[0]:.6g} x {info.pixel_size[1]:.6g} {info.unit}"


def _same_calibration(one: ImageInfo, other: ImageInfo) -> bool:
    if one.pixel_size is None or other.pixel_size is None:
        return one.pixel_size == other.pixel_size
    return one.unit == other.unit and np.allclose(
        one.pixel_size, other.pixel_size, rtol=CALIBRATION, atol=0
    )


def check_rerun(evidence: Evidence, found: Check) -> None:
    report, pixels = evidence.report, evidence.pixels
    _check_input(report, pixels)
    classify = load_classifier(evidence.settings.model)
    if _digest(report.model) != _digest(classify.identity):
        raise Unverifiable(
            f"it was made with the weights {report.model}, these are {classify.identity}: name its "
            "weights with REUCID_MODEL"
        )
    with refuting():
        again = denoise(
            pixels,
            _same_parameters(report),
            classify=classify,
            on_stack=lambda progress: progress.stack < report.stacks_done,
        )
    for name in SAME:
        told, got = getattr(report, name), getattr(again.report, name)
        if told != got:
            found.problems.append(f"{name}: the report says {told!r}, the re-run gives {got!r}")
    if len(again.report.stack_reports) != len(report.stack_reports):
        return
    for told, got in zip(report.stack_reports, again.report.stack_reports, strict=True):
        _compare_stacks(found, told, got, again.eigenpatches[0].dtype)
    result, _ = evidence.image("result.npy")
    tolerances = _Tolerances(pixels, report.patch_size)
    _compare(found, "result.npy", result, again.image, tolerances, "what the re-run gives")


def _compare_stacks(
    found: Check, told: StackReport, got: StackReport, dtype: np.dtype[Any]
) -> None:
    here = f"stack {told.stack}"
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


def _same_parameters(report: Report) -> DenoiseParams:
    """As they were given, but for what the memory and the clock of another machine decided."""
    known = {each.name for each in fields(DenoiseParams)}
    given = {name: value for name, value in report.parameters.items() if name in known}
    pinned: dict[str, Any] = {
        "engine": report.engine,
        "stacks": report.stacks if report.engine == "stacked" else None,
        "deadline": None,
        "memory_budget": None,
        "threads": _threads(report),
    }
    return DenoiseParams(**given | pinned)


def _digest(model: str | None) -> str:
    return (model or "").rpartition("sha256:")[2]


def _check_input(report: Report, pixels: Pixels) -> None:
    if (pixels.shape, str(pixels.dtype)) != (report.shape, report.input_dtype):
        raise Refuted(
            f"the input was swapped or the report changed: the input is {pixels.dtype} of "
            f"{pixels.shape}, the report says {report.input_dtype} of {report.shape}"
        )


def _threads(report: Report) -> int | None:
    """The number of threads it was made with, since the last bits depend on it; not any number."""
    threads = report.parameters.get("threads")
    return threads if isinstance(threads, int) and 1 <= threads <= MOST_THREADS else None
