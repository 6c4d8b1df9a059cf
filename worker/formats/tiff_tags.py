"""What the tags of a TIFF page say of its calibration: each program has tags of its own."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tifffile

from worker.formats import gatan
from worker.formats.calibration import Axis, Calibration, calibrated
from worker.formats.text import decoded
from worker.formats.units import canonical

COARSEST = 1e-3  # cm per pixel; coarser is a printer's resolution, not a microscope's
CENTIMETRE = 1e7  # nm
ZEISS, OLYMPUS, TVIPS = 34118, (33560, 33471), 37706
FEI = (34680, 34682, 34683)  # INI, or XML
FEI_SCANS, FEI_BEAMS = ("Scan", "EScan"), ("EBeam", "IRBeam", "IBeam")
ZEISS_WIDTH = 1024  # columns of the display that Zeiss's first number is for
ZEISS_STEP = 3  # its place among the unnamed numbers
ALIKE = 0.01  # of a step, that two statements of it may differ
JEOL = "JEOL Ltd."


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
    for source in _SOURCES:
        found = source(page)
        if found.pixel_size is not None:
            return found
        notes += found.notes
    if _value(page, "Make") == JEOL:
        return Calibration(notes=notes)  # its resolution is that of the camera
    found = _resolution(page, imagej, frames)
    return found if found.pixel_size is not None or not notes else Calibration(notes=notes)


def _gatan(page: tifffile.TiffPage) -> Calibration:
    x, y, z = (
        Axis(*(_value(page, code + n) for code in (gatan.SCALE, gatan.UNIT, gatan.ORIGIN)))
        for n in range(3)
    )
    return calibrated(y, x, z)


def _fei(page: tifffile.TiffPage) -> Calibration:
    for code in FEI:
        stated = _value(page, code)
        found = _fei_ini(stated) if isinstance(stated, Mapping) and stated else _fei_xml(page, code)
        if found.pixel_size is not None:
            return found
    return Calibration()


def _fei_ini(stated: Mapping[str, Any]) -> Calibration:
    for name in FEI_SCANS:
        scan = _section(stated, name)
        found = calibrated(Axis(scan.get("PixelHeight"), "m"), Axis(scan.get("PixelWidth"), "m"))
        if found.pixel_size is not None:
            return found
    image = _section(stated, "Image")
    for name in FEI_BEAMS:
        beam = _section(stated, name)
        height = _quotient(beam.get("VFW"), image.get("ResolutionY"))
        width = _quotient(beam.get("HFW"), image.get("ResolutionX"))
        found = calibrated(Axis(height, "m"), Axis(width, "m"))
        if found.pixel_size is not None:
            return found
    return Calibration()


def _fei_xml(page: tifffile.TiffPage, code: int) -> Calibration:
    """Of Velox and later programs: `PixelSize` has an X and a Y, each with its unit."""
    try:
        root = ET.fromstring(_text(page, code))  # noqa: S314  (in a child with limits)
    except (ET.ParseError, ValueError):
        return Calibration()
    for size in root.iter("PixelSize"):
        sides = [size.find(axis) for axis in "YX"]
        axes = [
            Axis() if side is None else Axis(side.text, side.attrib.get("unit", "m"))
            for side in sides
        ]
        return calibrated(axes[0], axes[1])
    return Calibration()


def _zeiss(page: tifffile.TiffPage) -> Calibration:
    """A precise step for a display of 1024 columns; a rounded one that is the image's own."""
    stated = _value(page, ZEISS)
    if not isinstance(stated, Mapping):
        return Calibration()
    named = next((stated[k] for k in ("ap_image_pixel_size", "ap_pixel_size") if k in stated), ())
    rounded = Axis(*named[1:3]) if isinstance(named, tuple) and len(named) == 3 else Axis()
    numbers = stated.get("", ())
    precise = Axis()
    if len(numbers) > ZEISS_STEP and isinstance(numbers[ZEISS_STEP], float):
        precise = Axis(numbers[ZEISS_STEP] * ZEISS_WIDTH / page.imagewidth, "m")
    both = [calibrated(each, each) for each in (precise, rounded)]
    if _agree(*both):
        return both[0]
    return both[1] if both[1].pixel_size is not None else both[0]


def _agree(one: Calibration, other: Calibration) -> bool:
    both = calibrated(_columns(one), _columns(other))  # in one unit
    if both.pixel_size is None:
        return False
    low, high = sorted(both.pixel_size)
    return high - low <= ALIKE * high


