"""PNG: chunks that lie, text that explodes, pixels that are not there."""

import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from tests.hostile.cases import SHAPE, Case, Valid, image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
ROWS, COLUMNS = SHAPE


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    """A chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(width: int, height: int, bits: int = 8, colour: int = GRAY, *rest: int) -> bytes:
    """The first chunk; the rest is compression, filter and interlace."""
    methods = (*rest, 0, 0, 0)[:3]
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, *methods))


def png(first: bytes, *others: bytes) -> bytes:
    """A file of these chunks and the last one."""
    return SIGNATURE + first + b"".join(others) + chunk(b"IEND")


def pixels(rows: int = ROWS, width: int = COLUMNS) -> bytes:
    """A chunk of noise, 8 bits a pixel, as many as there are in that many rows."""
    noise = image().tobytes()
    rows_ = [b"\0" + noise[n : n + width].ljust(width, b"\7") for n in range(rows)]
    return chunk(b"IDAT", zlib.compress(b"".join(rows_)))


def zeros(width: int, height: int, bits: int = 8) -> bytes:
    """A chunk of zeros for an image of this size, whatever that is."""
    compressor = zlib.compressobj(6)
    left, parts = height * (1 + width * bits // 8), []
    while left:
        step = min(left, 2**24)
        parts.append(compressor.compress(bytes(step)))
        left -= step
    return chunk(b"IDAT", b"".join([*parts, compressor.flush()]))


def valid() -> Valid:
    """16 bits, as Pillow writes it."""
    buffer = io.BytesIO()
    Image.fromarray(image()).save(buffer, format="PNG")
    content = buffer.getvalue()
    places, place = [4, 8], 8
    while place < len(content):
        (length,) = struct.unpack_from(">I", content, place)
        places += [place + 4, place + 8, place + 8 + length, place + 12 + length]
        place += 12 + length
    return Valid("png", content, places)


def cases() -> Iterator[Case]:
    """Everything but truncation and mutation."""
    yield from _headers()
    yield from _chunks()
    yield from _bombs()


def _headers() -> Iterator[Case]:
    data = pixels()
    big = 2**31 - 1
    yield Case("png-signature-alone", SIGNATURE, "no chunk")
    yield Case("png-no-width", png(header(0, 9), data), "no column")
    yield Case("png-no-height", png(header(9, 0), data), "no row")
    yield Case("png-2**62-pixels", png(header(big, big), data), "2**62 pixels")
    yield Case("png-width-2**32-1", png(header(2**32 - 1, 1), data), "width beyond the standard")
    yield Case("png-4-Gpx", png(header(65535, 65535, 16), data), "4 gigapixels of 16 bits")
    yield Case("png-3-bits", png(header(COLUMNS, ROWS, 3), data), "pixels of 3 bits")
    yield Case("png-64-bits", png(header(COLUMNS, ROWS, 64), data), "pixels of 64 bits")
    yield Case("png-colour-1", png(header(COLUMNS, ROWS, 8, 1), data), "colour type 1")
    yield Case("png-colour-255", png(header(COLUMNS, ROWS, 8, 255), data), "colour type 255")
    yield Case("png-compression-9", png(header(COLUMNS, ROWS, 8, 0, 9), data), "compression 9")
    yield Case("png-interlace-9", png(header(COLUMNS, ROWS, 8, 0, 0, 0, 9), data), "interlace 9")
    yield Case("png-rgb", png(header(COLUMNS // 3, ROWS, 8, RGB), data), "colours")
    yield Case("png-rgba", png(header(COLUMNS // 4, ROWS, 8, RGBA), data), "colours, transparent")
    yield Case("png-alpha", png(header(COLUMNS // 2, ROWS, 8, GRAY_ALPHA), data), "transparency")
    colours = chunk(b"PLTE", bytes(range(48)))
    yield Case("png-palette", png(header(COLUMNS, ROWS, 8, PALETTE), colours, data), "palette")
    yield Case("png-no-palette", png(header(COLUMNS, ROWS, 8, PALETTE), data), "palette left out")
    yield Case("png-header-of-4", png(chunk(b"IHDR", bytes(4)), data), "header of 4 bytes")
    yield Case("png-header-late", png(data, header(COLUMNS, ROWS)), "pixels before the header")


def _chunks() -> Iterator[Case]:
    first = header(COLUMNS, ROWS)
    good = png(first, pixels())
    yield Case("png-no-pixels", png(first), "no pixels")
    yield Case("png-no-end", good[:-12], "no last chunk")
    yield Case("png-few-rows", png(first, pixels(rows=5)), "fewer rows than declared")
    yield Case("png-empty-pixels", png(first, chunk(b"IDAT")), "pixel chunk of no bytes")
    yield Case("png-noise", png(first, chunk(b"IDAT", image().tobytes())), "no deflate data")
    yield Case("png-bad-checksum", good[:45] + b"\0\0" + good[47:], "wrong checksum")
    yield Case("png-bad-header-checksum", good[:29] + bytes(4) + good[33:], "wrong checksum")
    long = SIGNATURE + first + struct.pack(">I", 2**31 - 1) + b"IDAT" + bytes(99)
    yield Case("png-chunk-of-2-GiB", long, "chunk beyond the end")
    negative = SIGNATURE + first + struct.pack(">I", 2**32 - 1) + b"tEXt" + bytes(99)
    yield Case("png-chunk-of-4-GiB", negative, "chunk beyond the end")
    yield Case("png-critical", png(first, chunk(b"ABCD"), pixels()), "unknown critical chunk")
    for rows in (2, 12, 8000):
        second = header(COLUMNS, rows)
        yield Case(f"png-second-header-{rows}", png(first, second, pixels()), "two headers")
    animated = chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))
    yield Case("png-2**31-frames", png(first, animated, pixels()), "2**31 frames")


def _bombs() -> Iterator[Case]:
    first = header(COLUMNS, ROWS)
    blank = zlib.compress(bytes(80 * 2**20), 9)
    yield Case("png-bomb", png(header(12_000, 12_000), zeros(12_000, 12_000)), "140 kB are 144 MB")
    wide = png(header(2**26, 1, 16), zeros(2**26, 1, 16))
    yield Case("png-bomb-in-a-row", wide, "130 kB are one row of 128 MiB")
    text = chunk(b"zTXt", b"Comment\0\0" + blank)
    yield Case("png-bomb-zTXt", png(first, *[text] * 14, pixels()), "80 MiB of text, 14 times")
    international = chunk(b"iTXt", b"Comment\0\1\0\0\0" + blank)
    yield Case("png-bomb-iTXt", png(first, international, pixels()), "80 MiB of text")
    profile = chunk(b"iCCP", b"Profile\0\0" + blank)
    yield Case("png-bomb-iCCP", png(first, profile, pixels()), "80 MiB of colour profile")
    plain = [chunk(b"tEXt", b"Comment\0" + b"a" * 10**5)] * 20
    yield Case("png-2-MB-of-text", png(first, *plain, pixels()), "2 MB of text")
    packed = chunk(b"IDAT", blank)
    yield Case("png-bomb-in-small-image", png(header(3, 2), packed), "80 MiB for 6 pixels")
