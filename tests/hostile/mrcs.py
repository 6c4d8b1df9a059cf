"""MRC: headers that declare what the file has not."""

import struct
from collections.abc import Iterator

import numpy as np

from tests.hostile.cases import SHAPE, Case, Valid, image

ROWS, COLUMNS = SHAPE
UINT16 = 6


def mrc(
    columns: int = COLUMNS,
    rows: int = ROWS,
    frames: int = 1,
    mode: int = UINT16,
    *,
    extension: int = 0,
    kind: bytes = b"\0\0\0\0",
    stamp: bytes = b"DD\0\0",
    magic: bytes = b"MAP ",
    data: bytes | None = None,
) -> bytes:
    """A file of 1024 bytes of header and the pixels."""
    header = bytearray(1024)
    struct.pack_into("<10i", header, 0, columns, rows, frames, mode, 0, 0, 0, columns, rows, frames)
    struct.pack_into("<6f", header, 40, columns, rows, frames, 90, 90, 90)
    struct.pack_into("<3i", header, 64, 1, 2, 3)
    struct.pack_into("<i4s", header, 92, extension, b"\0\0\0\0")
    header[104:108], header[208:212], header[212:216] = kind, magic, stamp
    return bytes(header) + (image().tobytes() if data is None else data)


def valid() -> Valid:
    """16 bits."""
    return Valid("mrc", mrc(), [4, 16, 28, 40, 64, 92, 96, 208, 212, 216, 224, 1024, 1500, 1983])


def cases() -> Iterator[Case]:
    """Everything but truncation and mutation."""
    big = 2**31 - 1
    yield Case("mrc-2-GB", mrc(2**15, 2**15, data=bytes(100)), "1124 bytes that claim 2 GB")
    yield Case("mrc-2**93", mrc(big, big, big), "2**93 pixels")
    yield Case("mrc-overflow", mrc(2**16, 2**16, 2**16), "2**48 pixels, 0 when wrapped to 32 bits")
    yield Case("mrc-negative", mrc(-COLUMNS, -ROWS), "negative sizes")
    yield Case("mrc-negative-frames", mrc(frames=-1), "negative number of frames")
    yield Case("mrc-no-columns", mrc(0), "no column")
    yield Case("mrc-no-frames", mrc(frames=0), "no frame")
    yield Case(
        "mrc-million-frames", mrc(1, 1, 10**6, 0, data=bytes(10**6)), "a million pixels in z"
    )
    yield Case("mrc-one-frame-short", mrc(frames=2), "the second frame is missing")
    yield Case("mrc-mode-5", mrc(mode=5), "mode 5")
    yield Case("mrc-mode-negative", mrc(mode=-1), "mode -1")
    yield Case("mrc-mode-large", mrc(mode=big), "mode 2**31 - 1")
    yield Case("mrc-complex", mrc(mode=4, rows=6), "complex numbers")
    yield Case("mrc-complex-16", mrc(mode=3, rows=12), "complex numbers of 16 bits")
    yield Case("mrc-nan", mrc(mode=2, rows=12, data=b"\xff" * 960), "all NaN")
    yield Case("mrc-extension-2-GiB", mrc(extension=big), "extension beyond the end")
    yield Case("mrc-extension-negative", mrc(extension=-1024), "extension before the header")
    yield Case("mrc-extension-all", mrc(extension=960), "extension where the pixels are")
    fei = mrc(extension=2**20, kind=b"FEI1")
    yield Case("mrc-fei", fei, "FEI's extension beyond the end")
    for name, extension in (("old", bytes(128 * 1024)), ("nan", b"\xff" * 128 * 1024)):
        told = mrc(extension=len(extension), data=extension + image().tobytes())
        yield Case(f"mrc-fei-{name}", told, "an extension of no numbers", has_image=True)
    for kind in (b"FEI1", b"FEI2"):
        short = mrc(extension=16, kind=kind, data=b"\xff" * 16 + image().tobytes())
        yield Case(f"mrc-{kind.decode()}-short", short, "a record cut short", has_image=True)
        noise = np.random.default_rng(4).bytes(1024) + image().tobytes()
        yield Case(f"mrc-{kind.decode()}-noise", mrc(extension=1024, kind=kind, data=noise),
                   "a record of noise", has_image=True)  # fmt: skip
    yield Case("mrc-mode-101", mrc(mode=101, rows=ROWS * 4), "4 bits per pixel")
    swapped = struct.pack(">4i", COLUMNS, ROWS, 1, UINT16)
    wrong = mrc(stamp=b"\x11\x11\0\0")
    yield Case("mrc-stamp", wrong, "byte order of another machine")
    yield Case("mrc-swapped", swapped + mrc()[16:], "numbers of another machine")
    yield Case("mrc-header-alone", mrc(data=b""), "no pixels")
    yield Case("mrc-no-magic", mrc(2**15, 2**15, magic=bytes(4)), "no magic and 2 GB")
