"""SER and EMI of TIA: offsets of the elements, and XML between binary parts."""

from math import prod

import numpy as np

from worker.decoding.admission.declared import Declared, check_frames
from worker.decoding.admission.source import Source

SPECTRA, IMAGES = 0x4120, 0x4122  # what a series holds
SIZES = {1: 1, 2: 2, 3: 4, 4: 1, 5: 2, 6: 4, 7: 4, 8: 8, 9: 8, 10: 16}  # of a pixel, by type
LATER = 0x210  # after this version, offsets have 8 bytes
MOST_DIMENSIONS = 8
ENTITIES = (b"!DOCTYPE", b"!ENTITY")


def check_ser(source: Source, declared: Declared) -> None:
    """Hold every element against the file's end.

    Raises
    ------
    FormatError, ValueError
    """
    version, kind, _, total, valid = source.unpack("<H4I", 4)
    word, size = ("I", 4) if version <= LATER else ("Q", 8)
    table, dimensions = source.unpack(f"<{word}I", 22)
    if kind not in (SPECTRA, IMAGES) or dimensions > MOST_DIMENSIONS:
        raise ValueError(f"got a series of kind {kind:#x} in {dimensions} dimensions")
    if valid > total:
        raise ValueError(f"got {valid} elements of {total}")
    check_frames(valid)
    _check_dimensions(source, 26 + size, dimensions)
    offsets = np.frombuffer(source.read(table, valid * size), f"<u{size}")
    for offset in offsets.tolist():
        _check_element(source, declared, offset, images=kind == IMAGES)


def _check_dimensions(source: Source, place: int, count: int) -> None:
    """Each has two texts, whose lengths are stated."""
    for _ in range(count):
        for before in (24, 0):
            (length,) = source.unpack("<I", place + before)
            place += before + 4 + length
            source.read(place, 0)


def _check_element(source: Source, declared: Declared, offset: int, *, images: bool) -> None:
    if images:
        kind, *shape = source.unpack("<HII", offset + 40)
    else:
        kind, *shape = source.unpack("<HI", offset + 20)
    if kind not in SIZES:
        raise ValueError(
            f"got an element of type {kind}, expected one of {', '.join(map(str, SIZES))}"
        )
    pixels = prod(shape)
    source.read(offset + (50 if images else 26) + pixels * SIZES[kind], 0)  # they are all there
    image = (shape[1], shape[0]) if images else None
    declared.add(pixels, pixels * SIZES[kind], stored=True, shape=image)


def check_emi(source: Source, declared: Declared) -> None:
    """Refuse XML that defines entities; everything else in it is text.

    Raises
    ------
    FormatError, ValueError
    """
    content = source.read(0, source.size)
    if any(entity in content for entity in ENTITIES):
        raise ValueError("got XML that defines a document type, expected none")
    declared.add(0, source.size, stored=True)
