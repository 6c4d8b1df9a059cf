"""TIFF and BigTIFF: the chain of pages with those below each, and where each says its pixels lie.

Readers differ in what they make of a tag that is given twice, or in numbers of an unusual type, so
neither is accepted where it decides how pixels are read: there is one way to understand a page.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.decoding.admission.declared import Declared, check_frames
from worker.decoding.admission.source import Source
from worker.formats.tiff_codecs import UNCOMPRESSED, check_codec

WIDTH, LENGTH, BITS, COMPRESSION, SAMPLES, DEPTH = 256, 257, 258, 259, 277, 32997
STRIP_OFFSETS, STRIP_COUNTS, TILE_OFFSETS, TILE_COUNTS = 273, 279, 324, 325
TILE_WIDTH, TILE_LENGTH, ROWS_PER_STRIP, PLANAR = 322, 323, 278, 284
PHOTOMETRIC, FILL_ORDER, PREDICTOR, SAMPLE_FORMAT, TILE_DEPTH = 262, 266, 317, 339, 32998
BELOW = 330  # pages that belong to a page
SINGLE = {WIDTH, LENGTH, COMPRESSION, SAMPLES, DEPTH, TILE_WIDTH, TILE_LENGTH, ROWS_PER_STRIP}
SINGLE |= {PLANAR, PHOTOMETRIC, FILL_ORDER, PREDICTOR, TILE_DEPTH}
SEVERAL = {BITS, SAMPLE_FORMAT, STRIP_OFFSETS, STRIP_COUNTS, TILE_OFFSETS, TILE_COUNTS, BELOW}
DECISIVE = SINGLE | SEVERAL
FLOATS = 3  # of sample formats, and the predictor for those
PREDICTORS, ORDERS = (1, 2, FLOATS), (1, 2)
SEPARATE = 2  # samples in planes of their own
NUMBERS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}  # types that count things
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
SIZES |= {13: 4, 16: 8, 17: 8, 18: 8}
MOST_TAGS = 4096  # of one page
FREE_VALUES = 2**20  # bytes of the values of all tags, beyond twice the file's size


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
    """Walk all pages, and the pages below them.

    Raises
    ------
    FormatError, ValueError
    """
    order = "<" if source.read(0, 2) == b"II" else ">"
    layout = _Layout(order, big=source.unpack(order + "H", 2)[0] == 43)
    (first,) = source.unpack(layout.word, 8 if layout.big else 4)
    walk = _Walk(source, layout)
    for tags in walk.pages(first):
        _check_page(source, declared, tags)
    if not walk.seen:
        raise ValueError("got no page")


@dataclass
class _Walk:
    """Pages, each once, and what their tags take together."""

    source: Source
    layout: _Layout
    seen: set[int] = field(default_factory=set)
    values: int = 0  # bytes

    def pages(self, offset: int) -> Iterator[Tags]:
        """A chain, and after each of its pages those below it."""
        while offset:
            tags, offset = self._page(offset)
            yield tags
            yield from self._below(tags)

    def _below(self, tags: Tags) -> Iterator[Tags]:
        """Their own chain leads nowhere that a reader goes."""
        waiting = [tags]
        while waiting:
            places = waiting.pop().get(BELOW, _NONE)
            check_frames(len(self.seen) + places.size)
            for place in places.tolist():
                found, _ = self._page(place)
                yield found
                waiting.append(found)

    def _page(self, offset: int) -> tuple[Tags, int]:
        """The tags of a page that say how its pixels are read, and the place of the next page."""
        if offset in self.seen:
            raise ValueError("got pages that form a loop, or one that is named twice")
        self.seen.add(offset)
        check_frames(len(self.seen))
        (count,) = self.source.unpack(self.layout.order + ("Q" if self.layout.big else "H"), offset)
        if count > MOST_TAGS:
            raise ValueError(f"got a page of {count} tags, expected {MOST_TAGS} at most")
        start, size = offset + (8 if self.layout.big else 2), 20 if self.layout.big else 12
        tags: Tags = {}
        codes: set[int] = set()
        for place in range(start, start + count * size, size):
            code, values = self._tag(place)
            if code in codes:
                raise ValueError(f"got tag {code} of a page twice: which one holds is not known")
            codes.add(code)
            if values is not None:
                tags[code] = values
        (following,) = self.source.unpack(self.layout.word, start + count * size)
        return tags, following

    def _tag(self, place: int) -> tuple[int, Numbers | None]:
        order, size = self.layout.order, self.source.size
        code, kind, count = self.source.unpack(order + ("HHQ" if self.layout.big else "HHI"), place)
        length = count * SIZES.get(kind, 1)
        place += 12 if self.layout.big else 8
        if length > self.layout.word_size:
            (place,) = self.source.unpack(self.layout.word, place)
            self.values += length
        if place + length > size:
            raise ValueError(
                f"got a file of {size} bytes, expected {length} for tag {code} at byte {place}"
            )
        if self.values > 2 * size + FREE_VALUES:
            raise ValueError(
                "got pages whose tags share their values, and are larger than the file"
            )
        if code not in DECISIVE:
            return code, None
        if kind not in NUMBERS:
            raise ValueError(f"got tag {code} of type {kind}, expected unsigned integers")
        if count != 1 and (code in SINGLE or not count):
            raise ValueError(f"got {count} values of tag {code}, expected one")
        return code, np.frombuffer(self.source.read(place, length), order + NUMBERS[kind])


def _check_page(source: Source, declared: Declared, tags: Tags) -> None:
    codec = _first(tags, COMPRESSION, UNCOMPRESSED)
    check_codec(codec)
    predictor, order = _first(tags, PREDICTOR, 1), _first(tags, FILL_ORDER, 1)
    if predictor not in PREDICTORS or order not in ORDERS:
        raise ValueError(f"got predictor {predictor} and fill order {order}, which is not accepted")
    if predictor == FLOATS and _first(tags, SAMPLE_FORMAT, 1) != FLOATS:
        raise ValueError("got a predictor for floats, and pixels that are none")
    bits = max((int(value) for value in tags.get(BITS, ())), default=1)
    shape = [_first(tags, tag, default) for tag, default in _SHAPE]
    pixels = prod(shape)
    packed = codec == UNCOMPRESSED and bits % 8 != 0  # bits that become bytes
    decoded = pixels * -(-bits // 8)
    declared.add(
        pixels,
        decoded,
        stored=codec == UNCOMPRESSED and not packed,
        shape=(shape[1], shape[0]),
        count=prod(shape[2:]),
    )
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
    if STRIP_OFFSETS in tags and TILE_OFFSETS in tags:
        raise ValueError("got a page in strips and in tiles: which of them hold is not known")
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
