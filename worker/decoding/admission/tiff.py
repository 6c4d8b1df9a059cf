"""TIFF and BigTIFF: the chain of pages, and where each says its pixels lie."""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.decoding.admission.declared import Declared, check_frames
from worker.decoding.admission.source import Source
from worker.formats.errors import FormatError

WIDTH, LENGTH, BITS, COMPRESSION, SAMPLES, DEPTH = 256, 257, 258, 259, 277, 32997
STRIP_OFFSETS, STRIP_COUNTS, TILE_OFFSETS, TILE_COUNTS = 273, 279, 324, 325
TILE_WIDTH, TILE_LENGTH, ROWS_PER_STRIP, PLANAR = 322, 323, 278, 284
SEPARATE = 2  # samples in planes of their own
NUMBERS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}  # types that count things
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
SIZES |= {13: 4, 16: 8, 17: 8, 18: 8}
UNCOMPRESSED = 1
CODECS = {
    UNCOMPRESSED: "none",
    5: "LZW",
    8: "deflate",
    32773: "PackBits",
    32946: "deflate",
    34925: "LZMA",
    50000: "Zstandard",
}
REFUSED = {
    2: "CCITT RLE",
    3: "CCITT fax 3",
    4: "CCITT fax 4",
    6: "JPEG",
    7: "JPEG",
    9: "JBIG",
    10: "JBIG",
    99: "JPEG",
    22610: "JPEG XR",
    32809: "ThunderScan",
    33003: "JPEG 2000",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    33007: "JPEG",
    34661: "JBIG",
    34676: "SGI Log",
    34677: "SGI Log",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "JPEG",
    34927: "WebP",
    34933: "PNG",
    34934: "JPEG XR",
    48124: "Jetraw",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
    65000: "EER",
    65001: "EER",
    65002: "EER",
}
MOST_TAGS = 4096  # of one page


@dataclass(frozen=True)
class _Layout:
    """How the numbers of a TIFF lie."""

    order: str  # "<" or ">"
    big: bool

    @property
    def word(self) -> str:
        return self.order + ("Q" if self.big else "I")

    @property
    def word_size(self) -> int:
        return 8 if self.big else 4


Numbers = NDArray[np.unsignedinteger[Any]]
Tags = dict[int, Numbers]


def check_tiff(source: Source, declared: Declared) -> None:
    """Walk all pages.

    Raises
    ------
    FormatError, ValueError
    """
    order = "<" if source.read(0, 2) == b"II" else ">"
    layout = _Layout(order, big=source.unpack(order + "H", 2)[0] == 43)
    (offset,) = source.unpack(layout.word, 8 if layout.big else 4)
    seen: set[int] = set()
    while offset:
        if offset in seen:
            raise ValueError("got pages that form a loop")
        seen.add(offset)
        check_frames(len(seen))
        tags, offset = _page(source, layout, offset)
        _check_page(source, declared, tags)
    if not seen:
        raise ValueError("got no page")


def _page(source: Source, layout: _Layout, offset: int) -> tuple[Tags, int]:
    """The tags of a page that say where its pixels lie, and the place of the next page."""
    count_layout = layout.order + ("Q" if layout.big else "H")
    (count,) = source.unpack(count_layout, offset)
    if count > MOST_TAGS:
        raise ValueError(f"got a page of {count} tags, expected {MOST_TAGS} at most")
    start, size = offset + (8 if layout.big else 2), 20 if layout.big else 12
    tags: Tags = {}
    for place in range(start, start + count * size, size):
        code, values = _tag(source, layout, place)
        if values is not None:
            tags[code] = values
    (following,) = source.unpack(layout.word, start + count * size)
    return tags, following


