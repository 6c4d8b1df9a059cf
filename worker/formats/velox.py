"""Velox EMD, by RosettaSciIO."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from rsciio.emd._emd_velox import FeiEMDReader

from worker.formats.axes import Described, Roles, Stated, signal_of
from worker.formats.errors import exceeded
from worker.formats.file_limits import MOST_SIGNALS
from worker.formats.signals import Refused, Signals, not_an_image
from worker.formats.text import decoded
from worker.formats.units import is_known

UNREADABLE = "the metadata could not be read: taken as uncalibrated"
# JSON that is none, that lacks an entry, or whose entries are not what they should be
UNTOLD = (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError)
DOUBTFUL = "the metadata could be read in part only"


@contextmanager
def opened(path: Path) -> Iterator[Signals]:
    """The images of a Velox EMD file; spectra are listed as what they are."""
    with h5py.File(path, "r") as file:
        try:
            signals = _with_metadata(file)
        except UNTOLD:
            signals = _pixels_alone(file)
        yield signals


def _with_metadata(file: h5py.File) -> Signals:
    _check_images(file)
    reader = FeiEMDReader()
    spectra: Signals = []
    try:
        reader.read_file(file)
    except ModuleNotFoundError:  # for the spectrum image, which comes after the images
        spectra = [Refused("EDS", not_an_image("a spectrum image"))]
    images = enumerate(reader.dictionaries)
    return [_signal(each, f"image {number}") for number, each in images] + spectra


def _check_images(file: h5py.File) -> None:
    """Hold off from RosettaSciIO, which evaluates units, what is not one.

    Raises
    ------
    LimitError
        When there are too many images.
    ValueError
        When one has an unknown unit.
    """
    images = file.get("Data/Image", {})
    if len(images) > MOST_SIGNALS:
        raise exceeded("max_signals", "signals", MOST_SIGNALS, len(images))
    for image in images.values():
        stated = _metadata(image).get("BinaryResult", {})
        units = [stated.get(f"PixelUnit{axis}", "") for axis in "XY"]
        if not all(unit == "" or is_known(unit) for unit in units):
            raise ValueError(f"got the units {units}, expected lengths or their inverse")


def _signal(signal: Mapping[str, Any], untitled: str) -> Any:
    title = str(signal["metadata"].get("General", {}).get("title") or untitled)
    signal_type = str(signal["metadata"].get("Signal", {}).get("signal_type", ""))
    metadata = signal["original_metadata"]
    stated = Stated(title, signal_type, metadata=metadata)
    return signal_of(signal["data"], _axes(signal["axes"], metadata), stated)


def _axes(axes: list[Described], metadata: Mapping[str, Any]) -> list[Described]:
    """RosettaSciIO takes the unit of x for y, too."""
    stated = metadata.get("BinaryResult", {})
    unit = stated.get("PixelUnitY")
    if len(axes) < 2 or not unit or unit == stated.get("PixelUnitX", unit):
        return axes
    rows = {
        **axes[-2],
        "scale": stated.get("PixelSize", {}).get("height"),
        "offset": stated.get("Offset", {}).get("y"),
        "units": unit,
    }
    return [*axes[:-2], rows, axes[-1]]


def _pixels_alone(file: h5py.File) -> Signals:
    """Every image as it lies in the file, with as much of its metadata as can be read."""
    found: Signals = []
    for name, image in file.get("Data/Image", {}).items():
        data = image.get("Data") if isinstance(image, h5py.Group) else None
        if not isinstance(data, h5py.Dataset) or data.ndim != 3:
            found.append(Refused(name, not_an_image("a group without an image")))
            continue
        metadata = _metadata(image)
        note = UNREADABLE if not metadata else DOUBTFUL
        stated = Stated(name, metadata=metadata, notes=(note,))
        sides = _sides(metadata)
        if data.shape[2] == 1:
            found.append(signal_of(_FirstFrame(data), sides, stated))
        else:
            found.append(signal_of(data, [*sides, {}], stated, Roles(0, 1, 2)))
    return found


def _metadata(image: h5py.Group) -> dict[str, Any]:
    """The JSON of the first frame; some programs write names in Latin-1."""
    try:
        stated = json.loads(decoded(image["Metadata"][:, 0].tobytes()).strip("\0"))
    except (LookupError, TypeError, ValueError):
        return {}
    return stated if isinstance(stated, dict) else {}


def _sides(metadata: Mapping[str, Any]) -> list[Described]:
    """Rows and columns."""
    stated = metadata.get("BinaryResult")
    if not isinstance(stated, Mapping):
        return [{}, {}]
    parts = [stated.get(name) for name in ("PixelSize", "Offset")]
    size, offset = (part if isinstance(part, Mapping) else {} for part in parts)
    return [
        {
            "scale": size.get(side),
            "offset": offset.get(axis.lower()),
            "units": stated.get(f"PixelUnit{axis}") or stated.get("PixelUnitX"),
        }
        for side, axis in (("height", "Y"), ("width", "X"))
    ]


class _FirstFrame:
    """The one frame of a data set, read when it is asked for."""

    ndim = 2

    def __init__(self, data: h5py.Dataset) -> None:
        self._data = data
        self.shape, self.dtype, self.size = data.shape[:2], data.dtype, data.size

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        del dtype, copy
        return np.asarray(self._data[:, :, 0])
