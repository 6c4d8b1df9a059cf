"""Small files that ask for much work: counts of nothing, shared tables, units to evaluate."""

import json
import struct
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import numpy as np

from tests.hostile import dms, hdf5s, pngs, tiffs
from tests.hostile.cases import SHAPE, Case, image
from tests.hostile.dms import ARRAY, STRING, STRUCT, Raw, Writer
from tests.hostile.tiffs import LONG, gray, page

BOOLEAN, USHORT = 8, 4  # of DM
TOWERS = ("9**9**9**9 nm", "2**2**2**2**2**2 m", "(" * 5000 + "m" + ")" * 5000, "a" * 50_000)


def cases() -> Iterator[Case]:
    """All of them; some also hold an image, which may be read."""
    yield from _dms()
    yield from _tiffs()
    yield from _omes()
    yield from _pngs()
    yield from _hdf5s()
    yield from _veloxes()


def _dms() -> Iterator[Case]:
    count = 800_000
    for version in (3, 4):

        def odd(raw: Raw, version: int = version) -> bytes:
            return Writer(version).file({"odd": raw, **dms.tree()})

        for name, raw, why in (
            ("empty-structures", Raw((ARRAY, STRUCT, 0, 0, 2**31 - 1), b""), "of no fields"),
            ("empty-strings", Raw((ARRAY, STRING, 0, 2**31 - 1), b""), "of no characters"),
            ("empty-arrays", Raw((ARRAY, ARRAY, USHORT, 0, 2**31 - 1), b""), "of no values"),
            ("structures", Raw((ARRAY, STRUCT, 0, 1, 0, BOOLEAN, count), bytes(count)), "of one"),
            ("string", Raw((STRING, count), b"a" * count), "a string that is read by characters"),
        ):
            yield Case(f"dm{version}-work-{name}", odd(raw), f"2**31 or many, {why}")
        many = {f"#{n}": Raw((ARRAY, BOOLEAN, 8), bytes(8)) for n in range(40_000)}
        content = Writer(version).file({**dms.tree(), "many": many})[: 10**6]
        yield Case(f"dm{version}-work-tags", content, "40000 arrays, cut short")
    # A reader takes the length for a negative number, and the name for the tags of a group.
    writer, length = Writer(), 2**16 - 8
    endless = writer.group({"odd": Raw((ARRAY, STRUCT, 0, 0, 2**31 - 1), b"")})
    hidden = struct.pack(">BH", dms.GROUP, length) + endless.ljust(length, b"\0")
    content = writer.file(dms.tree(), tags=2)
    yield Case(
        "dm3-work-long-name",
        content[:18] + hidden + writer.group({}) + content[18:],
        "a name of a length that is negative for some",
    )


def _tiffs() -> Iterator[Case]:
    pixels = image().tobytes()
    below = tiffs.directory(gray())
    for count in (2, 5_000, 240_000):
        table = struct.pack(f"<{count}I", *[8 + len(pixels)] * count)
        extra = [(330, LONG, count, 8 + len(pixels) + len(below))]
        content = page(gray(), data=pixels + below + table, extra=extra)
        yield Case(f"tiff-work-{count}-below", content, "one page below another, many times")
    one = page(gray(), data=pixels, extra=[(330, LONG, 1, 8 + len(pixels))])
    yield Case("tiff-work-below-itself", one, "a page below itself")
    many = 100_000
    table = struct.pack(f"<{many}I", *[8] * many)
    yield Case("tiff-work-shared-table", _sharing(3_000, table), "pages that share a large table")
    text = b"[Scan]\n" + b"a=b\n" * 50_000
    yield Case("tiff-work-shared-text", _sharing(3_000, text, 34680), "pages that share a text")
    for name, text in (("ini", b"[a]\r\n" + b"b=1\r\n" * 150_000), ("xml", b"<a/>" * 200_000)):
        for code in (34118, 34680, 34682, 33560, 37706):
            yield Case(f"tiff-work-{code}-{name}", tiffs.tagged(code, text), "much to parse",
                       has_image=True)  # fmt: skip


