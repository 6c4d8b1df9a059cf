"""MRC: a header of 1024 bytes, an extension of it, and the pixels."""

from math import prod

from worker.decoding.admission.declared import Declared, check_frames
from worker.decoding.admission.source import Source

HEADER = 1024  # bytes
BITS = {0: 8, 1: 16, 2: 32, 3: 32, 4: 64, 6: 16, 12: 16, 101: 4}  # of a pixel, by mode
BIG_ENDIAN = b"\x11\x11"


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
    if mode not in BITS:
        raise ValueError(f"got mode {mode}, expected one of {', '.join(map(str, BITS))}")
    check_frames(shape[2])
    decoded = prod(shape) * BITS[mode] // 8
    declared.add(prod(shape), decoded, stored=True)
    source.read(HEADER + extension + decoded, 0)  # they are all there
