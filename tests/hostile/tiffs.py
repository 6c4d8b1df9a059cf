"""TIFF: pages that never end, pixels that are not there, bombs, and names of other files."""

import io
import lzma
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tifffile

from tests.hostile.cases import Canary, Case, Valid, image

SHORT, LONG, ASCII, RATIONAL = 3, 4, 2, 5
Tag = tuple[int, int, int, int]  # code, type, count, value or place
GRAY = {262: 1, 277: 1}
BOMB = 72 * 2**20  # bytes that a bomb decodes to


def valid() -> Valid:
    """A deflated image with ImageJ's metadata."""
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer, image(), imagej=True, resolution=(50, 50), metadata={"unit": "nm", "axes": "YX"}
    )
    content = buffer.getvalue()
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    entries = [start + 2 + 12 * n for n in range(count + 1)]
    values = [struct.unpack_from("<I", content, entry + 8)[0] for entry in entries[:-1]]
    inside = [value for value in values if 8 < value < len(content)]
    return Valid("tiff", content, [2, 4, 8, start, *entries, *inside, len(content) - 4])


def deflated() -> Valid:
    """The same, in deflated tiles."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image(), compression="zlib", tile=(16, 16), predictor=True)
    return Valid("tiff-tiles", buffer.getvalue(), [8, 64, 128, 192, 256, 320])


def page(tags: Mapping[int, int], *, data: bytes = b"", extra: Sequence[Tag] = ()) -> bytes:
    """A little-endian TIFF of one page, whose pixels begin at byte 8."""
    start = 8 + len(data)
    entries = [(code, LONG, 1, value) for code, value in tags.items()]
    entries = sorted([*entries, *extra])
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return (
        struct.pack("<2sHI", b"II", 42, start)
        + data
        + struct.pack("<H", len(entries))
        + directory
        + bytes(4)
    )


def directory(tags: Mapping[int, int]) -> bytes:
    """A page that is the last one, of these tags."""
    entries = b"".join(struct.pack("<HHII", code, LONG, 1, v) for code, v in sorted(tags.items()))
    return struct.pack("<H", len(tags)) + entries + bytes(4)


def gray(width: int = 20, length: int = 24, **changes: int) -> dict[int, int]:
    """The tags of an image of 16 bits whose pixels follow the header."""
    tags = {256: width, 257: length, 258: 16, 259: 1, 273: 8, 278: length}
    tags |= GRAY | {279: 2 * width * length % 2**32}
    return tags | {int(code[1:]): value for code, value in changes.items()}


def chain(pages: int, *, back: int | None = None, **changes: int) -> bytes:
    """Many pages that share the same pixels; the last one points back, if so told."""
    pixels = image().tobytes()
    head = struct.pack("<2sHI", b"II", 42, 8 + len(pixels)) + pixels
    tags = gray(**changes)
    size = 2 + 12 * len(tags) + 4
    directory = struct.pack("<H", len(tags))
    directory += b"".join(struct.pack("<HHII", c, LONG, 1, v) for c, v in sorted(tags.items()))
    places = [len(head) + size * n for n in range(pages)]
    following = [*places[1:], 0 if back is None else places[back]]
    return head + b"".join(directory + struct.pack("<I", place) for place in following)


def bomb(codec: int, data: bytes) -> bytes:
    """One strip of zeros, 72 MiB when decoded."""
    side = 2**14
    return page(gray(side, BOMB // side // 2, t259=codec, t279=len(data)), data=data)


def described(text: str) -> bytes:
    """A valid image that says something about itself."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image(), description=text.encode(), metadata=None)
    return buffer.getvalue()


def lzw_zeros(count: int) -> bytes:
    """LZW of so many zeros: the codes are just the growing runs."""
    bits = ["100000000"]
    run, code, width, done = 0, 258, 9, 0
    while done < count:
        if run == 0:
            bits.append(format(0, f"0{width}b"))
        else:
            bits.append(format(code, f"0{width}b"))
            code += 1
        run += 1
        done += run
        if code + 1 in (511, 1023, 2047):
            width += 1
        if code >= 4093:
            bits.append(format(256, f"0{width}b"))
            run, code, width = 0, 258, 9
    bits.append(format(257, f"0{width}b"))
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def cases(canary: Canary) -> Iterator[Case]:
    """Everything but truncation and mutation."""
    yield from _structures()
    yield from _sizes()
    yield from _segments()
    yield from _bombs()
    yield from _kinds()
    yield from _texts(canary)
    yield from _programs(canary)