def _sharing(count: int, table: bytes, code: int = 273) -> bytes:
    """A chain of pages, one tag of which is the same for all of them."""
    tags = gray(t259=8)
    kind, size = (LONG, 4) if code == 273 else (2, 1)
    entries = [(c, LONG, 1, v) for c, v in tags.items() if c != code]
    entries = sorted([*entries, (code, kind, len(table) // size, 8)])
    body = struct.pack("<H", len(entries))
    body += b"".join(struct.pack("<HHII", *entry) for entry in entries)
    first = 8 + len(table)
    places = [first + (len(body) + 4) * n for n in range(1, count)] + [0]
    return (
        struct.pack("<2sHI", b"II", 42, first)
        + table
        + b"".join(body + struct.pack("<I", place) for place in places)
    )


OME = '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'


def _omes() -> Iterator[Case]:
    pixels = '<Pixels Type="uint16" DimensionOrder="XYZCT" SizeX="20" SizeY="24" SizeC="1" '

    def ome(inside: str, sizes: str = 'SizeZ="1" SizeT="1"') -> bytes:
        image_ = f'<Image ID="Image:0">{pixels}{sizes}>{inside}</Pixels></Image>'
        return tiffs.described(f'<?xml version="1.0"?>{OME}{image_}</OME>')

    def several(count: int) -> bytes:
        image_ = f'<Image>{pixels} SizeZ="1" SizeT="1"><TiffData IFD="0"/></Pixels></Image>'
        return tiffs.described(f'<?xml version="1.0"?>{OME}{image_ * count}</OME>')

    deep = f'<?xml version="1.0"?>{OME}' + "<Image>" * 60_000 + "</Image>" * 60_000 + "</OME>"
    yield Case("ome-work-deep", tiffs.described(deep), "images in images", has_image=True)
    for name in ("TiffData", "Channel", "Plane"):
        yield Case(f"ome-work-{name}", ome(f"<{name}/>" * 70_000), "many", has_image=True)
    yield Case("ome-work-images", several(6_000), "6000 images of one page")
    yield Case("ome-work-planes", ome("<TiffData/>", 'SizeZ="20000000" SizeT="1"'), "20 M planes")
    doctype = "<!DOCTYPE OME [<!ENTITY a '" + "a" * 100_000 + "'>]>"
    quadratic = f'<?xml version="1.0"?>{doctype}{OME}' + "&a;" * 100_000 + "</OME>"
    yield Case("ome-work-entities", tiffs.described(quadratic), "10 GB of text", has_image=True)


def _pngs() -> Iterator[Case]:
    first = pngs.header(*reversed(SHAPE))
    for kind in (b"IDAT", b"prVt", b"tEXt"):
        chunks = [pngs.chunk(kind)] * 80_000
        yield Case(f"png-work-{kind.decode()}", pngs.png(first, *chunks, pngs.pixels()),
                   "80000 chunks of nothing", has_image=True)  # fmt: skip
    many = [pngs.chunk(b"IDAT")] * 140_000
    yield Case("png-work-140000", pngs.png(first, *many, pngs.pixels()), "140000 chunks")


def _hdf5s() -> Iterator[Case]:
    for name, place in hdf5s.PLACES.items():
        for kind, spoil in SPOILT.items():

            def write(file: h5py.File, place: hdf5s.Place = place, spoil: Any = spoil) -> None:
                group = place(file)
                group["data"] = image()
                spoil(group)

            content = hdf5s.hdf5(write, libver="latest")
            yield Case(f"{name}-work-{kind}", content, "metadata without end", has_image=True)
        tiny = hdf5s.hdf5(
            lambda file, place=place: place(file).create_dataset(
                "data", (4096, 4096), "u1", chunks=(1, 1)
            )
        )
        yield Case(f"{name}-work-chunks", tiny, "16 M chunks that were never written")


def _towers(group: h5py.Group) -> None:
    for each in group.values():
        each.attrs["units"] = TOWERS[0]


def _attributes(group: h5py.Group) -> None:
    inner = group.require_group("original_metadata")
    for number in range(12_000):
        inner.attrs[f"a{number}"] = number


def _groups(group: h5py.Group) -> None:
    inner = group.require_group("original_metadata")
    for number in range(5_000):
        inner.create_group(f"_list_1_{number}")


def _large_list(group: h5py.Group) -> None:
    zeros = np.zeros(60 * 2**20, np.uint8)
    group.require_group("original_metadata").create_dataset(
        "_list_all", data=zeros, compression="gzip", chunks=(2**16,)
    )


def _large_text(group: h5py.Group) -> None:
    inner = group.require_group("original_metadata")
    inner.attrs.create("text", ["a" * 200] * 3_000, dtype=h5py.string_dtype())
    inner.attrs["_datetime_date"] = "(" + "-" * 60_000 + "1)"


def _odd_axes(group: h5py.Group) -> None:
    for name, axis in group.items():
        if name.startswith(("axis", "dim")):
            for key in ("navigate", "units", "name", "scale", "offset"):
                axis.attrs[key] = np.zeros((3, 3))


SPOILT: dict[str, Callable[[h5py.Group], None]] = {
    "units": _towers,
    "attributes": _attributes,
    "groups": _groups,
    "list": _large_list,
    "text": _large_text,
    "axes": _odd_axes,
}


def _veloxes() -> Iterator[Case]:
    for number, tower in enumerate(TOWERS):
        yield Case(f"velox-work-units-{number}", velox(told(tower)), "a unit that is a program",
                   has_image=True)  # fmt: skip
    yield Case("velox-work-chunks", velox(told("m"), shape=(4096, 4096)), "16 M chunks")
    yield Case("velox-work-images", velox(told("m"), count=200, chunks=(*SHAPE, 1)), "200 images")
    nodes = {f"k{number}": {"a": 1} for number in range(100_000)}
    yield Case("velox-work-nodes", velox(told("m", nodes=nodes), chunks=(*SHAPE, 1)),
               "metadata of 100000 nodes", has_image=True)  # fmt: skip


def told(unit: str, **other: Any) -> bytes:
    """What Velox says of an image."""
    sides, place = {"width": "1e-10", "height": "1e-10"}, {"x": "0", "y": "0"}
    result = {"PixelSize": sides, "Offset": place, "PixelUnitX": unit, "PixelUnitY": unit}
    stated = {
        "BinaryResult": result | {"DetectorIndex": "0"},
        "Detectors": {"Detector-0": {"DetectorName": "HAADF"}},
        "Acquisition": {"AcquisitionStartDatetime": {"DateTime": "1"}},
        "Scan": {"FrameTime": "1"},
    }
    return json.dumps(stated | other).encode()


def velox(
    json_: bytes,
    *,
    shape: tuple[int, int] = SHAPE,
    chunks: tuple[int, int, int] = (1, 1, 1),
    count: int = 1,
) -> bytes:
    """Images of zeros that were never written, with their metadata."""

    def write(file: h5py.File) -> None:
        file.create_dataset("Version", data=[b'{"format": "Velox", "version": "11"}'])
        for number in range(count):
            group = file.create_group(f"Data/Image/{number:032x}")
            group.create_dataset("Data", (*shape, 1), "u2", chunks=chunks)
            text = np.frombuffer(json_.ljust(60_000, b"\0"), np.uint8)[:, np.newaxis]
            group.create_dataset("Metadata", data=text, compression="gzip")

    return hdf5s.hdf5(write)
