"""DM3 and DM4: trees without end, lengths that lie, images that their tags do not describe."""

import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tests.hostile.cases import SHAPE, Case, Valid, image

ROWS, COLUMNS = SHAPE
GROUP, DATA = 20, 21
LONG, ULONG, FLOAT, USHORT = 3, 5, 6, 4
STRUCT, STRING, ARRAY = 15, 18, 20
UINT16 = 10  # DigitalMicrograph's data type


class Raw(NamedTuple):
    """A value with a description of its own making."""

    description: tuple[int, ...]
    data: bytes
    delimiter: bytes = b"%%%%"


Tree = Mapping[str, "Tree | Raw"]


class Writer:
    """Writes a tree of tags; names that begin with `#` are left out."""

    def __init__(self, version: int = 3) -> None:
        self._version = version
        self._word = "i" if version == 3 else "q"

    def file(self, tree: Tree, *, tags: int | None = None) -> bytes:
        body = self.group(tree, tags=tags)
        return struct.pack(f">i{self._word}i", self._version, len(body), 1) + body + bytes(8)

    def group(self, tree: Tree, *, tags: int | None = None) -> bytes:
        content = b"".join(self.tag(name, value) for name, value in tree.items())
        return b"\1\0" + self.words(len(tree) if tags is None else tags) + content

    def tag(self, name: str, value: "Tree | Raw") -> bytes:
        label = b"" if name.startswith("#") else name.encode()
        kind = DATA if isinstance(value, Raw) else GROUP
        content = self._data(value) if isinstance(value, Raw) else self.group(value)
        length = struct.pack(">q", len(content)) if self._version == 4 else b""
        return struct.pack(">BH", kind, len(label)) + label + length + content

    def _data(self, value: Raw) -> bytes:
        words = self.words(len(value.description), *value.description)
        return value.delimiter + words + value.data

    def words(self, *values: int) -> bytes:
        limit = 31 if self._version == 3 else 63
        fitting = [min(value, 2**limit - 1) for value in values]
        return struct.pack(f">{len(values)}{self._word}", *fitting)


def number(value: int) -> Raw:
    """A 32-bit number."""
    return Raw((ULONG,), struct.pack("<I", value % 2**32))


def real(value: float) -> Raw:
    """A 32-bit float."""
    return Raw((FLOAT,), struct.pack("<f", value))


def text(value: str) -> Raw:
    """An array of 16-bit characters."""
    return Raw((ARRAY, USHORT, len(value)), value.encode("utf-16-le"))


def tree(**changes: "Tree | Raw") -> dict[str, "Tree | Raw"]:
    """The tags of one image; what is stated replaces a tag of `ImageData`."""
    axis = {"Origin": real(0), "Scale": real(0.1), "Units": text("nm")}
    pixels = Raw((ARRAY, USHORT, ROWS * COLUMNS), image().tobytes())
    data: dict[str, Tree | Raw] = {
        "Calibrations": {"Brightness": dict(axis), "Dimension": {"#0": axis, "#1": axis}},
        "Data": pixels,
        "DataType": number(UINT16),
        "Dimensions": {"#0": number(COLUMNS), "#1": number(ROWS)},
        "PixelDepth": number(2),
    }
    picture: Tree = {"ImageData": data | changes, "ImageTags": {}, "Name": text("image")}
    return {"ImageList": {"#0": picture}}


def valid(version: int) -> Valid:
    """An image of 16 bits; a boundary wherever a description begins."""
    content = Writer(version).file(tree())
    places, place = [4, 8, 12, 16, 24], content.find(b"%%%%")
    while place != -1:
        places += [place, place + 4, place + 8, place + 12]
        place = content.find(b"%%%%", place + 1)
    return Valid(f"dm{version}", content, places)


def cases() -> Iterator[Case]:
    """Everything but truncation and mutation, in both versions."""
    for version in (3, 4):
        writer = Writer(version)
        for case in (*_trees(writer), *_values(writer), *_images(writer)):
            yield Case(f"dm{version}-{case.name}", case.content, case.why)
    header = struct.pack(">iii", 5, 100, 1)
    yield Case("dm5", header + Writer().file(tree())[12:], "version 5")


