"""TIFF, by tifffile: single images, multi-page stacks, OME-TIFF, ImageJ hyperstacks.

No other file is opened: an OME-TIFF that names others is read as if they were absent.
"""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from worker.formats.calibration import Calibration
from worker.formats.errors import FormatError
from worker.formats.metadata import DETECTOR_IN_TITLE, instrument
from worker.formats.ome import OmeImage, image_of, read_ome
from worker.formats.signals import Found, Pixels, Refused, Signals, not_an_image, not_grayscale
from worker.formats.tiff_tags import calibration_of, texts

MULTI_FILE = {"mmstack", "ndtiff"}  # readers that look for files beside this one
CHANNELS = "CS"  # axes whose items are images of their own
NO_IMAGEJ = "ImageJ's properties could not be read"
PHOTOMETRIC = 262
INVERTED = "the file says that 0 is white: inverted, so that 0 is black"
LONGEST_TITLE = 80
IN_ITS_OWN = ("ome", "imagej", "shaped")  # kinds of series that say themselves what they hold


@dataclass(frozen=True)
class _Part:
    """Pages of one size that belong together, and what is known of them."""

    title: str
    axes: str
    shape: tuple[int, ...]
    dtype: Any
    page: tifffile.TiffPage  # the first
    load: Callable[[], Pixels]
    calibration: Calibration
    metadata: dict[str, Any]
    notes: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()  # their names, where they have some

    def channel(self, index: int) -> str:
        named = self.channels[index] if index < len(self.channels) else ""
        return named or f"channel {index}"


@contextmanager
def opened(path: Path) -> Iterator[Signals]:
    """Every series of a TIFF file, and every channel of a series."""
    with ExitStack() as stack:
        with _no_page_lost():
            file = stack.enter_context(tifffile.TiffFile(path, _multifile=False))
            _check_complete(file)
            about = _About(file)
            parts = [
                part
                for number, series in enumerate(file.series, start=1)
                for part in about.parts(series, f"image {number}")
            ]
        yield [each for part in parts for each in _channels(part)]


class _About:
    """What a file says of its pages: each page's own tags, and OME's and ImageJ's of the whole."""

    def __init__(self, file: tifffile.TiffFile) -> None:
        self._file = file
        self._ome, self._notes = read_ome(file.ome_metadata) if file.ome_metadata else ([], ())
        try:
            self._imagej: dict[str, Any] = dict(file.imagej_metadata or {})
        except Exception:
            self._imagej, self._notes = {}, (*self._notes, NO_IMAGEJ)

    def parts(self, series: tifffile.TiffPageSeries, untitled: str) -> Iterator[_Part]:
        """A series as it is; pages that differ in calibration or detector are parted."""
        runs = self._runs(series)
        for number, run in enumerate(runs, start=1):
            whole = len(runs) == 1
            title = untitled if whole else f"{untitled}, part {number}"
            yield self._part(series, run, title, whole=whole)

    def _runs(self, series: tifffile.TiffPageSeries) -> list[list[int]]:
        """Pages one after another, of the same calibration and detector."""
        everything = list(range(len(series.pages)))
        own = series.kind in IN_ITS_OWN or (self._ome and len(self._ome) == 1)
        if own or len(everything) == 1 or len(series.axes) != 3 or None in series.pages:
            return [everything]
        keys = [self._key(series, index) for index in everything]
        return [list(run) for _, run in groupby(everything, lambda index: keys[index])]

    def _key(self, series: tifffile.TiffPageSeries, index: int) -> Any:
        page = self._page(series, index)
        scale = self._calibration(page, "")
        title = _name(page)
        return scale.pixel_size, scale.unit, instrument(dict(texts(page)), title).detector

    def _page(self, series: tifffile.TiffPageSeries, index: int) -> tifffile.TiffPage:
        """With tags of its own; a series has those of its first page alone."""
        page = series.pages[index]
        if page is None or index == 0 or page.index == series.keyframe.index:
            return series.keyframe
        own = self._file.pages.get(page.index, aspage=True)
        return own if isinstance(own, tifffile.TiffPage) else series.keyframe

    def _calibration(self, page: tifffile.TiffPage, frames: str) -> Calibration:
        ome = image_of(self._ome, page.index)
        found = Calibration() if ome is None else ome.calibration()
        other = calibration_of(page, self._imagej, frames)
        if found.pixel_size is None:
            return other if other.pixel_size is not None or not found.notes else found
        return _completed(found, other)

    def _part(
        self, series: tifffile.TiffPageSeries, run: list[int], untitled: str, *, whole: bool
    ) -> _Part:
        page = self._page(series, run[0])
        ome = image_of(self._ome, page.index)
        frames = "".join(a for a in series.axes[:-2] if a not in CHANNELS)

        def load() -> Pixels:
            if whole:
                return np.asarray(series.asarray())
            return np.asarray(series.asarray())[run]

        shape = series.shape if whole else (len(run), *series.shape[1:])
        singles = [a for a, size in zip(series.axes, shape, strict=True) if size == 1]
        frames = "".join(axis for axis in frames if axis not in singles)
        return _Part(
            title=series.name or ("" if ome is None else ome.name) or _name(page) or untitled,
            axes=series.axes,
            shape=shape,
            dtype=series.dtype,
            page=page,
            load=load,
            calibration=self._calibration(page, frames),
            metadata=self._metadata(page, ome),
            notes=self._notes,
            channels=() if ome is None else ome.channels,
        )

    def _metadata(self, page: tifffile.TiffPage, ome: OmeImage | None) -> dict[str, Any]:
        found = dict(texts(page))
        if ome is not None:
            found["ome"] = {"name": ome.name, **ome.pixels}
            named = [name for name in ome.channels if DETECTOR_IN_TITLE.search(name)]
            if len(ome.channels) == 1 and named:
                found["detectors"] = {"detector": named[0]}
        return found | ({"imagej": self._imagej} if self._imagej else {})


