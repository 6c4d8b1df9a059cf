"""NumPy arrays; never pickled ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from worker.formats.errors import FormatError
from worker.formats.signals import Found, Pixels, Refused, Signals, not_grayscale

COLOUR_SAMPLES = (3, 4)


@contextmanager
def opened(path: Path) -> Iterator[Signals]:
    """The one array of an NPY file: an image, or a stack of images."""
    with path.open("rb") as file:
        shape, dtype = _header(file)

        def load() -> Pixels:
            file.seek(0)
            return np.asarray(np.load(file, allow_pickle=False))

        if dtype.hasobject:
            error = FormatError("invalid_image", "got an array of Python objects, expected numbers")
            yield [Refused("array", error)]
        elif looks_like_colours(shape):
            yield [
                Refused("array", not_grayscale(f"an array of shape {shape}, colours as it seems"))
            ]
        else:
            yield [Found("array", shape, dtype, load, notes=order_hint(shape))]


def looks_like_colours(shape: tuple[int, ...]) -> bool:
    """Whether the last of three axes is that of red, green, blue and perhaps opacity."""
    return len(shape) == 3 and shape[-1] in COLOUR_SAMPLES and min(shape[:2]) > shape[-1]


def order_hint(shape: tuple[int, ...]) -> tuple[str, ...]:
    """What to say of a stack whose frames may have been meant to come last."""
    if len(shape) != 3 or 2 * shape[2] > min(shape[:2]):
        return ()
    return (
        f"read as {shape[0]} frames of {shape[1]} x {shape[2]} px, frames first: if they come "
        "last, save numpy.moveaxis(array, -1, 0)",
    )


def _header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read_header(file)
    return shape, dtype