def _trees(writer: Writer) -> Iterator[Case]:
    content = writer.file(tree())
    yield Case("header-alone", content[:16], "no tags")
    yield Case("2**31-tags", writer.file(tree(), tags=2**63), "more tags than bytes")
    yield Case("negative-tags", writer.file(tree(), tags=-5), "a negative number of tags")
    deep: Tree = {}
    for _ in range(200):
        deep = {"#": deep}
    yield Case("200-deep", writer.file(tree() | {"deep": deep}), "groups nested 200 deep")
    half = writer.group({}, tags=1)[: -0 or None]
    endless = struct.pack(">BH", GROUP, 0) + (bytes(8) if writer.words(0) == bytes(8) else b"")
    nested = (endless + half) * 60_000
    start = writer.file({})[: -8 - len(writer.group({}))] + half + nested
    yield Case("60000-deep", start, "groups nested 60000 deep, not one closed")
    many = {f"#{n}": number(n) for n in range(105_000)} if writer.words(0) == bytes(4) else {}
    if many:
        yield Case("105000-tags", writer.file(tree() | {"many": many}), "105000 tags")
    wrong = content.replace(struct.pack(">BH", GROUP, 9), struct.pack(">BH", 99, 9))
    yield Case("tag-of-kind-99", wrong, "a tag of no known kind")
    yield Case("no-image", writer.file({"Other": number(1)}), "no image")
    yield Case("empty-list", writer.file({"ImageList": {}}), "an empty list of images")
    thumbnails = tree() | {"Thumbnails": {"#0": {"ImageIndex": number(0)}}}
    yield Case("thumbnail-alone", writer.file(thumbnails), "a thumbnail and no image")


def _values(writer: Writer) -> Iterator[Case]:
    def other(raw: Raw) -> bytes:
        return writer.file({"odd": raw, **tree()})

    few = bytes(16)
    yield Case("array-2**31", other(Raw((ARRAY, USHORT, 2**62), few)), "an array beyond the end")
    yield Case("array-negative", other(Raw((ARRAY, USHORT, -8), few)), "a negative array")
    yield Case("array-of-nothing", other(Raw((ARRAY, 99, 4), few)), "an array of no known kind")
    yield Case("string-2**31", other(Raw((STRING, 2**62), few)), "a string beyond the end")
    yield Case("string-negative", other(Raw((STRING, -1), few)), "a negative string")
    record = (STRUCT, 0, 2, 0, LONG, 0, LONG)
    yield Case("record-2**31", other(Raw((STRUCT, 0, 2**62), few)), "a record of 2**31 fields")
    yield Case("record-short", other(Raw((STRUCT, 0, 3, 0, LONG), few)), "fields left out")
    yield Case("record-odd", other(Raw((STRUCT, 0, 1, 0, 77), few)), "a field of no known kind")
    records = Raw((ARRAY, *record, 2**62), few)
    yield Case("records-2**31", other(records), "records beyond the end")
    arrays = Raw((ARRAY, ARRAY, USHORT, 2**31, 2**31), few)
    yield Case("arrays-2**62", other(arrays), "arrays of arrays beyond the end")
    yield Case("no-description", other(Raw((), few)), "a description of no numbers")
    yield Case("kind-0", other(Raw((0,), few)), "a value of kind 0")
    yield Case("kind-99", other(Raw((99,), few)), "a value of kind 99")
    yield Case("delimiter", other(Raw((ULONG,), few, b"$$$$")), "another delimiter")
    long = (STRUCT, 0, 40_000, *([0, LONG] * 40_000))
    yield Case("40000-fields", other(Raw(long, bytes(160_000))), "a record of 40000 fields")


def _images(writer: Writer) -> Iterator[Case]:
    def sized(columns: int, rows: int) -> bytes:
        return writer.file(tree(Dimensions={"#0": number(columns), "#1": number(rows)}))

    yield Case("larger-than-data", sized(COLUMNS, ROWS + 1), "one row more than there is")
    yield Case("2**62-pixels", sized(2**31, 2**31), "2**62 pixels")
    yield Case("wrapped-pixels", sized(2**16, 2**16), "2**32 pixels, 0 when wrapped")
    yield Case("no-rows", sized(COLUMNS, 0), "no row")
    dimensions = {f"#{n}": number(2**15) for n in range(12)}
    yield Case("12-dimensions", writer.file(tree(Dimensions=dimensions)), "12 dimensions")
    yield Case("no-dimensions", writer.file(tree(Dimensions={})), "no dimensions")
    for kind, why in ((0, "no kind"), (3, "complex"), (8, "colours"), (13, "complex"), (99, "99")):
        yield Case(f"pixels-of-kind-{kind}", writer.file(tree(DataType=number(kind))), why)
    yield Case("no-pixels", writer.file(tree(Data=Raw((ARRAY, USHORT, 0), b""))), "no pixels")
    yield Case("pixels-are-a-number", writer.file(tree(Data=number(7))), "a number for an image")
    yield Case("pixels-are-a-group", writer.file(tree(Data={"#0": number(7)})), "tags for pixels")
    for side in (-1, 0, -ROWS):
        rows = Raw((LONG,), struct.pack("<i", side))
        content = writer.file(tree(Dimensions={"#0": number(COLUMNS), "#1": rows}))
        yield Case(f"rows-{side}", content, "rows that are to be guessed")
    bytes_ = writer.file(tree(DataType=number(6)))
    yield Case("values-of-another-size", bytes_, "8 bits a pixel, of values of 16")
    nan = Raw((ARRAY, FLOAT, ROWS * COLUMNS), b"\xff" * 4 * ROWS * COLUMNS)
    yield Case("nan", writer.file(tree(Data=nan, DataType=number(2))), "all NaN")
