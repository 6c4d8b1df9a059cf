"""TIFF, SER and NPY as they are in the wild."""

import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
from h5py import h5d, h5p, h5s, h5t

from tests.support import files
from tests.support.field import writers as w
from tests.support.field.cases import case, only, read
from worker.decoding import admission
from worker.formats import FormatError
from worker.formats.units import in_nanometres


@case("wild", "tiff")
def no_word_on_black_and_white(folder: Path) -> None:
    path = folder / "a.tif"
    pixels = w.counts().tobytes()
    tags = {256: 18, 257: 12, 258: 16, 259: 1, 273: 8, 277: 1, 278: 12, 279: len(pixels)}
    entries = b"".join(struct.pack("<HHII", code, 4, 1, value) for code, value in tags.items())
    head = struct.pack("<2sHI", b"II", 42, 8 + len(pixels)) + pixels
    path.write_bytes(head + struct.pack("<H", len(tags)) + entries + bytes(4))
    decoded = read(path)
    np.testing.assert_array_equal(decoded.pixels[0], w.counts())
    assert decoded.info.signals[0].notes == ()


@case("wild", "tiff")
def white_is_zero(folder: Path) -> None:
    inverses: dict[str, Any] = {
        "uint8": lambda pixels: 255 - pixels,
        "uint16": lambda pixels: 65535 - pixels,
        "int16": lambda pixels: -1 - pixels,
        "float32": lambda pixels: pixels.max() - pixels,
    }
    for dtype, inverse in inverses.items():
        stored = w.counts().astype(dtype)
        tifffile.imwrite(folder / "a.tif", stored, photometric="miniswhite")
        decoded = read(folder / "a.tif")
        np.testing.assert_array_equal(decoded.pixels[0], inverse(stored))
        assert decoded.info.signals[0].dtype == dtype
        assert "inverted" in decoded.info.signals[0].notes[0]


@case("wild", "tiff")
def zeiss(folder: Path) -> None:
    """A precise number for a display of 1024 columns, and a rounded one with its unit."""
    numbers = ["0", "0", "0", str(0.02e-9 * 18 / 1024)]
    precise = "\r\n".join(numbers)
    named = "AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 20.01 pm\r\n"
    other = "AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 40.00 pm\r\n"
    expected = {precise: 0.02, named: 0.02001, f"{precise}\r\n{named}": 0.02}
    for text, side in (expected | {f"{precise}\r\n{other}": 0.04}).items():
        tag = w.text_tag(34118, text.encode())
        tifffile.imwrite(folder / "a.tif", w.counts(), extratags=[tag], metadata=None)
        _calibrated(folder / "a.tif", (side, side))


@case("wild", "tiff")
def fei_by_its_scan(folder: Path) -> None:
    for code in (34680, 34682):
        for section in ("Scan", "EScan"):
            scan = {"PixelWidth": 2e-11, "PixelHeight": 4e-11, "Dwelltime": 1e-6}
            tag = w.text_tag(code, w.ini({"Beam": {"HV": 200000}, section: scan}))
            tifffile.imwrite(folder / "a.tif", w.counts(), extratags=[tag], metadata=None)
            _calibrated(folder / "a.tif", (0.04, 0.02))
            assert only(folder / "a.tif").beam_energy == 200


@case("wild", "tiff")
def fei_by_its_field_of_view(folder: Path) -> None:
    beam, image = {"HFW": 3.6e-10, "VFW": 4.8e-10}, {"ResolutionX": 18, "ResolutionY": 12}
    tag = w.text_tag(34682, w.ini({"IRBeam": beam, "Image": image}))
    tifffile.imwrite(folder / "a.tif", w.counts(), extratags=[tag], metadata=None)
    _calibrated(folder / "a.tif", (0.04, 0.02))


@case("wild", "tiff")
def fei_in_xml(folder: Path) -> None:
    size = '<PixelSize><X unit="m">2e-11</X><Y unit="nm">0.04</Y></PixelSize>'
    text = f'<?xml version="1.0"?><Metadata><BinaryResult>{size}</BinaryResult></Metadata>'
    for code in (34680, 34682, 34683):
        tag = w.text_tag(code, text.encode())
        tifffile.imwrite(folder / "a.tif", w.counts(), extratags=[tag], metadata=None)
        _calibrated(folder / "a.tif", (0.04, 0.02))


@case("wild", "tiff")
def olympus(folder: Path) -> None:
    """A structure with places in the file: the tag has to be where it says it is."""
    path = folder / "a.tif"
    block = struct.pack("<10xhdd8xd2x34s32s", -9, 0.02, 0.04, 1e6, b"camera", b"picture")
    head = struct.pack("<4s6xhhhhh6x32sH", b"SIS0", 1, 2, 3, 4, 120, b"name", 1)
    for place in (0, None):
        if place is None:
            (place,) = (path.read_bytes().index(b"SIS0") + len(head) + 8,)
        content = head + struct.pack("<hhI", 1, 1, place) + block
        tag = (33560, 1, len(content), content, True)
        tifffile.imwrite(path, w.counts(), extratags=[tag], metadata=None)
    _calibrated(path, (0.04, 0.02))


