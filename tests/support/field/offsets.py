"""Offsets of axes are calibration."""

from pathlib import Path

import pytest
import tifffile

from tests.support import files
from tests.support.field import writers as w
from tests.support.field.cases import case, only
from worker.contract import ImageInfo


def _expect(info: ImageInfo, origin: tuple[float, float], frame: float | None = None) -> None:
    assert info.origin == pytest.approx(origin, rel=1e-6)
    assert info.frame_origin == (None if frame is None else pytest.approx(frame))


@case("offsets", "hspy")
def hspy_tilt_series(folder: Path) -> None:
    axes = [w.hspy_axis("tilt", 2.0, "deg", -90.0, navigate=True)]
    axes += [w.hspy_axis("y", 0.5, "nm", -3.0), w.hspy_axis("x", 500.0, "pm", 4000.0)]
    w.hspy(folder / "a.hspy", w.counts(w.STACK), axes)
    _expect(only(folder / "a.hspy"), (-3, 4), -90)


@case("offsets", "ncem")
def ncem_first_positions(folder: Path) -> None:
    axes = [("tilt", 2.0, "deg", -90.0), ("y", 0.5, "nm", -3.0), ("x", 0.5, "nm", 4.0)]
    w.openncem(folder / "a.emd", w.counts(w.STACK), axes)
    _expect(only(folder / "a.emd"), (-3, 4), -90)


@case("offsets", "velox")
def velox_origin(folder: Path) -> None:
    stated = {
        "PixelSize": {"width": "2e-11", "height": "2e-11"},
        "Offset": {"x": "-4e-9", "y": "3e-9"},
        "PixelUnitX": "m",
        "PixelUnitY": "m",
    }
    w.velox(folder / "a.emd", w.counts(), stated)
    info = only(folder / "a.emd")
    factor = {"pm": 1e3, "nm": 1.0}[info.unit or ""]
    _expect(info, (3 * factor, -4 * factor))


@case("offsets", "dm3")
def dm3_origin(folder: Path) -> None:
    _digital_micrograph(folder / "a.dm3", 3)


@case("offsets", "dm4")
def dm4_origin(folder: Path) -> None:
    _digital_micrograph(folder / "a.dm4", 4)


def _digital_micrograph(path: Path, version: int) -> None:
    """Its origin is the place of zero, in pixels."""
    image = files.dm_image(w.counts(w.STACK))
    origins = (-200.0, 150.0, 45.0)
    for axis, origin in zip(image["ImageData"]["Calibrations"]["Dimension"], origins, strict=True):
        axis["Origin"] = origin
    path.write_bytes(files.DigitalMicrograph(version).file([image]))
    _expect(only(path), (-3, 4), -90)


@case("offsets", "ser")
def ser_offset_in_metres(folder: Path) -> None:
    dimension = (-4.0, 2.0, b"s")
    w.ser(folder / "a.ser", [w.counts()] * 3, offset=(-3e-9, 4e-9), dimension=dimension)
    info = only(folder / "a.ser")
    _expect(info, (-3, 4), -4)
    assert (info.frame_step, info.frame_unit) == (2, "s")


@case("offsets", "emi")
def emi_offset_in_metres(folder: Path) -> None:
    w.ser(folder / "a_1.ser", [w.counts()], offset=(-3e-9, 4e-9))
    w.emi(folder / "a.emi", [w.emi_object(1, 1e-6)])
    from tests.support.field.cases import read

    _expect(read(folder / "a.emi", [folder / "a_1.ser"]).info.signals[0], (-3, 4))


@case("offsets", "mrc")
def mrc_origin_in_angstrom(folder: Path) -> None:
    for flags, sign in ((None, 1), (4, 1), (0, -1)):  # IMOD's sign was the opposite
        path = folder / f"{flags}.mrc"
        w.mrc(path, w.counts(), cell=(0.2, 0.2), origin=(-30.0, 40.0), flags=flags)
        _expect(only(path), (-3 * sign, 4 * sign))


@case("offsets", "tiff")
def imagej_origin_in_pixels(folder: Path) -> None:
    stated = {"axes": "YX", "unit": "nm", "xorigin": -200.0, "yorigin": 150.0}
    tifffile.imwrite(
        folder / "a.tif", w.counts(), imagej=True, resolution=(50, 50), metadata=stated
    )
    _expect(only(folder / "a.tif"), (-3, 4))


@case("offsets", "tiff")
def gatan_offset(folder: Path) -> None:
    tags = w.gatan([(0.02, "nm", 4.0), (0.02, "nm", -3.0)])
    tifffile.imwrite(folder / "a.tif", w.counts(), extratags=tags, metadata=None)
    _expect(only(folder / "a.tif"), (-3, 4))


@case("offsets", "tiff")
def ome_position(folder: Path) -> None:
    plane = {"PositionX": 4, "PositionXUnit": "nm", "PositionY": -3, "PositionYUnit": "nm"}
    image = {"sizes": w.nm(0.02, 0.02), "plane": plane}
    w.ome(folder / "a.tif", [w.counts()], w.ome_xml([image]))
    _expect(only(folder / "a.tif"), (-3, 4))


@case("offsets", "hspy")
def hspy_that_counts_backwards(folder: Path) -> None:
    """A pixel's size has no direction: an origin would put all others on its wrong side."""
    axes = [w.hspy_axis("y", -0.5, "nm", 3.0), w.hspy_axis("x", 0.5, "nm", 1.0)]
    w.hspy(folder / "a.hspy", w.counts(), axes)
    info = only(folder / "a.hspy")
    assert (info.pixel_size, info.origin) == ((0.5, 0.5), None)
    assert "rows count backwards" in info.notes[0]
