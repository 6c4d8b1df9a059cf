"""Whether a result is what its eigenpatches make of the input: nothing that was not measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reucid_core.replay import patch_energy, replay
from reucid_core.report import Report
from worker.bundles import bundle
from worker.bundles.account import Account
from worker.bundles.evidence import Evidence, Pixels
from worker.bundles.verdicts import Refuted, Verdict, refuting
from worker.contract import ImageInfo
from worker.denoising.artifacts import departures
from worker.denoising.reports import has_departures
from worker.denoising.selection import as_stack

TOLERANCE = 1e-6  # of the range of the image
ENERGY = 1e-3  # relative
CALIBRATION = 1e-4  # relative; TIFF holds it as a ratio of integers
MOST_THREADS = 64


def check_filter(evidence: Evidence, found: Verdict) -> None:
    told, pixels = evidence.told, evidence.input[0]
    check_input(told, pixels)
    result = as_stack(result_of(evidence))
    frames = [frame_of(evidence, found, n) for n in range(len(result))]
    _check_pictures(evidence, frames, result)
    _check_departures(evidence, found)
    coverage = _coverage(evidence)
    energies = np.zeros(len(told.reports[0].stack_reports))
    for n, here in enumerate(frames):
        if n < len(told.reports):
            with refuting():
                expected, covered = replay(
                    here.pixels, here.report, evidence.eigenpatches(n), threads=threads_of(told)
                )
                energy = patch_energy(here.pixels, here.report)
            energies += energy
            here.compare("result.npy", result[n], expected, "what the eigenpatches yield")
            here.check_uncovered(covered)
            if not told.joint:
                here.check_energy(energy)
        else:
            covered = np.zeros(here.pixels.shape, np.int32)
            here.compare("result.npy", result[n], here.pixels, "the raw frame, as it was left")
        if coverage is not None and not np.array_equal(coverage[n], covered):
            found.problems.append(f"{here.label}coverage.npy is not what the report's stacks cover")
    if told.joint:
        Frame(found, pixels, told.reports[0], "").check_energy(energies.tolist())


def _check_pictures(evidence: Evidence, frames: Sequence["Frame"], result: Pixels) -> None:
    """The TIFFs hold the same numbers as result and input, and the input's calibration."""
    problems, info = frames[0].found.problems, evidence.input[1]
    for name in ("result.tif", "residual.tif"):
        picture, calibrated = evidence.image(name)
        if not _same_calibration(calibrated, info):
            problems.append(
                f"{name} has pixels of {_size(calibrated)}, those of the input are of {_size(info)}"
            )
        if picture.shape != evidence.told.shape:
            expected = evidence.told.shape
            problems.append(f"{name} has the shape {picture.shape}, expected {expected}")
            continue
        for n, here in enumerate(frames):
            residual = here.pixels.astype(result.dtype) - result[n]
            wanted = result[n] if name == "result.tif" else residual
            here.compare(name, as_stack(picture)[n], wanted, "what result.npy says")


def _check_departures(evidence: Evidence, found: Verdict) -> None:
    """The map that is drawn is the one by which the report says that was recovered."""
    name, report = bundle.DEPARTURES, evidence.told.raw
    held = name in evidence.unpacked.files
    if held != has_departures(report):
        found.problems.append(f"{name} is {'there' if held else 'missing'}, the report says other")
    elif held and not np.array_equal(evidence.image(name)[0], departures(report)):
        found.problems.append(f"{name} is not the map that the report tells of")


def _coverage(evidence: Evidence) -> Pixels | None:
    if "coverage.npy" not in evidence.unpacked.files:
        return None
    coverage, _ = evidence.image("coverage.npy")
    if coverage.shape != evidence.told.shape:
        expected = evidence.told.shape
        raise Refuted(f"coverage.npy has the shape {coverage.shape}, expected {expected}")
    return as_stack(coverage)


def result_of(evidence: Evidence) -> Pixels:
    result, _ = evidence.image("result.npy")
    precision = evidence.told.reports[0].precision
    if (result.shape, str(result.dtype)) != (evidence.told.shape, precision):
        raise Refuted(
            f"result.npy is {result.dtype} of {result.shape}, the report says {precision} of "
            f"{evidence.told.shape}"
        )
    return result


def frame_of(evidence: Evidence, found: Verdict, n: int) -> "Frame":
    """The n-th frame; one that was not denoised is measured by the report of the last that was."""
    told, pixels = evidence.told, evidence.input[0]
    label = f"frame {n}: " if pixels.ndim == 3 else ""
    return Frame(found, as_stack(pixels)[n], told.reports[min(n, len(told.reports) - 1)], label)


@dataclass(frozen=True)
class Frame:
    """A frame of the input, and what is found of it."""

    found: Verdict
    pixels: Pixels
    report: Report
    label: str

    def compare(self, name: str, image: Pixels, expected: Pixels, what: str) -> None:
        """Note where an image is not what is expected."""
        deviation = float(np.abs(image.astype(np.float64) - expected).max())
        tolerance = self._tolerance(image.dtype)
        if not self.found.measure(name, deviation, tolerance):
            self.found.problems.append(
                f"{self.label}{name} is not {what}: they differ by up to {deviation:.4g}, "
                f"tolerated is {tolerance:.4g}"
            )

    def check_energy(self, energies: Sequence[float]) -> None:
        """Note where the input has other patches than the report tells of."""
        for stack, energy in zip(self.report.stack_reports, energies, strict=True):
            if abs(energy - stack.energy) > ENERGY * max(energy, stack.energy):
                self.found.problems.append(
                    f"{self.label}the input was swapped or the report changed: the patches of "
                    f"stack {stack.stack} have an energy of {energy:.6g}, the report says "
                    f"{stack.energy:.6g}"
                )

    def check_uncovered(self, coverage: Pixels) -> None:
        """Note when another number of pixels keeps the raw value."""
        uncovered = int(np.count_nonzero(coverage == 0))
        if uncovered != self.report.uncovered_pixels:
            self.found.problems.append(
                f"{self.label}{uncovered} pixels lie under no patch, the report says "
                f"{self.report.uncovered_pixels}"
            )

    def _tolerance(self, dtype: np.dtype[Any]) -> float:
        """Largest deviation that says nothing, in the image's unit of intensity.

        A pixel is the mean over p*p patches: of their roundings, about p remain.
        """
        low, high = float(self.pixels.min()), float(self.pixels.max())
        rounding = float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0
        largest = max(abs(low), abs(high))
        return TOLERANCE * (high - low) + rounding * self.report.patch_size * largest


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


def check_input(told: Account, pixels: Pixels) -> None:
    dtype = told.reports[0].input_dtype
    if (pixels.shape, str(pixels.dtype)) != (told.shape, dtype):
        raise Refuted(
            f"the input was swapped or the report changed: the input is {pixels.dtype} of "
            f"{pixels.shape}, the report says {dtype} of {told.shape}"
        )


def threads_of(told: Account) -> int | None:
    """The number of threads it was made with, since the last bits depend on it; not any number."""
    threads = told.parameters.get("threads")
    return threads if isinstance(threads, int) and 1 <= threads <= MOST_THREADS else None
