"""TIFF, by tifffile: single images, multi-page stacks, OME-TIFF, ImageJ hyperstacks.

No other file is opened: an OME-TIFF that names others is read as if they were absent.
"""

import logging
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from worker.formats.errors import FormatError
from worker.formats.signals import Found, Pixels, Refused, Signals, not_an_image, not_grayscale
from worker.formats.units import canonical, pixel_size

COARSEST_CALIBRATION = 1e-3  # cm per pixel; coarser is a printer's resolution, not a microscope's
MULTI_FILE = {"mmstack", "ndtiff"}  # readers that look for files beside this one
CHANNELS = "CS"  # axes whose items are images of their own
GATAN_UNIT, GATAN_SCALE = 65003, 65009  # of x; y and the frames follow
Size = tuple[tuple[float, float] | None, str | None]


@dataclass(frozen=True)
class Calibration:
    """Pixel size and what is between frames."""

    pixel_size: tuple[float, float] | None = None
    unit: str | None = None
    frame_step: float | None = None
    frame_unit: str | None = None


@contextmanager
def opened(path: Path) -> Iterator[Signals]:
    """Every series of a TIFF file, and every channel of a series."""
    with ExitStack() as stack:
        with _no_page_lost():
            file = stack.enter_context(tifffile.TiffFile(path, _multifile=False))
            _check_complete(file)
            calibration, metadata = _calibration(file), _metadata(file)
            series = file.series
        yield [
            each
            for number, each_series in enumerate(series, start=1)
            for each in _channels(each_series, f"image {number}", calibration, metadata)
        ]


def _check_complete(file: tifffile.TiffFile) -> None:
    foreign = MULTI_FILE & file.flags
    if foreign:
        raise FormatError(
            "unsupported_format",
            f"got a TIFF of the kind {', '.join(foreign)}, expected one that is complete in "
            "itself: export it as OME-TIFF or as an ImageJ stack",
        )


@contextmanager
def _no_page_lost() -> Iterator[None]:
    """Raise what tifffile only logs: pages beyond the end of the file, which it leaves out."""
    complaints = _Complaints(logging.ERROR)
    log = logging.getLogger("tifffile")
    log.addHandler(complaints)
    try:
        yield
    finally:
        log.removeHandler(complaints)
    if complaints.texts:
        raise FormatError(
            "damaged_file", f"the TIFF file is truncated or damaged: {complaints.texts[0]}"
        )


