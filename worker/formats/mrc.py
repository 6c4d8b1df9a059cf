"""MRC2014, by mrcfile: it minds the byte order and the declared size, and opens no other file."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np

from worker.formats.errors import FormatError
from worker.formats.signals import Found, Pixels, Refused, Signals, not_an_image
from worker.formats.units import pixel_size

MODES = {0: 1, 1: 2, 2: 4, 4: 8, 6: 2, 12: 2}  # bytes per pixel
HEADER = 1024  # bytes
MAP, MAP_AT = b"MAP ", 208
BIG_ENDIAN = b"\x11"  # machine stamp
IMOD_STAMP, IMOD_STAMP_AT = 1146047817, 40
SIGNED = 1  # IMOD's flag: bytes are signed
FROM_ANGSTROM = 0.1  # to nm


@contextmanager
def opened(path: Path) -> Iterator[Signals]:
    """The image or stack of an MRC file."""
    _check_layout(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of files older than MRC2014, whose sizes were checked
        with mrcfile.mmap(path, permissive=True) as file:
            yield [_signal(file)]


def is_mrc(head: bytes, size: int) -> bool:
    """Whether a file begins like an MRC file; old ones have no magic, but the size must fit."""
    if head[MAP_AT : MAP_AT + 4] == MAP:
        return True
    if len(head) < MAP_AT:
        return False
    columns, rows, frames, mode = struct.unpack_from("<4I", head)
    extended = struct.unpack_from("<I", head, 92)[0]
    pixels = columns * rows * frames * MODES.get(mode, 0)
    return bool(0 < pixels == size - HEADER - extended)


def _check_layout(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(216)
    order = ">" if head[212:213] == BIG_ENDIAN else "<"
    columns, rows, frames, mode = struct.unpack_from(f"{order}4I", head)
    size = path.stat().st_size
    if mode not in MODES or HEADER + columns * rows * frames * MODES[mode] > size:
        raise FormatError(
            "damaged_file",
            f"the MRC file is truncated or damaged: it declares {frames} frames of {rows} x "
            f"{columns} px in mode {mode} and has {size} bytes",
        )


def _signal(file: Any) -> Found | Refused:
    if file.data is None:
        raise FormatError("damaged_file", "the MRC file is truncated or damaged: it has no pixels")
    if file.data.ndim > 3:
        return Refused("image", not_an_image(f"volumes of shape {file.data.shape}"))
    header = file.header
    data = file.data.view(np.uint8) if _has_unsigned_bytes(header) else file.data
    shape = tuple(int(side) for side in data.shape)
    shape = shape[1:] if len(shape) == 3 and shape[0] == 1 else shape

    def load() -> Pixels:
        return np.array(data).reshape(shape)  # a copy: the file is closed after

    return Found("image", shape, data.dtype, load, *_calibration(header), metadata=_stated(file))


def _has_unsigned_bytes(header: Any) -> bool:
    """Mode 0 is signed by the standard, and unsigned in many files: IMOD's flag or the maximum."""
    if int(header.mode) != 0:
        return False
    for order in "<>":
        stamp, flags = struct.unpack_from(f"{order}II", header.extra2.tobytes(), IMOD_STAMP_AT)
        if stamp == IMOD_STAMP:
            return not flags & SIGNED
    return bool(float(header.dmin) >= 0 and float(header.dmax) > np.iinfo(np.int8).max)


def _calibration(header: Any) -> tuple[tuple[float, float] | None, str | None]:
    if not header.mx or not header.my:
        return None, None
    height, width = float(header.cella.y) / int(header.my), float(header.cella.x) / int(header.mx)
    return pixel_size(height * FROM_ANGSTROM, width * FROM_ANGSTROM, "nm")


def _stated(file: Any) -> dict[str, Any]:
    """Labels and header; what software wrote into the extended header is not looked at."""
    names = [name for name in file.header.dtype.names if not name.startswith(("extra", "label"))]
    values = {name: file.header[name].item() for name in names if name not in ("map", "machst")}
    labels = [label.strip() for label in file.get_labels() if label.strip()]
    return {"labels": labels, "header": values}