def _columns(calibration: Calibration) -> Axis:
    size = calibration.pixel_size
    return Axis() if size is None else Axis(size[1], calibration.unit)


def _olympus(page: tifffile.TiffPage) -> Calibration:
    for code in OLYMPUS:
        stated = _value(page, code)
        if isinstance(stated, Mapping):
            sides = [Axis(stated.get(f"pixelsize{axis}"), "m") for axis in "yx"]
            found = calibrated(sides[0], sides[1])
            if found.pixel_size is not None:
                return found
    return Calibration()


def _tvips(page: tifffile.TiffPage) -> Calibration:
    stated = _value(page, TVIPS)
    if not isinstance(stated, Mapping):
        return Calibration()
    return calibrated(Axis(stated.get("PixelSizeY"), "nm"), Axis(stated.get("PixelSizeX"), "nm"))


def _jeol(page: tifffile.TiffPage) -> Calibration:
    """Its resolution is that of the camera, to be divided by the magnification."""
    if _value(page, "Make") != JEOL:
        return Calibration()
    text = str(_value(page, "ImageDescription") or "")
    mode, magnification = (
        re.search(f"<{name}>([^<]*)</{name}>", text) for name in ("ModeString", "SelectorValue")
    )
    if mode is None or magnification is None or mode.group(1) != "MAG":
        return Calibration()
    unit = {2: 2.54, 3: 1.0}.get(_value(page, "ResolutionUnit") or 0)
    factor = _quotient(unit, magnification.group(1))
    steps = [_step(page, name) for name in ("YResolution", "XResolution")]
    if factor is None or None in steps:
        return Calibration()
    height, width = (Axis((step or 0.0) * factor * CENTIMETRE, "nm") for step in steps)
    return calibrated(height, width)


_SOURCES: tuple[Callable[[tifffile.TiffPage], Calibration], ...] = (
    *(_gatan, _fei, _zeiss, _olympus, _tvips, _jeol),
)


def _resolution(page: tifffile.TiffPage, imagej: Mapping[str, Any], frames: str) -> Calibration:
    """ImageJ counts pixels per unit, `yunit` and `zunit` where they are not that of x."""
    unit = imagej.get("unit")
    units = {axis: imagej.get(f"{axis}unit", unit) for axis in "yz"} | {"x": unit}
    steps = {"y": _step(page, "YResolution"), "x": _step(page, "XResolution")}
    along = _between_frames(imagej, frames, units["z"])
    if None in steps.values():
        return calibrated(Axis(), Axis(), along)
    centimetres = _value(page, "ResolutionUnit") == 3
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


def _step(page: tifffile.TiffPage, name: str) -> float | None:
    value = _value(page, name)
    if not isinstance(value, tuple) or len(value) != 2:
        return None
    per_unit = _quotient(*value)
    return 1 / per_unit if per_unit else None


def _quotient(one: Any, other: Any) -> float | None:
    try:
        return float(one) / float(other)
    except (TypeError, ValueError, ZeroDivisionError):
        return None


def _section(stated: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = stated.get(name)
    return section if isinstance(section, Mapping) else {}


def _value(page: tifffile.TiffPage, tag: str | int) -> Any:
    """A tag's value; None where it is missing or cannot be read."""
    try:
        return page.tags.valueof(tag)
    except Exception:
        return None


def _text(page: tifffile.TiffPage, code: int) -> str:
    """The bytes of a tag that tifffile takes for an INI file."""
    tag = page.tags.get(code)
    if tag is None:
        raise ValueError("no such tag")
    handle = page.parent.filehandle
    handle.seek(tag.valueoffset)
    return decoded(handle.read(tag.count)).strip("\0 \r\n")


def texts(page: tifffile.TiffPage) -> Iterator[tuple[str, Any]]:
    """What a page says of itself, by who says it."""
    plain = ("ImageDescription", "PageName", "Software", "DateTime", "Artist", "Make", "Model")
    for name in (*plain, "HostComputer"):
        if value := _value(page, name):
            yield name, value
    for name, codes in (("fei", FEI), ("sis", OLYMPUS), ("sem", (ZEISS,))):
        for code in codes:
            if isinstance(value := _value(page, code), Mapping) and value:
                yield name, dict(value)
