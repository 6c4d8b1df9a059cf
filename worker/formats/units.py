"""Units of calibrated axes, as one spelling of each."""

import math
from typing import Any

from worker.formats.text import plain

_SPELLINGS = {
    "nm": ("nm", "nanometer", "nanometers", "nanometre"),
    "µm": ("um", "µm", "μm", "micron", "microns", "micrometer", "micrometre", "\\u00b5m"),
    "Å": ("a", "å", "angstrom", "angstroms", "\\u00c5"),
    "pm": ("pm", "picometer", "picometre"),
    "mm": ("mm", "millimeter", "millimetre"),
    "m": ("m", "meter", "meters", "metre", "metres"),
    "1/nm": ("1/nm", "nm^-1", "1/n"),
    "1/Å": ("1/a", "1/å", "1/angstrom", "a^-1"),
    "s": ("s", "sec", "second", "seconds"),
    "deg": ("deg", "°", "degree", "degrees"),
}
_CANONICAL = {spelling: unit for unit, all_ in _SPELLINGS.items() for spelling in all_}
NANOMETRES = {"m": 1e9, "mm": 1e6, "µm": 1e3, "nm": 1.0, "Å": 0.1, "pm": 1e-3}
NONE = ("", "none", "pixel", "pixels", "px", "<undefined>", "undefined", "inch")


def canonical(unit: Any) -> str | None:
    """One spelling of a unit; None for none at all."""
    text = unit.decode("utf-8", "replace") if isinstance(unit, bytes) else str(unit or "")
    text = text.strip().strip("[]").replace("_", "").strip("\0 ")
    if text.lower() in NONE:
        return None
    return _CANONICAL.get(text.lower().replace(" ", ""), plain(text, 20))


def pixel_size(height: Any, width: Any, unit: Any) -> tuple[tuple[float, float] | None, str | None]:
    """Pixel size and unit, metres in nm; None for both when a file states none that can be."""
    unit = canonical(unit)
    try:
        sides = float(height), float(width)
    except (TypeError, ValueError):
        return None, None
    if unit is None or not all(math.isfinite(side) and side != 0 for side in sides):
        return None, None
    scale, unit = (NANOMETRES["m"], "nm") if unit == "m" else (1.0, unit)
    return (abs(sides[0]) * scale, abs(sides[1]) * scale), unit


def in_nanometres(size: tuple[float, float], unit: str | None) -> tuple[float, float] | None:
    """A pixel size in nm; None when the unit is no length."""
    if unit not in NANOMETRES:
        return None
    return size[0] * NANOMETRES[unit], size[1] * NANOMETRES[unit]
