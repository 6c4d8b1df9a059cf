"""PNG: the chain of chunks, and whether the pixels are as many as the header declares."""

import zlib
from collections.abc import Iterator

from worker.decoding.admission.declared import Declared
from worker.decoding.admission.source import Source

SIGNATURE = 8  # bytes
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")  # others a reader has to know, or refuse the file
ANIMATION = b"acTL"
TEXT = (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf")
LONGEST_TEXT = 2**20  # bytes of all text in the file, as stored
MOST_CHUNKS = 2**17
PIECE = 2**20  # bytes that are inflated at a time
WHOLE = ((0, 0, 1, 1),)  # of each pass: first column and row, and steps
ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)


def check_png(source: Source, declared: Declared) -> None:
    """Walk all chunks, and count the pixels.

    Raises
    ------
    LimitError, ValueError
    """
    header = source.unpack(">I4sIIBBBBB", SIGNATURE)
    length, kind, width, height, bits, colour, *methods = header
    if (length, kind) != (13, b"IHDR") or colour not in CHANNELS or not (width and height):
        raise ValueError("got no valid header chunk")
    if methods not in ([0, 0, 0], [0, 0, 1]):
        raise ValueError(f"got the methods {methods}, expected those of the standard")
    bits *= CHANNELS[colour]
    declared.add(
        width * height,
        height * max(_row(width, bits), width),
        stored=False,
        shape=(height, width),
    )
    passes = ADAM7 if methods[2] else WHOLE
    expected = sum(
        -(-(height - row) // down) * (1 + _row(-(-(width - column) // right), bits))
        for column, row, right, down in passes
        if width > column and height > row
    )
    _check_pixels(_pixels(source), expected)


def _row(width: int, bits: int) -> int:
    return (width * bits + 7) // 8


def _pixels(source: Source) -> Iterator[bytes]:
    """The deflated pixels, piece by piece."""
    place, text = SIGNATURE, 0
    for _ in range(MOST_CHUNKS):
        length, kind = source.unpack(">I4s", place)
        source.read(place + 8 + length, 4)  # its checksum: the chunk is all there
        if kind not in CRITICAL and kind[:1].isupper():
            raise ValueError(f"got an unknown chunk {kind!r} that is needed to read the pixels")
        if kind == b"IHDR" and place != SIGNATURE:
            raise ValueError("got two headers: which one holds is not known")
        if kind == ANIMATION:
            raise ValueError("got an animation, expected one image")
        text += length if kind in TEXT else 0
        if text > LONGEST_TEXT:
            raise ValueError(f"got more than {LONGEST_TEXT} bytes of text")
        if kind == b"IEND":
            return
        if kind == b"IDAT":
            for start in range(0, length, PIECE):
                yield source.read(place + 8 + start, min(PIECE, length - start))
        place += 12 + length
    raise ValueError(f"got more than {MOST_CHUNKS} chunks")


def _check_pixels(pieces: Iterator[bytes], expected: int) -> None:
    """Readers fill in what is missing, and that would be invented."""
    inflater = zlib.decompressobj()
    found = 0
    for piece in pieces:
        rest = piece
        while rest and not inflater.eof:
            found += len(inflater.decompress(rest, PIECE))
            rest = inflater.unconsumed_tail
            if found > expected:
                raise ValueError(f"got more than the {expected} bytes of pixels that it declares")
    found += len(inflater.flush())
    if found != expected or not inflater.eof:
        raise ValueError(f"got {found} bytes of pixels, expected {expected}")