def _tag(source: Source, layout: _Layout, place: int) -> tuple[int, Numbers | None]:
    code, kind, count = source.unpack(layout.order + ("HHQ" if layout.big else "HHI"), place)
    length = count * SIZES.get(kind, 1)
    place += 12 if layout.big else 8
    if length > layout.word_size:
        (place,) = source.unpack(layout.word, place)
    if place + length > source.size:
        raise ValueError(
            f"got a file of {source.size} bytes, expected {length} for tag {code} at byte {place}"
        )
    if code not in _WANTED or kind not in NUMBERS:
        return code, None
    return code, np.frombuffer(source.read(place, length), layout.order + NUMBERS[kind])


_WANTED = {WIDTH, LENGTH, BITS, COMPRESSION, SAMPLES, DEPTH, TILE_WIDTH, TILE_LENGTH}
_WANTED |= {ROWS_PER_STRIP, PLANAR, STRIP_OFFSETS, STRIP_COUNTS, TILE_OFFSETS, TILE_COUNTS}


def _check_page(source: Source, declared: Declared, tags: Tags) -> None:
    codec = _first(tags, COMPRESSION, UNCOMPRESSED)
    if codec not in CODECS:
        raise FormatError(
            "unsupported_format",
            f"got a TIFF with compression {codec} ({REFUSED.get(codec, 'unknown')}), expected one "
            f"of {', '.join(sorted(set(CODECS.values())))}: save it without compression",
        )
    bits = max((int(value) for value in tags.get(BITS, ())), default=1)
    shape = [_first(tags, tag, default) for tag, default in _SHAPE]
    pixels = prod(shape)
    packed = codec == UNCOMPRESSED and bits % 8 != 0  # bits that become bytes
    decoded = pixels * -(-bits // 8)
    declared.add(pixels, decoded, stored=codec == UNCOMPRESSED and not packed)
    if prod(_first(tags, tag, 1) for tag in (TILE_WIDTH, TILE_LENGTH)) > declared.max_pixels:
        raise ValueError("got tiles larger than any image may be")
    _check_segments(source, tags, codec)
    if codec != UNCOMPRESSED:
        _check_number(tags)


def _check_number(tags: Tags) -> None:
    """A reader fills in the parts that are missing, and that would be invented."""
    width, length, samples, depth = (_first(tags, tag, default) for tag, default in _SHAPE)
    planes = samples * depth if _first(tags, PLANAR, 1) == SEPARATE else depth
    if TILE_WIDTH in tags:
        across, down = _first(tags, TILE_WIDTH, 0), _first(tags, TILE_LENGTH, 0)
    else:
        across, down = width, min(_first(tags, ROWS_PER_STRIP, length), length)
    if not (across and down):
        raise ValueError("got parts of no pixels")
    expected = -(-width // across) * -(-length // down) * planes
    found = tags.get(TILE_OFFSETS, tags.get(STRIP_OFFSETS, _NONE)).size
    if found < expected:
        raise ValueError(f"got {found} strips or tiles, expected {expected}")


_NONE = np.empty(0, np.uint32)
_SHAPE = ((WIDTH, 0), (LENGTH, 0), (SAMPLES, 1), (DEPTH, 1))


def _check_segments(source: Source, tags: Tags, codec: int) -> None:
    """Strips or tiles have to lie in the file, and all of them."""
    offsets = tags.get(TILE_OFFSETS, tags.get(STRIP_OFFSETS))
    counts = tags.get(TILE_COUNTS, tags.get(STRIP_COUNTS))
    if offsets is None or not offsets.size:
        raise ValueError("got a page without pixels")
    if int(offsets.max()) >= source.size:
        raise ValueError(f"got a file of {source.size} bytes, expected pixels beyond its end")
    if counts is None:
        return
    if int(counts.max(initial=0)) > source.size:
        raise ValueError(f"got a file of {source.size} bytes, expected pixels beyond its end")
    if not counts.all() and (codec != UNCOMPRESSED or counts.size > 1):
        raise ValueError("got a page with parts that hold no pixels")


def _first(tags: Tags, code: int, default: int) -> int:
    values = tags.get(code)
    return default if values is None or not values.size else int(values[0])