@case("wild", "tiff")
def jeols_resolution_is_that_of_the_camera(folder: Path) -> None:
    path = folder / "a.tif"
    xml = "<TemReporter><ModeString>{}</ModeString><SelectorValue>250000</SelectorValue>"
    xml += "</TemReporter>"
    make = (271, 2, 10, b"JEOL Ltd.\0", True)
    for mode, side in (("MAG", 0.02), ("ASID", None)):
        tifffile.imwrite(path, w.counts(), extratags=[make], metadata=None,
                         description=xml.format(mode), resolution=(2000, 2000),
                         resolutionunit="CENTIMETER")  # fmt: skip
        if side is None:
            assert only(path).pixel_size is None
        else:
            _calibrated(path, (side, side))


def _calibrated(path: Path, size: tuple[float, float]) -> None:
    info = only(path)
    in_nm = in_nanometres(info.pixel_size or (0.0, 0.0), info.unit)
    assert in_nm == pytest.approx(size, rel=1e-4)


@case("wild", "tiff")
def codecs_are_named(folder: Path) -> None:
    pixels = w.counts().tobytes()
    for codec, name in ((34712, "JPEG 2000"), (7, "JPEG"), (50001, "WebP"), (61234, "unknown")):
        tags = {256: 18, 257: 12, 258: 16, 259: codec, 262: 1, 273: 8, 277: 1, 278: 12}
        tags[279] = len(pixels)
        entries = b"".join(struct.pack("<HHII", code, 4, 1, value) for code, value in tags.items())
        head = struct.pack("<2sHI", b"II", 42, 8 + len(pixels)) + pixels
        (folder / "a.tif").write_bytes(head + struct.pack("<H", len(tags)) + entries + bytes(4))
        with pytest.raises(FormatError, match=rf"compression {codec} \({name}\)"):
            admission.check([folder / "a.tif"], max_pixels=10**6)


@case("wild", "hspy")
def filters_are_named(folder: Path) -> None:
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_chunk(w.SHAPE)
    creation.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (8, 2))
    with h5py.File(folder / "a.hspy", "w") as file:
        space = h5s.create_simple(w.SHAPE)
        h5d.create(file.id, b"data", h5t.STD_U16LE, space, dcpl=creation)
    with pytest.raises(FormatError, match=r"filter 32015 \(Zstandard\)"):
        admission.check([folder / "a.hspy"], max_pixels=10**6)


@case("wild", "ser")
def frames_of_unequal_size(folder: Path) -> None:
    frames = [w.counts(), w.counts(seed=7), w.counts((9, 18)), w.counts(seed=8)]
    w.ser(folder / "a.ser", frames)
    decoded = read(folder / "a.ser")
    expected = [np.stack(frames[:2]), frames[2], frames[3]]
    for image, right in zip(decoded.pixels, expected, strict=True):
        np.testing.assert_array_equal(image, right)
    titles = [info.title for info in decoded.info.signals]
    assert titles == ["image, frames 0 to 1", "image, frame 2", "image, frame 3"]
    assert "differ in size" in decoded.info.signals[0].notes[0]


@case("wild", "npy")
def frames_last(folder: Path) -> None:
    for shape, hinted in (((40, 40, 7), True), ((7, 40, 40), False), ((9, 8, 7), False)):
        np.save(folder / "a.npy", w.counts(shape))
        notes = only(folder / "a.npy").notes
        assert any("moveaxis" in note for note in notes) is hinted


@case("wild", "mrc")
def an_extended_header_that_is_missing(folder: Path) -> None:
    w.mrc(folder / "a.mrc", w.counts(), extension=bytes(4096))
    content = (folder / "a.mrc").read_bytes()
    (folder / "a.mrc").write_bytes(content[:1024] + content[1024 + 4096 :])
    with pytest.raises(FormatError, match=r"extended header of 4096 bytes \(nsymbt\)"):
        admission.check([folder / "a.mrc"], max_pixels=10**6)


@case("wild", "ser")
def an_acquisition_that_was_stopped_at_once(folder: Path) -> None:
    files.write_ser(folder / "a.ser", w.counts())
    content = bytearray((folder / "a.ser").read_bytes())
    struct.pack_into("<II", content, 14, 5, 0)  # elements planned, and there
    (folder / "a.ser").write_bytes(content)
    with pytest.raises(FormatError, match="without an image, of 5 that were planned") as refused:
        read(folder / "a.ser")
    assert refused.value.code == "no_image"


@case("wild", "npy")
def floats_of_more_than_64_bits(folder: Path) -> None:
    np.save(folder / "a.npy", w.counts().astype(np.longdouble))
    with pytest.raises(FormatError, match="at most 64 bits"):
        read(folder / "a.npy")


@case("wild", "hdf5")
def arrays_that_are_no_images_are_told(folder: Path) -> None:
    with h5py.File(folder / "a.h5", "w") as file:
        file["image"], file["wave"] = w.counts(), w.counts().astype(np.complex64)
        file["mask"] = w.counts() > 3
    info = read(folder / "a.h5").info
    assert [each.title for each in info.signals] == ["image"]
    assert info.default == 0
    told = {each.title: each.reason for each in info.skipped}
    assert "complex64" in told["wave"]
    assert "bool" in told["mask"]
