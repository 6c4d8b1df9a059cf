"""The calibration of a TIFF page: by a microscope's program, by ImageJ, or by its resolution."""

from collections.abc import Mapping
from typing import Any

import tifffile

from worker.formats.calibration import Axis, Calibration, calibrated
from worker.formats.tiff_programs import CENTIMETRE, JEOL, PROGRAMS
from worker.formats.tiff_tags import step, value
from worker.formats.units import canonical

COARSEST = 1e-3  # cm per pixel; coarser is a printer's resolution, not a microscope's


def calibration_of(page: tifffile.TiffPage, imagej: Mapping[str, Any], frames: str) -> Calibration:
    """From the first program that left a calibration, else from a plausible resolution.

    Parameters
    ----------
    page : TiffPage
    imagej : mapping
        ImageJ's properties; empty when the file is not of ImageJ.
    frames : str
        tifffile's letters for the axes along which frames follow each other: T, Z, I.
    """
    notes: tuple[str, ...] = ()
    for source in PROGRAMS:
        found = source(page)
        if found.pixel_size is not None:
            return found
        notes += found.notes
    if value(page, "Make") == JEOL:
        return Calibration(notes=notes)  # its resolution is that of the camera
    found = _resolution(page, imagej, frames)
    return found if found.pixel_size is not None or not notes else Calibration(notes=notes)


def _resolution(page: tifffile.TiffPage, imagej: Mapping[str, Any], frames: str) -> Calibration:
    """ImageJ counts pixels per unit, `yunit` and `zunit` where they are not that of x."""
    unit = imagej.get("unit")
    units = {axis: imagej.get(f"{axis}unit", unit) for axis in "yz"} | {"x": unit}
    steps = {"y": step(page, "YResolution"), "x": step(page, "XResolution")}
    along = _between_frames(imagej, frames, units["z"])
    if None in steps.values():
        return calibrated(Axis(), Axis(), along)
    centimetres = value(page, "ResolutionUnit") == 3
    for axis in "yx":
        if canonical(units[axis]) in (None, "cm") and (centimetres or units[axis] == "cm"):
            plausible = (steps[axis] or 0.0) <= COARSEST
            units[axis] = "nm" if plausible else None
            steps[axis] = (steps[axis] or 0.0) * CENTIMETRE
    rows, columns = (
        Axis(steps[axis], units[axis], _offset(imagej, axis, steps[axis])) for axis in "yx"
    )
    return calibrated(rows, columns, along)


def _between_frames(imagej: Mapping[str, Any], frames: str, unit: Any) -> Axis | None:
    if not frames:
        return None
    times = Axis(_positive(imagej.get("finterval")), imagej.get("tunit", "s"))
    spacing = _positive(imagej.get("spacing"))
    planes = Axis(spacing, unit, _offset(imagej, "z", spacing))
    if set(frames) <= {"T"}:
        return times
    if set(frames) <= {"Z"}:
        return planes
    return (times if times.scale else planes) if set(frames) <= {"I", "Q"} else None


def _positive(value: Any) -> float | None:
    return float(value) if isinstance(value, float | int) and value > 0 else None


def _offset(imagej: Mapping[str, Any], axis: str, step: float | None) -> float:
    """ImageJ has the place of zero, in pixels."""
    origin = imagej.get(f"{axis}origin")
    return -float(origin) * (step or 0.0) if isinstance(origin, float | int) and origin else 0.0
