"""MRC: a header of 1024 bytes, an extension of it, and the pixels."""

from math import prod

from worker.decoding.admission.declared import Declared, check_frames
from worker.decoding.admission.source import Source
from worker.formats.mrc import BIG_ENDIAN, MODES, check_mode

HEADER = 1024  # bytes


def check_mrc(source: Source, declared: Declared) -> None:
    """Read the header.

    Raises
    ------
    FormatError, ValueError
    """
    order = ">" if source.read(212, 2) == BIG_ENDIAN else "<"
    *shape, mode = source.unpack(order + "4i", 0)
    (extension,) = source.unpack(order + "i", 92)
    if min(shape) < 1 or extension < 0:
        raise ValueError(f"got a header that declares {shape} pixels and {extension} bytes more")
    check_mode(mode)
    check_frames(shape[2])
    decoded = prod(shape) * MODES[mode]
    columns, rows, frames = shape
    declared.add(prod(shape), decoded, stored=True, shape=(rows, columns), count=frames)
    needed = HEADER + extension + decoded
    if needed > source.size:
        raise ValueError(_missing(source.size, extension, decoded))


def _missing(size: int, extension: int, decoded: int) -> str:
    """What a file that is too short lacks: most often what was to come after its header."""
    if extension and size >= HEADER + decoded:
        return (
            f"the header declares an extended header of {extension} bytes (nsymbt) before "
            f"{decoded} bytes of pixels, and the file has {size - HEADER} bytes for both: the "
            "extended header is missing, or was cut off without setting nsymbt to 0"
        )
    return (
        f"got {max(size - HEADER - extension, 0)} bytes of pixels, expected the {decoded} that the "
        "header declares"
    )
