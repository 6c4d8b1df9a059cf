"""OME-XML: what it says of each image of a TIFF, and which pages are the image's."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod

from worker.formats.calibration import Axis, Calibration, calibrated, tidy
from worker.formats.errors import exceeded
from worker.formats.file_limits import MOST_FRAMES, MOST_SIGNALS
from worker.formats.text import with_stray_ampersands_escaped
from worker.formats.units import NANOMETRES, canonical
from worker.formats.xml import parsed

MENDED = "the OME-XML is not well-formed: read with its stray ampersands put right"
UNREADABLE = "the OME-XML could not be read"
MICROMETRES, SECONDS = "µm", "s"  # OME's defaults, of each axis alone
MOST_PAGES = 2**20


@dataclass(frozen=True)
class OmeImage:
    """One `Image` of OME-XML."""

    name: str
    pixels: Mapping[str, str]  # attributes of `Pixels`
    plane: Mapping[str, str]  # and of its first `Plane`
    pages: tuple[range, ...]
    channels: tuple[str, ...]  # names

    def calibration(self) -> Calibration:
        """Each axis by its own unit; between frames only where they are times or planes alone."""
        sides = [self._axis(f"PhysicalSize{axis}", f"Position{axis}", MICROMETRES) for axis in "YX"]
        return calibrated(sides[0], sides[1], self._frames())

    def _frames(self) -> Axis | None:
        times, planes = (self.pixels.get(name, "1") != "1" for name in ("SizeT", "SizeZ"))
        if times and not planes:
            return self._axis("TimeIncrement", "DeltaT", SECONDS)
        if planes and not times:
            return self._axis("PhysicalSizeZ", "PositionZ", MICROMETRES)
        return None

    def _axis(self, size: str, place: str, default: str) -> Axis:
        unit = self.pixels.get(f"{size}Unit", default)
        own = self.plane.get(f"{place}Unit", SECONDS if place == "DeltaT" else "")  # not the size's
        return Axis(self.pixels.get(size), unit, _converted(self.plane.get(place), own, unit))


def read_ome(text: str) -> tuple[list[OmeImage], tuple[str, ...]]:
    """All images, and notes on what was wrong with the XML."""
    for candidate, notes in ((text, ()), (with_stray_ampersands_escaped(text), (MENDED,))):
        try:
            root = parsed(candidate)
        except ValueError:
            continue
        images = list(islice(_images(root), MOST_SIGNALS + 1))
        _check_counts(images)
        return images, notes
    return [], (UNREADABLE,)


def _check_counts(images: Sequence[OmeImage]) -> None:
    """Refuse more images, or planes of them, than any file may hold.

    Raises
    ------
    LimitError
    """
    if len(images) > MOST_SIGNALS:
        raise exceeded("max_signals", "images in OME-XML", MOST_SIGNALS, len(images))
    for image in images:
        sizes = [_count(image.pixels.get(f"Size{axis}"), 1) for axis in "ZCT"]
        planes, most = prod(sizes), MOST_FRAMES * MOST_SIGNALS
        if planes > most:
            raise exceeded("max_frames", "planes in OME-XML", most, planes)


def _converted(value: str | None, unit: str, to: str) -> str | float | None:
    """A position in the unit of the size; None where they have nothing in common."""
    if value is None or unit == to:
        return value
    known, other = (NANOMETRES.get(canonical(each) or "") for each in (unit, to))
    try:
        return None if known is None or other is None else tidy(float(value) * known / other)
    except ValueError:
        return None


def _images(root: ET.Element) -> Iterator[OmeImage]:
    own = root.attrib.get("UUID")
    for image in _below(root, "Image"):
        for pixels in _below(image, "Pixels"):
            planes = [each.attrib for each in _below(pixels, "Plane")]
            yield OmeImage(
                image.attrib.get("Name", ""),
                pixels.attrib,
                next(iter(planes), {}),
                tuple(_pages(pixels, own)),
                tuple(each.attrib.get("Name", "") for each in _below(pixels, "Channel")),
            )


def _pages(pixels: ET.Element, own: str | None) -> Iterator[range]:
    """Those of this file; a `TiffData` may name another."""
    for data in _below(pixels, "TiffData"):
        names = [(each.text or "").strip() for each in _below(data, "UUID")]
        if own is not None and names and own not in names:
            continue
        first = _count(data.attrib.get("IFD"), 0)
        count = 1 if "IFD" in data.attrib else MOST_PAGES  # all that follow
        yield range(first, first + _count(data.attrib.get("PlaneCount"), count))


def _count(text: str | None, default: int) -> int:
    return min(int(text), MOST_PAGES) if text is not None and text.isdecimal() else default


def _below(element: ET.Element, name: str) -> Iterator[ET.Element]:
    return (each for each in element.iter() if each.tag.rpartition("}")[2] == name)


def image_of(images: list[OmeImage], page: int) -> OmeImage | None:
    """The image that a page belongs to."""
    if len(images) == 1:
        return images[0]
    return next((each for each in images if any(page in pages for pages in each.pages)), None)
