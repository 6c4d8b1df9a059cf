"""MRC2014, by mrcfile: it minds the byte order and the declared size, and opens no other file."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np

from worker.formats.calibration import Axis, Calibration, calibrated
from worker.formats.errors import FormatError
from worker.formats.fei_mrc import extended_pixel_size, told
from worker.formats.signals import Found, Pixels, Refused, Signals, not_an_image

MODES = {0: 1, 1: 2, 2: 4, 6: 2, 12: 2}  # bytes per pixel
OTHER_MODES = {3: "complex numbers", 4: "complex numbers", 16: "colours", 101: "4 bits"}
HEADER = 1024  # bytes
MAP, MAP_AT = b"MAP ", 208
BIG_ENDIAN = b"\x11\x11"  # machine stamp
IMOD_STAMP, IMOD_STAMP_AT = 1146047817, 40
SIGNED, ORIGIN_AS_STANDARD = 1, 4  # IMOD's flags: of bytes, and of the sign of the origin
FIRST_VERSION = 20140  # of the standard that says that bytes are signed
FROM_ANGSTROM = 0.1  # to nm
ALIKE = 0.01  # of a pixel, that header and extension may differ
DEFAULT = "the header says 1 Å per pixel, as it does where nobody set it: taken as uncalibrated"


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
    order = ">" if head[212:214] == BIG_ENDIAN else "<"
    columns, rows, frames, mode = struct.unpack_from(f"{order}4I", head)
    check_mode(mode)
    size = path.stat().st_size
    if HEADER + columns * rows * frames * MODES[mode] > size:
        raise FormatError(
            "damaged_file",
            f"the MRC file is truncated or damaged: it declares {frames} frames of {rows} x "
            f"{columns} px in mode {mode} and has {size} bytes",
        )


def check_mode(mode: int) -> None:
    """Refuse modes that are no images of real numbers.

    Raises
    ------
    FormatError
    """
    if mode not in MODES:
        named = f" ({OTHER_MODES[mode]})" if mode in OTHER_MODES else ""
        raise FormatError(
            "unsupported_format",
            f"got an MRC file of mode {mode}{named}, expected one of mode "
            f"{', '.join(map(str, MODES))}: convert it first",
        )


def _signal(file: Any) -> Found | Refused:
    if file.data is None:
        raise FormatError("damaged_file", "the MRC file is truncated or damaged: it has no pixels")
    if file.data.ndim > 3:
        return Refused("image", not_an_image(f"volumes of shape {file.data.shape}"))
    unsigned, notes = _signedness(file.header)
    data = file.data.view(np.uint8) if unsigned else file.data
    shape = tuple(int(side) for side in data.shape)
    shape = shape[1:] if len(shape) == 3 and shape[0] == 1 else shape

    def load() -> Pixels:
        return np.array(data).reshape(shape)  # a copy: the file is closed after

    return Found("image", shape, data.dtype, load, calibration_of(file), _stated(file), notes)


def _signedness(header: Any) -> tuple[bool, tuple[str, ...]]:
    """Whether bytes are unsigned: as IMOD's flag says, or the range, or the standard of 2014.

    Before it, programs wrote both, and most of them unsigned bytes.
    """
    if int(header.mode) != 0:
        return False, ()
    flags = _imod_flags(header)
    if flags is not None:
        return not flags & SIGNED, ()
    low, high = float(header.dmin), float(header.dmax)
    if low < high:  # else they were not determined
        if low < 0:
            return False, ()
        if high > np.iinfo(np.int8).max:
            return True, ()
    if int(header.nversion) >= FIRST_VERSION:
        return False, ()
    return True, ("the file does not say whether its bytes are signed: taken as unsigned",)


def _imod_flags(header: Any) -> int | None:
    for order in "<>":
        stamp, flags = struct.unpack_from(f"{order}II", header.extra2.tobytes(), IMOD_STAMP_AT)
        if stamp == IMOD_STAMP:
            return int(flags)
    return None


def calibration_of(file: Any) -> Calibration:
    """By the header, or by FEI's extension of it where that says otherwise."""
    stated, extended = _by_header(file), _by_extension(file)
    if extended.pixel_size is None:
        return stated
    if stated.pixel_size is None:
        return extended
    if np.allclose(stated.pixel_size, extended.pixel_size, rtol=ALIKE, atol=0):
        return stated
    note = f"the header says {stated.pixel_size[1]:.5g} nm, its extension otherwise: taken from it"
    return replace(extended, notes=(note,))


def _by_extension(file: Any) -> Calibration:
    sides = extended_pixel_size(file)
    return Calibration() if sides is None else calibrated(*(Axis(side, "m") for side in sides))


def _by_header(file: Any) -> Calibration:
    header = file.header
    if not header.mx or not header.my:
        return Calibration()
    sides = float(header.cella.y) / int(header.my), float(header.cella.x) / int(header.mx)
    if sides == (1.0, 1.0) and not _is_ours(file):
        return Calibration(notes=(DEFAULT,))
    height, width = (
        Axis(side * FROM_ANGSTROM, "nm", place * FROM_ANGSTROM)
        for side, place in zip(sides, _origin(header), strict=True)
    )
    return calibrated(height, width)


def _is_ours(file: Any) -> bool:
    return any(label.startswith("REUCID") for label in file.get_labels())


def _origin(header: Any) -> tuple[float, float]:
    """Of rows and columns, in Å; IMOD meant the opposite before it had a flag for it."""
    flags = _imod_flags(header)
    sign = -1.0 if flags is not None and not flags & ORIGIN_AS_STANDARD else 1.0
    return sign * float(header.origin.y), sign * float(header.origin.x)


def _stated(file: Any) -> dict[str, Any]:
    """Labels and header, and what FEI adds to it."""
    names = [name for name in file.header.dtype.names if not name.startswith(("extra", "label"))]
    values = {name: file.header[name].item() for name in names if name not in ("map", "machst")}
    labels = [label.strip() for label in file.get_labels() if label.strip()]
    extension = told(file)
    return {"labels": labels, "header": values} | ({"extension": extension} if extension else {})
