"""Units of calibrated axes, as one spelling of each."""

import re
from typing import Any

from worker.formats.text import decoded, plain

_SPELLINGS = {
    "nm": ("nm", "nanometer", "nanometers", "nanometre"),
    "µm": ("um", "µm", "μm", "micron", "microns", "micrometer", "micrometre"),
    "Å": ("a", "å", "angstrom", "angstroms"),
    "pm": ("pm", "picometer", "picometre"),
    "mm": ("mm", "millimeter", "millimeters", "millimetre"),
    "cm": ("cm", "centimeter", "centimeters", "centimetre"),
    "fm": ("fm", "femtometer", "femtometre"),
    "m": ("m", "meter", "meters", "metre", "metres"),
    "1/m": ("1/m", "m^-1", "m-1", "1/meters"),
    "1/µm": ("1/um", "1/µm", "1/μm", "um^-1", "µm^-1", "um-1", "µm-1", "μm-1"),
    "1/nm": ("1/nm", "nm^-1", "nm-1", "1/n"),
    "1/Å": ("1/a", "1/å", "1/angstrom", "1/angstroms", "a^-1", "å^-1", "a-1", "å-1"),
    "s": ("s", "sec", "second", "seconds"),
    "ms": ("ms", "msec", "millisecond", "milliseconds"),
    "µs": ("us", "µs", "μs", "microsecond", "microseconds"),
    "min": ("min", "minute", "minutes"),
    "deg": ("deg", "°", "degree", "degrees"),
}
_CANONICAL = {spelling: unit for unit, all_ in _SPELLINGS.items() for spelling in all_}
# NCEM's EMD has [n_m] for nm, LaTeX nm$^{-1}$, others nm⁻¹
_PUNCTUATION = str.maketrans("⁻\u2212¹", "--1", "[]_\0${}^")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")  # of ImageJ, which writes ASCII
NANOMETRES = {"m": 1e9, "cm": 1e7, "mm": 1e6, "µm": 1e3, "nm": 1.0, "Å": 0.1, "pm": 1e-3}
NANOMETRES |= {"fm": 1e-6}
RECIPROCAL_NANOMETRES = {"1/m": 1e-9, "1/µm": 1e-3, "1/nm": 1.0, "1/Å": 10.0}
NONE = ("", "none", "pixel", "pixels", "px", "<undefined>", "undefined", "inch", "referenceframe")


def canonical(unit: Any) -> str | None:
    """One spelling of a unit; None for none at all."""
    text = decoded(unit) if isinstance(unit, bytes) else str(unit or "")
    text = _ESCAPE.sub(lambda found: chr(int(found.group(1), 16)), text).strip(" \0")
    spelled = text.translate(_PUNCTUATION).lower().replace(" ", "")
    return None if spelled in NONE else _CANONICAL.get(spelled, plain(text, 20))


def is_known(unit: Any) -> bool:
    """Whether this is the name of a unit, and nothing that would have to be evaluated."""
    return isinstance(unit, str) and unit.strip().lower() in _CANONICAL


def in_nanometres(size: tuple[float, float], unit: str | None) -> tuple[float, float] | None:
    """A pixel size in nm; None when the unit is no length."""
    if unit not in NANOMETRES:
        return None
    return size[0] * NANOMETRES[unit], size[1] * NANOMETRES[unit]