def _structures() -> Iterator[Case]:
    good = page(gray(), data=image().tobytes())
    yield Case("tiff-magic-alone", b"II*\0", "ends after its first bytes")
    yield Case("tiff-no-page", struct.pack("<2sHI", b"II", 42, 0), "has no page")
    yield Case("tiff-page-outside", struct.pack("<2sHI", b"II", 42, 10**9), "page beyond the end")
    yield Case("tiff-page-in-header", struct.pack("<2sHI", b"II", 42, 4), "page in its header")
    yield Case("tiff-wrong-order", b"MM\0*" + good[4:], "byte order of another machine")
    yield Case("tiff-loop-of-one", chain(1, back=0), "page that follows itself")
    yield Case("tiff-loop-of-three", chain(3, back=0), "pages that follow one another")
    yield Case("tiff-loop-late", chain(300, back=150), "loop after many pages")
    yield Case("tiff-many-pages", chain(20_000), "20000 pages of the same pixels")
    yield Case("tiff-shared-pixels", chain(5_000), "pages that amplify one strip 5000 times")
    full = struct.pack("<2sHIH", b"II", 42, 8, 65535)
    yield Case("tiff-65535-tags", full, "tags beyond the end")
    tags = b"".join(struct.pack("<HHII", code, LONG, 1, 1) for code in range(65535))
    yield Case("tiff-65535-real-tags", full + tags + bytes(4), "65535 tags that are there")
    yield Case("tiff-big-page-outside", struct.pack("<2sHHHQ", b"II", 43, 8, 0, 2**62), "BigTIFF")
    counts = struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, 2**63)
    yield Case("tiff-big-2**63-tags", counts, "BigTIFF with 2**63 tags")
    entry = struct.pack("<HHQQ", 256, 16, 2**61, 16)
    big = struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, 1) + entry + bytes(8)
    yield Case("tiff-big-2**61-values", big, "BigTIFF tag with 2**61 values")


def _sizes() -> Iterator[Case]:
    pixels = image().tobytes()
    big = 2**31 - 1
    yield Case("tiff-74-GiB", page(gray(199_000, 200_000)), "222 bytes that claim 74 GiB")
    yield Case("tiff-2**62-pixels", page(gray(big, big), data=pixels), "2**62 pixels")
    yield Case("tiff-wide", page(gray(2**28 - 1, 1), data=pixels), "one row of 2**28 pixels")
    yield Case("tiff-no-width", page(gray(0), data=pixels), "no column")
    yield Case("tiff-no-length", page(gray(20, 0), data=pixels), "no row")
    yield Case("tiff-65535-samples", page(gray(t277=65535), data=pixels), "65535 samples")
    yield Case("tiff-deep", page(gray(t32997=10**6), data=pixels), "a million slices")
    yield Case("tiff-bits-0", page(gray(t258=0), data=pixels), "pixels of no bits")
    yield Case("tiff-bits-65535", page(gray(t258=65535), data=pixels), "pixels of 65535 bits")
    yield Case("tiff-bits-24", page(gray(t258=24), data=pixels), "pixels of 24 bits")
    tiles = gray(t322=2**30, t323=2**30, t324=8, t325=960)
    yield Case("tiff-tile-2**60", page(tiles, data=pixels), "a tile of 2**60 pixels")
    tiles |= {322: 2**14, 323: 2**14, 259: 8}
    yield Case("tiff-tile-large", page(tiles, data=pixels), "a tile of 2**28 for 480 pixels")
    tiles |= {322: 0, 323: 0}
    yield Case("tiff-tile-0", page(tiles, data=pixels), "tiles of no pixels")
    yield Case(
        "tiff-one-pixel-tiles", page(tiles | {256: 2**14, 257: 2**14, 322: 1, 323: 1}), "1x1"
    )


