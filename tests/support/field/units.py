"""A value and its unit belong together, for each axis."""

from pathlib import Path

import pytest
import tifffile

from tests.support import files
from tests.support.field import writers as w
from tests.support.field.cases import case, only


@case("units", "hspy")
def hspy_rows_in_micrometres(folder: Path) -> None:
    axes = [w.hspy_axis("y", 0.0051, "µm"), w.hspy_axis("x", 5.1, "nm")]
    w.hspy(folder / "a.hspy", w.counts(), axes)
    info = only(folder / "a.hspy")
    assert (info.pixel_size, info.unit, info.notes) == ((5.1, 5.1), "nm", ())


@case("units", "hspy")
def hspy_one_axis_without_a_unit(folder: Path) -> None:
    axes = [w.hspy_axis("y", 0.1, "<undefined>"), w.hspy_axis("x", 5.1, "nm")]
    w.hspy(folder / "a.hspy", w.counts(), axes)
    info = only(folder / "a.hspy")
    assert (info.pixel_size, info.unit) == (None, None)
    assert "columns only" in info.notes[0]


@case("units", "hspy")
def hspy_of_position_against_time(folder: Path) -> None:
    w.hspy(folder / "a.hspy", w.counts(), [w.hspy_axis("t", 2, "s"), w.hspy_axis("x", 5.1, "nm")])
    info = only(folder / "a.hspy")
    assert (info.pixel_size, info.unit) == (None, None)
    assert "rows are in s, the columns in nm" in info.notes[0]


@case("units", "hspy")
def hspy_of_a_diffraction_pattern(folder: Path) -> None:
    axes = [w.hspy_axis("ky", 0.05, "1 / Å"), w.hspy_axis("kx", 0.5, "1 / nm")]
    w.hspy(folder / "a.hspy", w.counts(), axes)
    info = only(folder / "a.hspy")
    assert (info.pixel_size, info.unit) == ((0.5, 0.5), "1/nm")


@case("units", "tiff")
def ome_rows_in_micrometres(folder: Path) -> None:
    sizes = w.nm(16.5, 16.5) | {"PhysicalSizeY": 0.0165, "PhysicalSizeYUnit": "µm"}
    w.ome(folder / "a.tif", [w.counts()], w.ome_xml([{"sizes": sizes}]))
    info = only(folder / "a.tif")
    assert (info.pixel_size, info.unit) == ((16.5, 16.5), "nm")


@case("units", "tiff")
def ome_default_is_micrometres_for_each_axis(folder: Path) -> None:
    sizes = {"PhysicalSizeX": 20, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.02}
    w.ome(folder / "a.tif", [w.counts()], w.ome_xml([{"sizes": sizes}]))
    info = only(folder / "a.tif")
    assert (info.pixel_size, info.unit) == ((20, 20), "nm")


@case("units", "tiff")
def imagej_yunit_and_zunit(folder: Path) -> None:
    stated = {"axes": "ZYX", "unit": "nm", "yunit": "um", "zunit": "um", "spacing": 0.5}
    tifffile.imwrite(
        folder / "a.tif", w.counts(w.STACK), imagej=True, resolution=(50, 5e4), metadata=stated
    )
    info = only(folder / "a.tif")
    assert info.pixel_size == pytest.approx((0.02, 0.02), rel=1e-6)
    assert (info.unit, info.frame_step, info.frame_unit) == ("nm", 0.5, "µm")


@case("units", "tiff")
def imagej_tunit(folder: Path) -> None:
    stated = {"axes": "TYX", "unit": "nm", "finterval": 40.0, "tunit": "msec"}
    tifffile.imwrite(
        folder / "a.tif", w.counts(w.STACK), imagej=True, resolution=(50, 50), metadata=stated
    )
    info = only(folder / "a.tif")
    assert (info.frame_step, info.frame_unit) == (40, "ms")


@case("units", "tiff")
def gatan_rows_in_micrometres(folder: Path) -> None:
    tags = w.gatan([(20.0, "nm", 0.0), (0.02, "µm", 0.0)])
    tifffile.imwrite(folder / "a.tif", w.counts(), extratags=tags, metadata=None)
    info = only(folder / "a.tif")
    assert (info.pixel_size, info.unit) == ((20, 20), "nm")


@case("units", "ncem")
def ncem_rows_in_micrometres(folder: Path) -> None:
    axes = [("y", 0.02, "[u_m]", 0.0), ("x", 20.0, "[n_m]", 0.0)]
    w.openncem(folder / "a.emd", w.counts(), axes)
    info = only(folder / "a.emd")
    assert info.pixel_size == pytest.approx((20, 20))
    assert info.unit == "nm"


@case("units", "dm3")
def dm3_rows_in_micrometres(folder: Path) -> None:
    _digital_micrograph(folder / "a.dm3", 3)


@case("units", "dm4")
def dm4_rows_in_micrometres(folder: Path) -> None:
    _digital_micrograph(folder / "a.dm4", 4)


def _digital_micrograph(path: Path, version: int) -> None:
    image = files.dm_image(w.counts(), units=("nm", "µm"))
    image["ImageData"]["Calibrations"]["Dimension"][1]["Scale"] = files.PIXEL_SIZE / 1000
    path.write_bytes(files.DigitalMicrograph(version).file([image]))
    info = only(path)
    assert info.pixel_size == pytest.approx((0.02, 0.02))
    assert info.unit == "nm"


@case("units", "velox")
def velox_rows_in_micrometres(folder: Path) -> None:
    stated = {
        "PixelSize": {"width": "2e-9", "height": "2e-3"},
        "Offset": {"x": "0", "y": "0"},
        "PixelUnitX": "m",
        "PixelUnitY": "µm",
    }
    w.velox(folder / "a.emd", w.counts(), stated)
    info = only(folder / "a.emd")
    assert info.pixel_size == pytest.approx((2, 2))
    assert info.unit == "nm"


@case("units", "hspy")
def hspy_spelled_as_latex_and_with_superscripts(folder: Path) -> None:
    for rows, columns in (("$nm^{-1}$", "nm⁻¹"), ("1/nm", "nm-1"), ("nm$^{-1}$", "$1/nm$")):
        axes = [w.hspy_axis("ky", 0.5, rows), w.hspy_axis("kx", 0.5, columns)]
        w.hspy(folder / "a.hspy", w.counts(), axes)
        info = only(folder / "a.hspy")
        assert (info.pixel_size, info.unit, info.notes) == ((0.5, 0.5), "1/nm", ())


@case("units", "tiff")
def imagej_spelled_with_escapes(folder: Path) -> None:
    for spelled, unit in (
        ("\\u00B5m", "µm"),
        ("\\u00C5", "Å"),
        ("nm\\u207B\\u00B9", "1/nm"),
        ("\\u00C5^-1", "1/Å"),
    ):
        tifffile.imwrite(
            folder / "a.tif", w.counts(), imagej=True, resolution=(5, 5), metadata={"unit": spelled}
        )
        info = only(folder / "a.tif")
        assert (info.pixel_size, info.unit) == ((0.2, 0.2), unit)
