"""SER and EMI: offsets out of the file, elements that are counted twice, XML that explodes."""

import struct
from collections.abc import Iterator

from tests.hostile.cases import SHAPE, Canary, Case, Valid, image

ROWS, COLUMNS = SHAPE
SPECTRA, IMAGES, TIME, PLACE = 0x4120, 0x4122, 0x4152, 0x4142
UINT16 = 2


def ser(
    *,
    kind: int = IMAGES,
    version: int = 0x210,
    total: int = 1,
    valid_: int = 1,
    dimensions: int = 1,
    size: int = 1,
    description: int = 6,
    pixels: int = UINT16,
    columns: int = COLUMNS,
    rows: int = ROWS,
    offset: int | None = None,
    table: int | None = None,
    data: bytes | None = None,
) -> bytes:
    """A series of one element; what is stated need not be true."""
    dimension = struct.pack("<IddIi6si6s", size, 0, 1, 0, description, b"Number", 6, b"meters")
    head = 34 if version > 0x210 else 30
    word = "<Q" if version > 0x210 else "<I"
    place = head + len(dimension)
    start = place + 2 * struct.calcsize(word)
    header = struct.pack("<HHHIIII", 0x4949, 0x197, version, kind, TIME, total, valid_)
    header += struct.pack(word, place if table is None else table) + struct.pack("<I", dimensions)
    body = image().tobytes() if data is None else data
    element = struct.pack("<ddIddIHII", 0, 1e-9, 0, 0, 1e-9, 0, pixels, columns, rows) + body
    offsets = struct.pack(word, start if offset is None else offset)
    offsets += struct.pack(word, start + len(element))
    return header + dimension + offsets + element + struct.pack("<HHI", TIME, 0, 1300000000)


def valid() -> Valid:
    """One image of 16 bits."""
    return Valid("ser", ser(), [2, 4, 6, 10, 14, 18, 22, 26, 30, 54, 64, 70, 74, 78, 118, 128, 600])


def shared(count: int) -> bytes:
    """A series whose elements are all the same bytes."""
    content = bytearray(ser(total=count, valid_=count, size=count))
    table = len(content)
    struct.pack_into("<I", content, 22, table)
    (first,) = struct.unpack_from("<I", ser(), 70)
    return bytes(content) + struct.pack(f"<{count}I", *[first] * count)


def cases() -> Iterator[Case]:
    """SER; everything but truncation and mutation."""
    big = 2**32 - 1
    yield Case("ser-header-alone", ser()[:30], "no elements")
    yield Case("ser-offset-outside", ser(offset=10**8), "an element beyond the end")
    yield Case("ser-offset-last-byte", ser(offset=1100), "an element over the end")
    yield Case("ser-table-outside", ser(table=10**8), "the table of offsets beyond the end")
    yield Case("ser-2**32-elements", ser(total=big, valid_=big), "2**32 elements")
    yield Case("ser-more-valid", ser(total=1, valid_=9), "more valid elements than there are")
    yield Case("ser-none-valid", ser(valid_=0), "no valid element")
    yield Case("ser-2**32-dimensions", ser(dimensions=big), "2**32 dimensions")
    yield Case("ser-9-dimensions", ser(dimensions=9), "9 dimensions")
    yield Case("ser-description-2**31", ser(description=2**31 - 1), "a text beyond the end")
    yield Case("ser-2**64-pixels", ser(columns=big, rows=big), "2**64 pixels")
    yield Case("ser-one-row-more", ser(rows=ROWS + 1), "one row more than there is")
    yield Case("ser-no-rows", ser(rows=0), "no row")
    yield Case("ser-pixels-of-kind-0", ser(pixels=0), "pixels of kind 0")
    yield Case("ser-pixels-of-kind-99", ser(pixels=99), "pixels of kind 99")
    yield Case("ser-complex", ser(pixels=9, rows=6), "complex numbers")
    yield Case("ser-nan", ser(pixels=7, rows=12, data=b"\xff" * 960), "all NaN")
    yield Case("ser-kind-0", ser(kind=0), "a series of nothing")
    yield Case("ser-spectra", ser(kind=SPECTRA), "spectra")
    yield Case("ser-shared-100000", shared(100_000), "100000 elements that are one")
    yield Case("ser-shared-2000", shared(2_000), "2000 elements that are one")
    yield from _unequal()
    yield Case("ser-big-offset", ser(version=0x220, offset=2**63), "an element at 2**63")


