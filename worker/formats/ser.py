"""SER of TIA: a header, a table of offsets, and at each offset one image or spectrum.

Read here: RosettaSciIO takes every element for as large as the first one, and leaves offsets of
axes in metres while it converts their steps to nm.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rsciio.tia._api import get_header_dtype_list
from rsciio.utils._array import sarray2dict

from worker.formats.calibration import Axis, calibrated
from worker.formats.errors import FormatError
from worker.formats.signals import Found, Pixels, Refused, not_an_image
from worker.formats.text import decoded

MAGIC = b"II\x97\x01"
SPECTRA = 0x4120  # what a series holds; 0x4122 for images
LATER = 0x210  # after this version, offsets have 8 bytes
ELEMENT = np.dtype(
    [
        *(("CalibrationOffsetX", "<f8"), ("CalibrationDeltaX", "<f8")),
        *(("CalibrationElementX", "<u4"), ("CalibrationOffsetY", "<f8")),
        *(("CalibrationDeltaY", "<f8"), ("CalibrationElementY", "<u4")),
        *(("DataType", "<u2"), ("ArraySizeX", "<u4"), ("ArraySizeY", "<u4")),
    ]
)
TYPES = {1: "<u1", 2: "<u2", 3: "<u4", 4: "<i1", 5: "<i2", 6: "<i4", 7: "<f4", 8: "<f8"}
TYPES |= {9: "<c8", 10: "<c16"}
TAG = [("TagTypeID", "<u2"), ("Unknown", "<u2"), ("Time", "<u4")]
PLACE, PLACED = [("PositionX", "<f8"), ("PositionY", "<f8")], 0x4142
RECIPROCAL = "1/m"  # the unit of a diffraction pattern; TIA counts in metres and radians


@dataclass(frozen=True)
class Series:
    """A SER file: its header, where its elements lie, and what each says of itself."""

    path: Path
    header: NDArray[Any]
    offsets: NDArray[np.uint64]
    elements: NDArray[Any]  # of ELEMENT; empty for spectra

    @property
    def is_spectra(self) -> bool:
        return int(self.header["DataTypeID"][0]) == SPECTRA

    @property
    def is_scan(self) -> bool:
        """Whether its images were taken at places of the sample, one after the other."""
        sizes = [int(self.header[f"Dim-{n}_DimensionSize"][0]) for n in _dimensions(self)]
        units = [int(self.header[f"Dim-{n}_UnitsLength"][0]) for n in _dimensions(self)]
        return any(size > 1 and unit for size, unit in zip(sizes, units, strict=True))

    def stated(self) -> dict[str, Any]:
        """The header, and what is said before and after the pixels of each element."""
        told = sarray2dict(self.elements, sarray2dict(self.header))
        tags = self._tags()
        return {"ser_header_parameters": told if tags is None else sarray2dict(tags, told)}

    def _tags(self) -> NDArray[Any] | None:
        """Time and place of each element, which follow its pixels; None where they are cut off."""
        placed = int(self.header["TagTypeID"][0]) == PLACED
        layout = np.dtype([*TAG, *PLACE]) if placed else np.dtype(TAG)
        content = np.memmap(self.path, np.uint8, "r")
        starts = [self.end(index) for index in range(len(self.elements))]
        if not starts or max(starts) + layout.itemsize > content.size:
            return None
        parts = [content[start : start + layout.itemsize].tobytes() for start in starts]
        return np.frombuffer(b"".join(parts), layout)

    def end(self, index: int) -> int:
        """Where the pixels of an element end."""
        element = self.elements[index]
        pixels = int(element["ArraySizeX"]) * int(element["ArraySizeY"])
        size = np.dtype(TYPES[int(element["DataType"])]).itemsize
        return int(self.offsets[index]) + ELEMENT.itemsize + pixels * size


def read_series(path: Path) -> Series:
    """Everything but the pixels.

    Raises
    ------
    FormatError
        When it is no SER file, or declares what it does not hold.
    """
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise FormatError(
                "unsupported_format", "got a file beside the EMI file that is no SER file"
            )
        file.seek(0)
        header = np.fromfile(file, np.dtype(get_header_dtype_list(file)), count=1)
        wide = int(header["SeriesVersion"][0]) > LATER
        planned = int(header["TotalNumberElements"][0])
        count = int(header["ValidNumberElements"][0])
        if not count:
            message = f"got a SER file without an image, of {planned} that were planned"
            raise FormatError("no_image", message)
        if count * 4 > path.stat().st_size:
            raise _damaged(path, f"it declares {count} elements")
        file.seek(int(header["OffsetArrayOffset"][0]))
        offsets = np.fromfile(file, "<u8" if wide else "<u4", count=count).astype(np.uint64)
    if len(offsets) != count:
        raise _damaged(path, f"it declares {count} elements and has {len(offsets)}")
    series = Series(path, header, offsets, np.empty(0, ELEMENT))
    return series if series.is_spectra else Series(path, header, offsets, _elements(series))


def _elements(series: Series) -> NDArray[Any]:
    content = np.memmap(series.path, np.uint8, "r")
    size = ELEMENT.itemsize
    places = [int(offset) for offset in series.offsets]
    if max(places) + size > content.size:
        raise _damaged(series.path, "it declares an element beyond its end")
    parts = [content[place : place + size].tobytes() for place in places]
    elements = np.frombuffer(b"".join(parts), ELEMENT)
    for place, element in zip(places, elements, strict=True):
        _check(series.path, place, element, content.size)
    return elements


def _check(path: Path, place: int, element: Any, size: int) -> None:
    kind, rows, columns = (int(element[n]) for n in ("DataType", "ArraySizeY", "ArraySizeX"))
    if kind not in TYPES:
        raise _damaged(path, f"it declares pixels of kind {kind}")
    needed = place + ELEMENT.itemsize + rows * columns * np.dtype(TYPES[kind]).itemsize
    if needed > size:
        raise _damaged(path, f"it declares an image of {rows} x {columns} px beyond its end")


def _damaged(path: Path, what: str) -> FormatError:
    return FormatError(
        "damaged_file",
        f"the SER file is truncated or damaged: {what} and has {path.stat().st_size} bytes",
    )


def images_of(
    series: Series, title: str, metadata: dict[str, Any], notes: Sequence[str], *, diffraction: bool
) -> Iterator[Found | Refused]:
    """The images of a series, those of one size and type in a row as one stack."""
    if series.is_spectra:
        what = "a spectrum" if len(series.offsets) == 1 else f"{len(series.offsets)} spectra"
        yield Refused(title, not_an_image(f"{what} of TIA"))
        return
    grid = [int(series.header[f"Dim-{n}_DimensionSize"][0]) for n in _dimensions(series)]
    if sum(side > 1 for side in grid) > 1:
        what = f"a map of {' x '.join(map(str, grid))} images"
        yield Refused(title, not_an_image(what))
        return
    runs = [
        list(run) for _, run in groupby(range(len(series.elements)), lambda n: _kind(series, n))
    ]
    for run in runs:
        told = tuple(notes)
        if len(runs) > 1:
            told += (f"the images of this series differ in size: this is {_range(run)}",)
        named = title if len(runs) == 1 else f"{title}, {_range(run)}"
        yield _found(series, run, named, metadata | series.stated(), told, diffraction)


def _dimensions(series: Series) -> range:
    return range(1, int(series.header["NumberDimensions"][0]) + 1)


def _kind(series: Series, index: int) -> tuple[int, ...]:
    element = series.elements[index]
    return tuple(int(element[name]) for name in ("DataType", "ArraySizeY", "ArraySizeX"))


def _range(run: Sequence[int]) -> str:
    return f"frame {run[0]}" if len(run) == 1 else f"frames {run[0]} to {run[-1]}"


def _found(
    series: Series,
    run: Sequence[int],
    title: str,
    metadata: dict[str, Any],
    notes: tuple[str, ...],
    diffraction: bool,
) -> Found:
    kind, rows, columns = _kind(series, run[0])
    dtype = np.dtype(TYPES[kind])

    def load() -> Pixels:
        content = np.memmap(series.path, np.uint8, "r")
        starts = [int(series.offsets[index]) + ELEMENT.itemsize for index in run]
        size = rows * columns * dtype.itemsize
        frames = [content[s : s + size].view(dtype).reshape(rows, columns) for s in starts]
        turned = np.stack(frames)[:, ::-1]  # TIA's rows run from the bottom up
        return turned[0] if len(run) == 1 else turned

    sides = [_axis(series.elements[run[0]], axis, diffraction) for axis in "YX"]
    shape = (rows, columns) if len(run) == 1 else (len(run), rows, columns)
    scale = calibrated(sides[0], sides[1], _frames(series, run[0]))
    return Found(title, shape, dtype, load, scale, metadata, notes)


def _axis(element: Any, axis: str, diffraction: bool) -> Axis:
    step = float(element[f"CalibrationDelta{axis}"])
    shift = int(element[f"CalibrationElement{axis}"]) * step
    offset = float(element[f"CalibrationOffset{axis}"]) - shift
    return Axis(step, RECIPROCAL if diffraction else "m", offset)


def _frames(series: Series, first: int) -> Axis:
    """From the dimension along which the images were taken; mostly it has no unit."""
    for n in _dimensions(series):
        if int(series.header[f"Dim-{n}_DimensionSize"][0]) > 1:
            unit = decoded(bytes(series.header[f"Dim-{n}_Units"][0]))
            step = float(series.header[f"Dim-{n}_CalibrationDelta"][0])
            offset = float(series.header[f"Dim-{n}_CalibrationOffset"][0]) + first * step
            return Axis(step, unit, offset)
    return Axis()