def _segments() -> Iterator[Case]:
    pixels = image().tobytes()
    yield Case("tiff-strip-outside", page(gray(t273=10**8), data=pixels), "pixels beyond the end")
    yield Case("tiff-strip-last-byte", page(gray(t273=1000), data=pixels), "pixels over the end")
    yield Case("tiff-strip-too-long", page(gray(t279=2**32 - 1), data=pixels), "strip of 4 GiB")
    deflate = zlib.compress(pixels)
    short = page(gray(t259=8, t279=len(deflate) - 9), data=deflate)
    yield Case("tiff-strip-too-short", short, "deflate data that end early")
    yield Case("tiff-strip-empty", page(gray(t259=8, t279=0), data=deflate), "strip of no bytes")
    missing = {code: value for code, value in gray().items() if code not in (273, 279)}
    yield Case("tiff-no-strips", page(missing, data=pixels), "no pixels")
    many = [(273, LONG, 2**32 - 1, 8)]
    yield Case("tiff-2**32-strips", page(missing, data=pixels, extra=many), "2**32 strips")
    few = page(gray(t278=1), data=pixels)
    yield Case("tiff-one-strip", few, "one strip where 24 are declared", has_image=True)
    row = zlib.compress(pixels[:40])
    few = page(gray(t259=8, t278=1, t279=len(row)), data=row)
    yield Case("tiff-one-strip-of-24", few, "one strip where there must be 24")
    overflow = [(270, RATIONAL, 2**29, 8)]
    yield Case(
        "tiff-count-overflows", page(gray(), data=pixels, extra=overflow), "count * 8 = 2**32"
    )
    for name, codec, why in (
        ("deflate", 8, "no deflate data"),
        ("lzw", 5, "no LZW data"),
        ("packbits", 32773, "no PackBits data"),
        ("zstd", 50000, "no Zstandard data"),
        ("lzma", 34925, "no LZMA data"),
    ):
        noise = np.random.default_rng(1).bytes(960)
        yield Case(f"tiff-noise-as-{name}", page(gray(t259=codec), data=noise), why)


