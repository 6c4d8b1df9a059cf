"""What the abuser sends: small files that cost much to refuse or to list."""

import io
import struct
from pathlib import Path

import numpy as np
import tifffile

from tests.hostile.collection import hostile_files, plant
from tests.hostile.pngs import chunk, header, pixels, png

MOST = 2**20  # bytes of a tiny file
SIDE = 6000  # px of the image that is drawn again and again


def npy(seed: int, side: int) -> bytes:
    """An image of noise, another one for each seed."""
    buffer = io.BytesIO()
    np.save(buffer, np.random.default_rng(seed).poisson(20, (side, side)).astype(np.uint16))
    return buffer.getvalue()


def large() -> bytes:
    """An image of `SIDE` px a side, of which making it takes no time."""
    buffer = io.BytesIO()
    block = np.random.default_rng(0).poisson(200, (500, 500)).astype(np.uint16)
    np.save(buffer, np.tile(block, (SIDE // 500, SIDE // 500)))
    return buffer.getvalue()


def talkative(number: int) -> bytes:
    """A TIFF of 64 channels and as much text as it may have."""
    buffer = io.BytesIO()
    pixels_ = np.random.default_rng(number).integers(0, 9, (64, 8, 8)).astype(np.uint16)
    names = [f"{number}-{n}-" + "x" * 1500 for n in range(64)]
    tifffile.imwrite(
        buffer, pixels_, ome=True, metadata={"axes": "CYX", "Channel": {"Name": names}}
    )
    return buffer.getvalue()


def tiny(folder: Path) -> list[bytes]:
    """Every hostile file that is small, and some that keep a reader busy."""
    cases = (case.content for case in hostile_files(plant(folder)))
    return [*(each for each in cases if len(each) < MOST), *busy()]


def busy() -> list[bytes]:
    """Files of many parts that are nothing."""
    chunks = png(header(20, 24), *[chunk(b"tEXt", b"")] * 80_000, pixels())
    entries = struct.pack("<H", 2000) + b"".join(
        struct.pack("<HHII", 330, 4, 8, 8) for _ in range(2000)
    )
    tiff = b"II*\0" + struct.pack("<I", 8) + entries * 40 + bytes(4)
    return [chunks, tiff]


def parts(count: int) -> tuple[bytes, str]:
    """A form of very many empty parts, and its type."""
    part = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n'
    return part * count + b"--b--\r\n", "multipart/form-data; boundary=b"


def form(file: bytes) -> tuple[bytes, str]:
    """A form with a file, and its type."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    return head + file + b"\r\n--b--\r\n", "multipart/form-data; boundary=b"