def _unequal() -> Iterator[Case]:
    """Series of two elements, the second of another size."""
    first = bytearray(ser(total=2, valid_=2, size=2))
    (start,) = struct.unpack_from("<I", first, 70)
    table = len(first)
    struct.pack_into("<I", first, 22, table)
    for name, rows, columns in (
        ("wide", 1, 2**20),
        ("empty", 0, 0),
        ("2**64", 2**32 - 1, 2**32 - 1),
    ):
        second = struct.pack("<ddIddIHII", 0, 1e-9, 0, 0, 1e-9, 0, UINT16, columns, rows)
        content = bytes(first) + struct.pack("<2I", start, table + 8) + second
        yield Case(f"ser-unequal-{name}", content, "a second element that is not there",
                   has_image=name == "empty")  # fmt: skip


def emi(xml: str) -> bytes:
    """A file as TIA writes it: XML between bytes that nobody reads."""
    return b"JK\0\2" + bytes(40) + f"<ObjectInfo>{xml}</ObjectInfo>".encode() + bytes(40)


def lone_emis(canary: Canary) -> Iterator[Case]:
    """EMI without the SER it belongs to."""
    yield Case("emi-alone", emi("<Uuid>0</Uuid>"), "no SER beside it")
    yield Case("emi-named-file", emi(f"<File>{canary.raw}</File>"), "the name of another file")
    yield Case("emi-no-xml", b"JK\0\2" + bytes(400), "no XML")
    yield Case("emi-open", b"JK\0\2<ObjectInfo><a>", "XML that is not closed")


def emis(canary: Canary) -> Iterator[Case]:
    """EMI that is sent with a valid SER."""
    laughs = "&lt;!DOCTYPE r [&lt;!ENTITY a '" + "ha" * 100 + "'&gt;"
    for level in range(12):
        names = f"&amp;{chr(97 + level)};" * 10
        laughs += f"&lt;!ENTITY {chr(98 + level)} '{names}'&gt;"
    laughs += "]&gt;&lt;r&gt;&amp;m;&lt;/r&gt;"
    header = f"<TrueImageHeaderInfo>{laughs}</TrueImageHeaderInfo>"
    yield Case("emi-laughs", emi(header), "entities of entities, 10**12 in all")
    reference = f"&lt;!DOCTYPE r [&lt;!ENTITY x SYSTEM 'file://{canary.raw}'&gt;]&gt;&lt;r&gt;&amp;x;&lt;/r&gt;"
    header = f"<TrueImageHeaderInfo>{reference}</TrueImageHeaderInfo>"
    yield Case("emi-external-entity", emi(header), "an entity that is another file")
    yield Case("emi-nested", emi("<a>" * 50_000 + "</a>" * 50_000), "XML nested 50000 deep",
               has_image=True)  # fmt: skip
    yield Case("emi-broken", emi("<a></b>"), "XML that is not well-formed", has_image=True)
    yield Case("emi-ampersand", emi("<a>Pt & Au \x01</a>"), "a stray ampersand", has_image=True)
    latin = emi("<a>?</a>").replace(b"?", b"\xc9")
    yield Case("emi-latin-1", latin, "a byte of Latin-1", has_image=True)
    yield Case("emi-laughs-latin-1", emi(header).replace(b"ha", b"\xc9a"), "the same in Latin-1")
    begun = b"JK\0\2" + b"<ObjectInfo>" * 90_000
    yield Case("emi-90000-begun", begun, "XML begun 90000 times", has_image=True)
    begun += b"</ObjectInfo>"
    yield Case("emi-90000-begun-once-ended", begun, "XML that is not closed", has_image=True)
    for name, xml in (
        ("elements", "<a>1</a>" * 100_000),
        ("names", "".join(f"<a{n}>1</a{n}>" for n in range(50_000))),
        ("deep", "<a>" * 60 + "".join(f"<b{n}><c/></b{n}>" for n in range(40_000)) + "</a>" * 60),
    ):
        yield Case(f"emi-work-{name}", emi(xml), "metadata without end", has_image=True)
    hidden = header.replace("!DOCTYPE", "&#33;DOCTYPE").replace("!ENTITY", "&#33;ENTITY")
    yield Case("emi-hidden-entity", emi(hidden), "the same, hidden", has_image=True)