class _Complaints(logging.Handler):
    """Keeps what is said of lost pages."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if "page offset" in text or "corrupt" in text:
            self.texts.append(text[:200])


def _channels(
    series: tifffile.TiffPageSeries,
    untitled: str,
    calibration: Calibration,
    metadata: dict[str, Any],
) -> Iterator[Found | Refused]:
    title = series.name or untitled
    refusal = _refusal(series)
    if refusal is not None:
        yield Refused(title, refusal)
        return
    axes, shape = _without_singles(series.axes, series.shape)
    channel = next((axes.index(name) for name in CHANNELS if name in axes), None)
    count = 1 if channel is None else shape[channel]
    frames = [size for i, size in enumerate(shape[:-2]) if i != channel]
    of_image = (int(np.prod(frames)), *shape[-2:]) if frames else shape[-2:]
    for index in range(count):

        def load(index: int = index) -> Pixels:
            pixels = series.asarray().reshape(shape)
            if channel is not None:
                pixels = np.moveaxis(pixels, channel, 0)[index]
            return pixels.reshape(of_image)

        yield Found(
            title if count == 1 else f"{title}, channel {index}",
            of_image,
            series.dtype,
            load,
            **vars(calibration),
            metadata=metadata,
        )


def _refusal(series: tifffile.TiffPageSeries) -> FormatError | None:
    page = series.keyframe
    photometric = tifffile.PHOTOMETRIC(page.photometric)
    gray = photometric == tifffile.PHOTOMETRIC.MINISBLACK or _is_gray_ramp(page.colormap)
    if page.bitspersample == 1:
        return not_grayscale("a bilevel TIFF, 1 bit per pixel")
    if page.samplesperpixel != 1 or not gray:
        return not_grayscale(
            f"a {photometric.name} TIFF with {page.samplesperpixel} samples per pixel"
        )
    if page.is_reduced:
        return not_an_image("a thumbnail of another image")
    if series.dtype is None or series.axes[-2:] != "YX":
        return not_an_image(f"a series with the axes {series.axes}")
    return None


def _without_singles(axes: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """Axes and shape without leading axes of length 1."""
    kept = [i for i, size in enumerate(shape) if size != 1 or i >= len(shape) - 2]
    return "".join(axes[i] for i in kept), tuple(shape[i] for i in kept)


def _is_gray_ramp(colormap: Pixels | None) -> bool:
    """Whether a palette, shape (3, n), shows each index as a gray of its own, darkest first."""
    if colormap is None:
        return False
    red, green, blue = colormap.astype(np.int64)
    return bool((red == green).all() and (red == blue).all() and (np.diff(red) > 0).all())


def _calibration(file: tifffile.TiffFile) -> Calibration:
    """From OME, DigitalMicrograph, FEI and ImageJ, else a plausible resolution in centimetres."""
    for source in (_ome, _gatan, _fei):
        found = source(file)
        if found.pixel_size is not None:
            return found
    imagej = file.imagej_metadata or {}
    size, unit = _resolution(file)
    for step, step_unit in (("finterval", "s"), ("spacing", unit)):
        if isinstance(imagej.get(step), float | int) and imagej[step] > 0:
            return Calibration(size, unit, float(imagej[step]), step_unit)
    return Calibration(size, unit)


def _ome(file: tifffile.TiffFile) -> Calibration:
    if not file.ome_metadata:
        return Calibration()
    root = ET.fromstring(file.ome_metadata)  # noqa: S314  (in a child with limits)
    for element in root.iter():
        if element.tag.endswith("}Pixels"):
            get = element.attrib.get
            unit = get("PhysicalSizeXUnit", "µm")  # OME's default
            size, unit_ = pixel_size(get("PhysicalSizeY"), get("PhysicalSizeX"), unit)
            return Calibration(size, unit_, *_ome_step(element.attrib))
    return Calibration()


def _ome_step(attributes: dict[str, str]) -> tuple[float | None, str | None]:
    for name, axis, default in (("TimeIncrement", "SizeT", "s"), ("PhysicalSizeZ", "SizeZ", "µm")):
        if name in attributes and attributes.get(axis, "1") != "1":
            unit = attributes.get(f"{name}Unit", default)
            return float(attributes[name]), canonical(unit)
    return None, None


def _gatan(file: tifffile.TiffFile) -> Calibration:
    tags = file.pages.first.tags
    values = [tags.get(code) for code in (GATAN_SCALE + 1, GATAN_SCALE, GATAN_UNIT)]
    if not all(values):
        return Calibration()
    size, unit = pixel_size(*(tag.value for tag in values if tag is not None))
    step, step_unit = tags.get(GATAN_SCALE + 2), tags.get(GATAN_UNIT + 2)
    if step is None or step_unit is None:
        return Calibration(size, unit)
    return Calibration(size, unit, float(step.value), canonical(step_unit.value))


def _fei(file: tifffile.TiffFile) -> Calibration:
    scan = (file.fei_metadata or {}).get("Scan") or {}
    return Calibration(*pixel_size(scan.get("PixelHeight"), scan.get("PixelWidth"), "m"))


def _resolution(file: tifffile.TiffFile) -> Size:
    page = file.pages.first
    unit = str((file.imagej_metadata or {}).get("unit", ""))
    per_unit = [_ratio(page.tags.get(name)) for name in ("YResolution", "XResolution")]
    if not all(per_unit):
        return None, None
    height, width = (1 / value for value in per_unit)
    if unit != "cm" and canonical(unit) is not None:
        return pixel_size(height, width, unit)
    resolution_unit = page.tags.get("ResolutionUnit")
    centimetres = resolution_unit is not None and resolution_unit.value == 3
    if (centimetres or unit == "cm") and max(height, width) <= COARSEST_CALIBRATION:
        return (height * 1e7, width * 1e7), "nm"
    return None, None


def _ratio(tag: Any) -> float:
    if tag is None or not tag.value[1]:
        return 0.0
    return float(tag.value[0]) / float(tag.value[1])


def _metadata(file: tifffile.TiffFile) -> dict[str, Any]:
    """What the file says of itself, by who says it."""
    tags = file.pages.first.tags
    plain = ("ImageDescription", "Software", "DateTime", "Artist", "Make", "Model", "HostComputer")
    found: dict[str, Any] = {
        name: tags[name].value for name in plain if name in tags and tags[name].value
    }
    for name in ("imagej_metadata", "fei_metadata", "sis_metadata", "sem_metadata"):
        value = getattr(file, name, None)
        if value:
            found[name.removesuffix("_metadata")] = dict(value)
    return found
