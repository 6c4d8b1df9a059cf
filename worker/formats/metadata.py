"""What a file says of its images beside the pixels: kept as JSON, and searched for what matters."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from worker.formats.text import plain
from worker.formats.units import in_nanometres

BUDGET = 64 * 1024  # characters of JSON kept of one signal, about
LONGEST_TEXT, LONGEST_LIST, DEEPEST = 2048, 64, 16
ELEMENTARY_CHARGE = 1.602176634e-19  # C

# Where files state them, best first, with the factor to the unit we use; keys without punctuation.
BEAM_ENERGY = {  # keV
    "microscopeinfo.voltage": 1e-3,
    "optics.accelerationvoltage": 1e-3,
    "hightensionkv": 1.0,
    "acceleratingvoltage": 1e-3,
    "microscope.hightension": 1e-3,
    "beam.hv": 1e-3,
    "beamenergy": 1.0,
}
DWELL_TIME = {  # s
    "digiscan.sampletime": 1e-6,
    "scan.dwelltime": 1.0,
    "dwelltimepath": 1.0,
    "dwelltime": 1.0,
}
BEAM_CURRENT = {  # A
    "microscopeinfo.probecurrentna": 1e-9,
    "optics.lastmeasuredscreencurrent": 1.0,
    "tem.beamcurrent": 1e-9,
}
DETECTOR = (
    "binaryresult.detector",
    "detectormetadata.detectorname",
    "detectors.detector",
    "detectors.name",
)
OPERATOR = (
    "sessioninfo.operator",
    "user.username",
    "user.name",
    "experimentaldescription.user",
    "general.authors",
    "operator",
)
MICROSCOPE = (
    "sessioninfo.microscope",
    "experimentaldescription.microscope",
    "microscope.name",
    "instrument.instrumentmodel",
    "instrument.instrumentclass",
    "acquisitioninstrument.tem.microscope",
    "microscopeinfo.name",
)
UNKNOWN = ("", "unknown", "none", "n/a")
DETECTOR_IN_TITLE = re.compile(
    r"(?<![a-z])(HAADF|MAADF|LAADF|ABF|ADF|BF|DF[0-9]*)(?![a-z])", re.IGNORECASE
)


@dataclass(frozen=True)
class Instrument:
    """How an image was taken, as far as its file says."""

    detector: str | None
    beam_energy: float | None  # keV
    dwell_time: float | None  # s
    beam_current: float | None  # A

    def dose(self, size: tuple[float, float] | None, unit: str | None) -> float | None:
        """Electrons per square ångström of one frame, from the beam current; None if unknown."""
        sides = in_nanometres(size, unit) if size is not None else None
        if sides is None or not self.beam_current or not self.dwell_time:
            return None
        electrons = self.beam_current * self.dwell_time / ELEMENTARY_CHARGE
        return float(electrons / (sides[0] * sides[1] * 100))


def instrument(metadata: Mapping[str, Any], title: str) -> Instrument:
    """What the metadata says of the microscope; a detector is also known by a signal's title."""
    leaves = dict(_leaves(metadata))
    named = DETECTOR_IN_TITLE.search(title)
    stated = next((str(v) for end in DETECTOR for v in _ending(leaves, end) if v), None)
    return Instrument(
        detector=stated or (named.group(1).upper() if named else None),
        beam_energy=_number(leaves, BEAM_ENERGY),
        dwell_time=_number(leaves, DWELL_TIME),
        beam_current=_number(leaves, BEAM_CURRENT),
    )


def operator(metadata: Mapping[str, Any]) -> str | None:
    """Who took an image, as far as its file says."""
    return _name(metadata, OPERATOR)


def microscope(metadata: Mapping[str, Any]) -> str | None:
    """What an image was taken with, as far as its file says."""
    return _name(metadata, MICROSCOPE)


def _name(metadata: Mapping[str, Any], places: Iterable[str]) -> str | None:
    leaves = dict(_leaves(metadata))
    stated = (value for end in places for value in _ending(leaves, end) if isinstance(value, str))
    names = (" ".join(value.split()) for value in stated)
    return next((name for name in names if name.lower() not in UNKNOWN), None)


def _number(leaves: Mapping[str, Any], places: Mapping[str, float]) -> float | None:
    for end, factor in places.items():
        for value in _ending(leaves, end):
            try:
                number = float(value) * factor
            except (TypeError, ValueError):
                continue
            if math.isfinite(number) and number > 0:
                return float(f"{number:.9g}")  # not 29.000000000000004
    return None


def _ending(leaves: Mapping[str, Any], end: str) -> Iterator[Any]:
    return (value for path, value in leaves.items() if f".{path}".endswith(f".{end}"))


def _leaves(value: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        yield path, value
    elif depth < DEEPEST:
        for key, below in value.items():
            name = re.sub(r"[^a-z0-9]", "", str(key).lower())
            yield from _leaves(below, f"{path}.{name}" if path else name, depth + 1)


def json_safe(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON can hold it, within `BUDGET`; `"truncated": true` where something was left out."""
    cutter = _Cutter()
    kept: dict[str, Any] = cutter.cut(metadata, 0)
    return kept | {"truncated": True} if cutter.truncated else kept


class _Cutter:
    """Copies metadata while there is room."""

    def __init__(self) -> None:
        self.truncated = False
        self._left = BUDGET

    def cut(self, value: Any, depth: int) -> Any:
        match value:
            case Mapping():
                return self._mapping(value, depth)
            case np.ndarray():
                return (
                    self.cut(value.tolist(), depth)
                    if value.size <= LONGEST_LIST
                    else str(f"{value.dtype} array of shape {value.shape}")
                )
            case list() | tuple():
                self.truncated |= len(value) > LONGEST_LIST
                return [self.cut(each, depth + 1) for each in value[:LONGEST_LIST]]
            case np.generic():
                return self.cut(value.item(), depth)
            case bool() | None | int():
                return value
            case float():
                return value if math.isfinite(value) else str(value)
            case bytes():
                return self._text(value.rstrip(b"\0").decode("utf-8", "replace"))
            case _:
                return self._text(str(value))

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, below in value.items():
            if self._left <= 0 or depth >= DEEPEST:
                self.truncated = True
                break
            name = self._text(str(key))
            self._left -= 8
            kept[name] = self.cut(below, depth + 1)
        return kept

    def _text(self, text: str) -> str:
        self.truncated |= len(text) > LONGEST_TEXT
        text = plain(text, LONGEST_TEXT)
        self._left -= len(text)
        return text
