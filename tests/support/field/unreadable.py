"""Unreadable metadata never condemn readable pixels."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from tests.support import files
from tests.support.field import writers as w
from tests.support.field.cases import case, only, read
from worker.contract import ImageInfo


def _expect(path: Path, companions: tuple[Path, ...] = (), note: str = "") -> ImageInfo:
    decoded = read(path, companions)
    np.testing.assert_array_equal(decoded.pixels[0], w.counts())
    (info,) = decoded.info.signals
    assert any(note in each for each in info.notes), info.notes
    return info


@case("unreadable", "emi")
def latin_1(folder: Path) -> None:
    w.ser(folder / "a_1.ser", [w.counts()])
    w.emi(folder / "a.emi", [w.emi_object(1, 11e-6, user=b"\xc9lodie")])
    info = _expect(folder / "a.emi", (folder / "a_1.ser",), "Latin-1")
    assert info.dwell_time == 11e-6
    assert "Élodie" in str(info.metadata)


@case("unreadable", "emi")
def a_stray_ampersand(folder: Path) -> None:
    w.ser(folder / "a_1.ser", [w.counts()])
    w.emi(folder / "a.emi", [w.emi_object(1, 11e-6, user=b"Pt & Au\x01")])
    info = _expect(folder / "a.emi", (folder / "a_1.ser",), "not all UTF-8 and XML")
    assert info.dwell_time == 11e-6


@case("unreadable", "emi")
def xml_that_is_none(folder: Path) -> None:
    w.ser(folder / "a_1.ser", [w.counts()])
    w.emi(folder / "a.emi", [b"<ObjectInfo><a></b></ObjectInfo>"])
    info = _expect(folder / "a.emi", (folder / "a_1.ser",), "could not be read")
    assert info.pixel_size == pytest.approx((0.02, 0.02))


@case("unreadable", "tiff")
def ome_with_a_stray_ampersand(folder: Path) -> None:
    text = w.ome_xml([{"name": "Pt & Au", "sizes": w.nm(0.02, 0.02)}])
    w.ome(folder / "a.tif", [w.counts()], text)
    info = _expect(folder / "a.tif", note="not well-formed")
    assert (info.pixel_size, info.title) == ((0.02, 0.02), "Pt & Au")


@case("unreadable", "tiff")
def ome_that_is_cut_short(folder: Path) -> None:
    text = w.ome_xml([{"sizes": w.nm(0.02, 0.02)}])
    w.ome(folder / "a.tif", [w.counts()], text.replace("</Pixels></Image></OME>", "</OME>"))
    assert _expect(folder / "a.tif", note="could not be read").pixel_size is None


@case("unreadable", "tiff")
def ome_in_latin_1(folder: Path) -> None:
    text = w.ome_xml([{"name": "Élodie", "sizes": w.nm(0.02, 0.02)}]).encode("latin-1")
    tifffile.imwrite(
        folder / "a.tif", w.counts(), description=text, metadata=None, photometric="minisblack"
    )
    np.testing.assert_array_equal(read(folder / "a.tif").pixels[0], w.counts())
    assert only(folder / "a.tif").pixel_size == (0.02, 0.02)


@case("unreadable", "tiff")
def tags_of_programs_with_nonsense(folder: Path) -> None:
    for code in (34118, 34680, 34682, 34683, 33560, 33471, 37706):
        nonsense = w.text_tag(code, b"\xff\xfe nonsense \x01")
        tifffile.imwrite(folder / "a.tif", w.counts(), extratags=[nonsense], metadata=None)
        np.testing.assert_array_equal(read(folder / "a.tif").pixels[0], w.counts())


@case("unreadable", "tiff")
def numbers_of_ome_that_are_none(folder: Path) -> None:
    sizes = {"PhysicalSizeX": "NaN", "PhysicalSizeY": "much"}
    w.ome(folder / "a.tif", [w.counts()], w.ome_xml([{"sizes": sizes}]))
    assert only(folder / "a.tif").pixel_size is None


@case("unreadable", "velox")
def json_in_latin_1(folder: Path) -> None:
    stated = {
        "PixelSize": {"width": "2e-11", "height": "2e-11"},
        "Offset": {"x": "0", "y": "0"},
        "PixelUnitX": "m",
    }
    w.velox(folder / "a.emd", w.counts(), stated, encoding="latin-1")
    info = _expect(folder / "a.emd", note="in part only")
    assert info.pixel_size == pytest.approx((0.02, 0.02))
    w.velox(folder / "b.emd", w.counts(w.STACK), stated, encoding="latin-1")
    np.testing.assert_array_equal(read(folder / "b.emd").pixels[0], w.counts(w.STACK))


@case("unreadable", "velox")
def json_that_is_none(folder: Path) -> None:
    w.velox(folder / "a.emd", w.counts(), {})
    with h5py.File(folder / "a.emd", "r+") as file:
        (image,) = file["Data/Image"].values()
        image["Metadata"][...] = ord("{")
    assert _expect(folder / "a.emd", note="could not be read").pixel_size is None


@case("unreadable", "hspy")
def a_date_in_metadata_that_is_none(folder: Path) -> None:
    axes = [w.hspy_axis("y", 0.1, "nm"), w.hspy_axis("x", 0.1, "nm")]
    w.hspy(folder / "a.hspy", w.counts(), axes)
    with h5py.File(folder / "a.hspy", "r+") as file:
        place = file["Experiments/image/original_metadata"]
        place.attrs["_datetime_date"] = "no date"
    info = only(folder / "a.hspy")
    assert info.pixel_size == (0.1, 0.1)
    assert info.metadata["original_metadata"] == {"date": "no date"}


@case("unreadable", "hspy")
def no_axes(folder: Path) -> None:
    axes = [w.hspy_axis("y", 0.1, "nm"), w.hspy_axis("x", 0.1, "nm")]
    w.hspy(folder / "a.hspy", w.counts(), axes)
    with h5py.File(folder / "a.hspy", "r+") as file:
        del file["Experiments/image/axis-1"]
    assert _expect(folder / "a.hspy", note="axes").pixel_size is None


@case("unreadable", "ncem")
def attributes_in_latin_1(folder: Path) -> None:
    w.openncem(folder / "a.emd", w.counts(), [("y", 0.1, "n_m", 0.0), ("x", 0.1, "n_m", 0.0)])
    with h5py.File(folder / "a.emd", "r+") as file:
        file["user"].attrs["name"] = np.bytes_(b"\xc9lodie")
        file["data/converted/dim1"].attrs["name"] = np.bytes_(b"\xc9")
        del file["data/converted/dim2"]
    info = read(folder / "a.emd").info.signals[0]
    assert info.pixel_size is None
    assert "rows only" in info.notes[0]


@case("unreadable", "dm3")
def dm3_without_a_calibration(folder: Path) -> None:
    _digital_micrograph(folder / "a.dm3", 3)


@case("unreadable", "dm4")
def dm4_without_a_calibration(folder: Path) -> None:
    _digital_micrograph(folder / "a.dm4", 4)


def _digital_micrograph(path: Path, version: int) -> None:
    """Beside an image of a kind that nobody reads."""
    image, odd = files.dm_image(w.counts()), files.dm_image(w.counts(), "odd")
    del image["ImageData"]["Calibrations"]
    image["ImageTags"] = {"DataBar": {"Acquisition Date": "no date", "Acquisition Time": "no time"}}
    odd["ImageData"]["DataType"] = 99
    path.write_bytes(files.DigitalMicrograph(version).file([image, odd]))
    assert _expect(path, note="calibration").pixel_size is None
    assert "of a kind" in read(path).info.skipped[0].reason


@case("unreadable", "velox")
def a_date_that_is_none(folder: Path) -> None:
    w.velox(folder / "a.emd", w.counts(), {})
    with h5py.File(folder / "a.emd", "r+") as file:
        (image,) = file["Data/Image"].values()
        text = image["Metadata"][:, 0].tobytes().replace(b"1488794201", b"9" * 10 + b"")
        text = text.replace(b'"9999999999"', b'"99999999e9"')
        image["Metadata"][:, 0] = np.frombuffer(text, np.uint8)
    np.testing.assert_array_equal(read(folder / "a.emd").pixels[0], w.counts())