def _completed(ome: Calibration, tags: Calibration) -> Calibration:
    """With what OME has no place for, such as degrees between frames, out of tags that agree."""
    if (ome.pixel_size, ome.unit) != (tags.pixel_size, tags.unit):
        return ome
    kept = {name: value for name, value in vars(ome).items() if value is not None}
    if ome.frame_step is not None:
        return replace(tags, **kept)
    along = {name: getattr(tags, name) for name in ("frame_step", "frame_unit", "frame_origin")}
    return replace(tags, **kept | along)


def _name(page: tifffile.TiffPage) -> str:
    """The name of a page, or a description that is one: short, and no program's."""
    for name, text in texts(page):
        words = str(text).strip()
        short = len(words) <= LONGEST_TITLE and not re.search(r"[=<>{}\n\r]", words)
        if name in ("PageName", "ImageDescription") and words and short:
            return words
    return ""


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


def _channels(part: _Part) -> Iterator[Found | Refused]:
    refusal = _refusal(part)
    if refusal is not None:
        yield Refused(part.title, refusal)
        return
    axes, shape = _without_singles(part.axes, part.shape)
    channel = next((axes.index(name) for name in CHANNELS if name in axes), None)
    count = 1 if channel is None else shape[channel]
    frames = [size for i, size in enumerate(shape[:-2]) if i != channel]
    of_image = (int(np.prod(frames)), *shape[-2:]) if frames else shape[-2:]
    inverted = _is_inverted(part.page)
    for index in range(count):

        def load(index: int = index) -> Pixels:
            pixels = part.load().reshape(shape)
            if channel is not None:
                pixels = np.moveaxis(pixels, channel, 0)[index]
            pixels = pixels.reshape(of_image)
            return _upright(pixels, part.page.bitspersample) if inverted else pixels

        yield Found(
            part.title if count == 1 else f"{part.title}, {part.channel(index)}",
            of_image,
            np.dtype(part.dtype),
            load,
            part.calibration,
            part.metadata,
            (*part.notes, *((INVERTED,) if inverted else ())),
        )


def _is_inverted(page: tifffile.TiffPage) -> bool:
    """Whether 0 is said to be white; a page that says nothing is taken as others are."""
    return PHOTOMETRIC in page.tags and page.photometric == tifffile.PHOTOMETRIC.MINISWHITE


def _upright(pixels: Pixels, bits: int) -> Pixels:
    """With 0 for black: 255 - v of 8 bits; of signed integers and floats, turned in their range."""
    if pixels.dtype.kind == "u":
        return np.asarray(2**bits - 1 - pixels, pixels.dtype)
    if pixels.dtype.kind == "i":
        return ~pixels
    return np.asarray(pixels.max(initial=0) - pixels, pixels.dtype)


def _refusal(part: _Part) -> FormatError | None:
    page = part.page
    photometric = tifffile.PHOTOMETRIC(page.photometric)
    gray = photometric in (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE)
    gray = gray or _is_gray_ramp(page.colormap)
    if page.bitspersample == 1:
        return not_grayscale("a bilevel TIFF, 1 bit per pixel")
    if page.samplesperpixel != 1 or not gray:
        return not_grayscale(
            f"a {photometric.name} TIFF with {page.samplesperpixel} samples per pixel"
        )
    if page.is_reduced:
        return not_an_image("a thumbnail of another image")
    if part.dtype is None or part.axes[-2:] != "YX":
        return not_an_image(f"a series with the axes {part.axes}")
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