def _bombs() -> Iterator[Case]:
    zeros = bytes(BOMB)
    yield Case("tiff-bomb-deflate", bomb(8, zlib.compress(zeros, 6)), "100 kB are 72 MiB")
    yield Case("tiff-bomb-old-deflate", bomb(32946, zlib.compress(zeros, 6)), "100 kB are 72 MiB")
    yield Case("tiff-bomb-lzma", bomb(34925, lzma.compress(zeros, preset=1)), "15 kB are 72 MiB")
    runs = b"\x81\0" * (BOMB // 128)
    yield Case("tiff-bomb-packbits", bomb(32773, runs[: len(runs) // 8]), "200 kB are 72 MiB")
    yield Case("tiff-bomb-lzw", bomb(5, lzw_zeros(2**22)), "LZW of zeros, cut short")
    long = zlib.compress(bytes(BOMB), 6)
    small = page(gray(t259=8, t279=len(long)), data=long)
    yield Case("tiff-bomb-in-small-image", small, "72 MiB for an image of 960 bytes")
    from imagecodecs import zstd_encode

    packed = zstd_encode(zeros)
    yield Case("tiff-bomb-zstd", bomb(50000, packed), "10 kB are 72 MiB")
    declared = page(gray(t259=50000, t279=len(packed)), data=packed)
    yield Case("tiff-bomb-zstd-in-small-image", declared, "72 MiB for an image of 960 bytes")


def _kinds() -> Iterator[Case]:
    pixels = image().tobytes()
    yield Case("tiff-rgb", page(gray(t262=2, t277=3, t258=8), data=pixels), "colours")
    yield Case("tiff-cmyk", page(gray(t262=5, t277=4, t258=8), data=pixels), "inks")
    yield Case("tiff-mask", page(gray(t262=4), data=pixels), "transparency mask")
    yield Case("tiff-complex", page(gray(10, 12, t258=64, t339=6), data=pixels), "complex numbers")
    yield Case("tiff-void", page(gray(t339=9), data=pixels), "pixels of an unknown kind")
    yield Case("tiff-float-nan", page(gray(10, t258=32, t339=3), data=b"\xff" * 960), "all NaN")
    jpeg = page(gray(t259=7), data=pixels)
    yield Case("tiff-jpeg", jpeg, "a codec that is not accepted")
    for codec in (2, 3, 4, 6, 34712, 34892, 50001, 50002, 65000):
        yield Case(f"tiff-codec-{codec}", page(gray(t259=codec), data=pixels), "unwanted codec")
    packed = zlib.compress(pixels)
    for predictor in (0, 3, 4, 34892, 34894, 65535):
        predicted = page(gray(t259=8, t279=len(packed), t317=predictor), data=packed)
        yield Case(f"tiff-predictor-{predictor}", predicted, "a predictor of other pixels")
    yield Case("tiff-fill-order-9", page(gray(t266=9), data=pixels), "bits in no known order")


def tagged(code: int, text: bytes) -> bytes:
    """A valid image with what a microscope's program says in a tag of its own."""
    buffer = io.BytesIO()
    tag = (code, 2, len(text) + 1, text + b"\0", True)
    tifffile.imwrite(buffer, image(), extratags=[tag], metadata=None)
    return buffer.getvalue()


def _programs(canary: Canary) -> Iterator[Case]:
    """Tags of FEI, Zeiss, Olympus and TVIPS; their pixels are an image whatever they say."""
    laughs = "".join(f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 10}'>" for n in range(12))
    bomb_ = f"<!DOCTYPE r [<!ENTITY a '{'ha' * 100}'>{laughs}]><PixelSize><X>&m;</X></PixelSize>"
    other = (
        f"<!DOCTYPE r [<!ENTITY x SYSTEM 'file://{canary.raw}'>]><PixelSize><X>&x;</X></PixelSize>"
    )
    texts = {
        "laughs": bomb_.encode(),
        "external-entity": other.encode(),
        "nested": b"<a>" * 50_000 + b"</a>" * 50_000,
        "noise": np.random.default_rng(8).bytes(5000),
        "numbers": b"1e999\r\n" * 5000 + b"AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = nan nm\r\n",
        "sections": b"[Scan]\r\nPixelWidth=1e-999\r\nPixelHeight=-inf\r\n[Image]\r\n" * 900,
    }
    for code in (34118, 34680, 34682, 34683, 33560, 33471, 37706):
        for name, text in texts.items():
            yield Case(f"tiff-tag-{code}-{name}", tagged(code, text), "nonsense", has_image=True)


def _texts(canary: Canary) -> Iterator[Case]:
    stack = "ImageJ=1.54f\nimages=1000000\nframes=1000000\n"
    yield Case(
        "tiff-imagej-million-frames", described(stack), "a million frames of one", has_image=True
    )
    shaped = '{"shape": [100000, 24, 20]}'
    yield Case("tiff-shaped-100000-frames", described(shaped), "100000 frames of one")
    ome = (
        '<?xml version="1.0"?>{doctype}<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="20" '
        'SizeY="24" SizeZ="{depth}" SizeC="1" SizeT="1"><Channel ID="Channel:0:0"/>{data}'
        "</Pixels></Image></OME>"
    )
    other = (
        '<TiffData IFD="0" PlaneCount="1"><UUID FileName="{}">urn:uuid:0</UUID></TiffData>'
        '<TiffData IFD="0" FirstZ="1" PlaneCount="1">'
        '<UUID FileName="{}">urn:uuid:1</UUID></TiffData>'
    )
    for name, path in (
        ("absolute", str(canary.tiff)),
        ("relative", f"../../../{canary.tiff.name}"),
        ("nearby", f"../../{canary.tiff.name}"),
    ):
        text = ome.format(doctype="", depth=2, data=other.format(path, path))
        yield Case(
            f"tiff-ome-{name}-file",
            described(text),
            "OME-XML that names another file",
            has_image=True,
        )
    stray = ome.format(doctype="", depth=1, data='<TiffData IFD="99999999999"/>&')
    yield Case("tiff-ome-stray", described(stray), "a stray ampersand", has_image=True)
    deep = ome.format(doctype="", depth=10**8, data='<TiffData IFD="0"/>')
    yield Case("tiff-ome-10**8-slices", described(deep), "OME-XML that declares 10**8 slices")
