"""A PNG file, written row by row: Pillow's holds the whole picture.

Portable Network Graphics (W3C, third edition, 2025), sections 5 (chunks), 9 (filters), 11 (IHDR).
"""

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY, RGB = 0, 2  # colour types
SUB = 1  # the filter of every row: each byte minus that of the pixel before
LEVEL = 1  # of zlib; with its strategy for pictures, three times as fast as more, and as small


def write_png(
    path: Path, shape: tuple[int, int], bands: Iterable[NDArray[Any]], *, rgb: bool, depth: int = 8
) -> None:
    """Write a picture, its rows in bands from above.

    Parameters
    ----------
    path : Path
    shape : tuple of int
        Rows and columns.
    bands : iterable of ndarray, shape (rows, columns) or (rows, columns, 3)
        uint8, or with depth 16 big-endian uint16.
    rgb : bool
    depth : {8, 16}
    """
    height, width = shape
    step = depth // 8 * (3 if rgb else 1)  # bytes of a pixel
    deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, strategy=zlib.Z_RLE)
    with path.open("wb") as file:
        file.write(SIGNATURE)
        head = struct.pack(">IIBBBBB", width, height, depth, RGB if rgb else GRAY, 0, 0, 0)
        _chunk(file, b"IHDR", head)
        for band in bands:
            given = np.ascontiguousarray(band).view(np.uint8).reshape(len(band), step * width)
            rows = np.empty((len(band), 1 + given.shape[1]), np.uint8)
            rows[:, 0] = SUB
            rows[:, 1:] = given
            rows[:, 1 + step :] -= given[:, :-step]
            _chunk(file, b"IDAT", deflate.compress(rows.data))
        _chunk(file, b"IDAT", deflate.flush())
        _chunk(file, b"IEND", b"")


def _chunk(file: BinaryIO, kind: bytes, content: bytes) -> None:
    if content or kind == b"IEND":
        check = zlib.crc32(content, zlib.crc32(kind))
        file.write(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check))
