"""What microscopes' programs say of a page's calibration: each has tags of its own."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import tifffile

from worker.formats import gatan
from worker.formats.calibration import Axis, Calibration, calibrated
from worker.formats.tiff_tags import (
    FEI,
    OLYMPUS,
    TVIPS,
    ZEISS,
    quotient,
    section,
    step,
    text,
    value,
)
from worker.formats.xml import parsed

CENTIMETRE = 1e7  # nm
FEI_SCANS, FEI_BEAMS = ("Scan", "EScan"), ("EBeam", "IRBeam", "IBeam")
ZEISS_WIDTH = 1024  # columns of the display that Zeiss's first number is for
ZEISS_STEP = 3  # its place among the unnamed numbers
ALIKE = 0.01  # of a step, that two statements of it may differ
JEOL = "JEOL Ltd."


def _gatan(page: tifffile.TiffPage) -> Calibration:
    x, y, z = (
        Axis(*(value(page, code + n) for code in (gatan.SCALE, gatan.UNIT, gatan.ORIGIN)))
        for n in range(3)
    )
    return calibrated(y, x, z)


def _fei(page: tifffile.TiffPage) -> Calibration:
    for code in FEI:
        stated = value(page, code)
        found = _fei_ini(stated) if isinstance(stated, Mapping) and stated else _fei_xml(page, code)
        if found.pixel_size is not None:
            return found
    return Calibration()


def _fei_ini(stated: Mapping[str, Any]) -> Calibration:
    for name in FEI_SCANS:
        scan = section(stated, name)
        found = calibrated(Axis(scan.get("PixelHeight"), "m"), Axis(scan.get("PixelWidth"), "m"))
        if found.pixel_size is not None:
            return found
    image = section(stated, "Image")
    for name in FEI_BEAMS:
        beam = section(stated, name)
        height = quotient(beam.get("VFW"), image.get("ResolutionY"))
        width = quotient(beam.get("HFW"), image.get("ResolutionX"))
        found = calibrated(Axis(height, "m"), Axis(width, "m"))
        if found.pixel_size is not None:
            return found
    return Calibration()


def _fei_xml(page: tifffile.TiffPage, code: int) -> Calibration:
    """Of Velox and later programs: `PixelSize` has an X and a Y, each with its unit."""
    try:
        root = parsed(text(page, code))
    except ValueError:
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
    stated = value(page, ZEISS)
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
        stated = value(page, code)
        if isinstance(stated, Mapping):
            sides = [Axis(stated.get(f"pixelsize{axis}"), "m") for axis in "yx"]
            found = calibrated(sides[0], sides[1])
            if found.pixel_size is not None:
                return found
    return Calibration()


def _tvips(page: tifffile.TiffPage) -> Calibration:
    stated = value(page, TVIPS)
    if not isinstance(stated, Mapping):
        return Calibration()
    return calibrated(Axis(stated.get("PixelSizeY"), "nm"), Axis(stated.get("PixelSizeX"), "nm"))


def _jeol(page: tifffile.TiffPage) -> Calibration:
    """Its resolution is that of the camera, to be divided by the magnification."""
    if value(page, "Make") != JEOL:
        return Calibration()
    about = str(value(page, "ImageDescription") or "")
    mode, magnification = (
        re.search(f"<{name}>([^<]*)</{name}>", about) for name in ("ModeString", "SelectorValue")
    )
    if mode is None or magnification is None or mode.group(1) != "MAG":
        return Calibration()
    unit = {2: 2.54, 3: 1.0}.get(value(page, "ResolutionUnit") or 0)
    factor = quotient(unit, magnification.group(1))
    steps = [step(page, name) for name in ("YResolution", "XResolution")]
    if factor is None or None in steps:
        return Calibration()
    height, width = (Axis((step or 0.0) * factor * CENTIMETRE, "nm") for step in steps)
    return calibrated(height, width)


PROGRAMS: tuple[Callable[[tifffile.TiffPage], Calibration], ...] = (
    *(_gatan, _fei, _zeiss, _olympus, _tvips, _jeol),
)
