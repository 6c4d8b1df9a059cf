"""The parts of a TIFF: pages that belong together, each part with the metadata of its own pages."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
import tifffile

from worker.formats.calibration import Calibration
from worker.formats.metadata import DETECTOR_IN_TITLE, instrument
from worker.formats.ome import OmeImage, image_of
from worker.formats.signals import Pixels
from worker.formats.tiff_calibration import calibration_of
from worker.formats.tiff_tags import texts

CHANNELS = "CS"  # axes whose items are images of their own
NO_IMAGEJ = "ImageJ's properties could not be read"
LONGEST_TITLE = 80
MARKUP = re.compile(r"[=<>{}\n\r]")
IN_ITS_OWN = ("ome", "imagej", "shaped")  # kinds of series that say themselves what they hold


@dataclass(frozen=True)
class Part:
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


_Told = tuple[tuple[float, float] | None, str | None, str | None]  # pixel, unit, detector
_NOTHING: _Told = (None, None, None)


class About:
    """What a file says of its pages: each page's own tags, and OME's and ImageJ's of the whole."""

    def __init__(
        self, file: tifffile.TiffFile, ome: list[OmeImage], notes: tuple[str, ...]
    ) -> None:
        self._file, self._ome, self._notes = file, ome, notes
        try:
            self._imagej: dict[str, Any] = dict(file.imagej_metadata or {})
        except Exception:
            self._imagej, self._notes = {}, (*self._notes, NO_IMAGEJ)

    def parts(self, series: tifffile.TiffPageSeries, untitled: str) -> Iterator[Part]:
        """A series as it is; pages that differ in calibration or detector are parted."""
        runs = self._runs(series)
        for number, run in enumerate(runs, start=1):
            whole = len(runs) == 1
            title = untitled if whole else f"{untitled}, part {number}"
            yield self._part(series, run, title, whole=whole)

    def _runs(self, series: tifffile.TiffPageSeries) -> list[list[int]]:
        """Pages one after another that do not contradict each other.

        Many programs describe a stack on its first page only.
        """
        everything = list(range(len(series.pages)))
        own = series.kind in IN_ITS_OWN or (self._ome and len(self._ome) == 1)
        if own or len(everything) == 1 or len(series.axes) != 3 or None in series.pages:
            return [everything]
        keys: list[_Told] = []
        for index in everything:
            told = self._told(series, index)
            keys.append(keys[-1] if keys and told == _NOTHING else told)
        return [list(run) for _, run in groupby(everything, lambda index: keys[index])]

    def _told(self, series: tifffile.TiffPageSeries, index: int) -> _Told:
        """What a page says that another of its stack may not contradict."""
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
    ) -> Part:
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
        return Part(
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
        short = len(words) <= LONGEST_TITLE and not MARKUP.search(words)
        if name in ("PageName", "ImageDescription") and words and short:
            return words
    return ""
