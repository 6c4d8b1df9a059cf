"""Axes with their units, and what they say of an image together."""

import math
from dataclasses import dataclass
from typing import Any

from worker.formats.units import NANOMETRES, RECIPROCAL_NANOMETRES, canonical


@dataclass(frozen=True)
class Axis:
    """One axis as its file states it: a step, the unit of the step, and where it begins.

    Parameters
    ----------
    scale : float or anything that is one
        From sample to sample; whatever is no finite number but zero states nothing.
    unit : str
        Of this axis alone.
    offset : float or anything that is one
        Of the first sample, in `unit`.
    """

    scale: Any = None
    unit: Any = None
    offset: Any = 0.0


@dataclass(frozen=True)
class Calibration:
    """What a pixel measures, and where image and frames begin."""

    pixel_size: tuple[float, float] | None = None  # height, width in `unit`
    unit: str | None = None
    origin: tuple[float, float] | None = None  # of the first pixel, in `unit`; None for 0, 0
    frame_step: float | None = None  # from frame to frame, in `frame_unit`
    frame_unit: str | None = None
    frame_origin: float | None = None  # of the first frame, in `frame_unit`; None for 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Side:
    """An axis that is calibrated."""

    scale: float
    unit: str
    offset: float

    def times(self, factor: float, unit: str) -> "_Side":
        return _Side(tidy(self.scale * factor), unit, tidy(self.offset * factor))


def calibrated(rows: Axis, columns: Axis, frames: Axis | None = None) -> Calibration:
    """The calibration of an image, each axis by its own unit.

    Lengths in different units are converted to nm, metres always. Where one axis has a unit and
    the other none, or one that nothing is common with, the image is uncalibrated, with a note.
    """
    height, width, notes = _plane(_side(rows), _side(columns))
    step = _side(frames) if frames is not None else None
    along = {} if step is None else {"frame_step": step.scale, "frame_unit": step.unit}
    if step is not None and step.offset:
        along["frame_origin"] = step.offset
    if height is None or width is None:
        return Calibration(notes=notes, **along)  # type: ignore[arg-type]
    backwards = [name for name, side in (("rows", height), ("columns", width)) if side.scale < 0]
    notes += tuple(f"the {name} count backwards: the origin is left out" for name in backwards)
    origin = (height.offset, width.offset)
    return Calibration(
        (abs(height.scale), abs(width.scale)),
        height.unit,
        origin if any(origin) and not backwards else None,
        notes=notes,
        **along,  # type: ignore[arg-type]
    )


def tidy(value: float) -> float:
    """Without the noise of a conversion: 0.0051 µm are 5.1 nm, not 5.1000000000000005."""
    return float(f"{value:.12g}")


def _side(axis: Axis) -> _Side | None:
    unit, scale, offset = canonical(axis.unit), _finite(axis.scale), _finite(axis.offset)
    if unit is None or not scale:
        return None
    side = _Side(tidy(scale), unit, tidy(offset or 0.0))
    return side.times(1e9, "nm") if unit == "m" else side


def _finite(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _plane(
    height: _Side | None, width: _Side | None
) -> tuple[_Side | None, _Side | None, tuple[str, ...]]:
    """Both sides in one unit, or neither."""
    if height is None and width is None:
        return None, None, ()
    if height is None or width is None:
        known = "columns" if height is None else "rows"
        return None, None, (f"the file calibrates the {known} only: taken as uncalibrated",)
    if height.unit == width.unit:
        return height, width, ()
    for unit, table in (("nm", NANOMETRES), ("1/nm", RECIPROCAL_NANOMETRES)):
        if height.unit in table and width.unit in table:
            return height.times(table[height.unit], unit), width.times(table[width.unit], unit), ()
    differ = f"the rows are in {height.unit}, the columns in {width.unit}"
    return None, None, (f"{differ}: taken as uncalibrated",)
