"""HDF5 of no known kind: its arrays of two or three dimensions, by their paths.

atomap, TEMUL, AICrystallographer and many scripts keep images so. Nothing says how large a pixel
is, nor which of several arrays is the image: none of them is chosen for anybody.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from worker.formats.errors import FormatError
from worker.formats.hierarchical import attributes
from worker.formats.npy import looks_like_colours, order_hint
from worker.formats.signals import Found, Pixels, Refused, Signals, not_an_image, not_grayscale

NUMBERS = "iufcb"  # complex numbers and masks are told, and refused


@contextmanager
def opened(path: Path) -> Iterator[Signals]:
    """Every array of an HDF5 file that may be an image or a stack."""
    with h5py.File(path, "r") as file:
        yield opened_file(file)


def opened_file(file: h5py.File) -> Signals:
    """The same of a file that is open.

    Raises
    ------
    FormatError
        When it has no arrays of numbers at all.
    """
    arrays: list[h5py.Dataset] = []

    def look(_: str, item: Any) -> None:
        if _is_array(item) and item.ndim > 1 and item.dtype.kind in NUMBERS:
            arrays.append(item)

    file.visititems(look)
    if not arrays:
        raise FormatError(
            "unsupported_format",
            "got an HDF5 file of an unknown kind without an array of numbers in two or three "
            "dimensions, expected Velox EMD, NCEM EMD, HyperSpy's, or images as arrays",
        )
    return [_signal(each) for each in arrays]


def _is_array(item: Any) -> bool:
    return isinstance(item, h5py.Dataset) and item.shape is not None


def _signal(array: h5py.Dataset) -> Found | Refused:
    title, shape = array.name.strip("/"), tuple(int(side) for side in array.shape)
    if len(shape) > 3:
        return Refused(title, not_an_image(f"data of {len(shape)} dimensions, {shape}"))
    if looks_like_colours(shape):
        return Refused(title, not_grayscale(f"an array of shape {shape}, colours as it seems"))

    def load() -> Pixels:
        return np.asarray(array[()])

    metadata = {"path": array.name, "attributes": attributes(array)}
    return Found(title, shape, array.dtype, load, metadata=metadata, notes=order_hint(shape))
