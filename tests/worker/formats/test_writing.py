"""Results out: exact pixels, calibration, metadata, rounding, pictures."""

import json
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image
from rsciio.hspy import file_reader as read_hspy

from worker import formats
from worker.contract import ImageInfo
from worker.formats import COLORMAPS, FormatError, Look, reading
from worker.formats.picture import round_length
from worker.formats.units import in_nanometres

METADATA = {"Microscope Info": {"Voltage": 200000.0, "Name/of": "TEM"}, "list": [1, "a", {}]}


def info_of(shape: tuple[int, ...], dtype: str = "uint16", **more: Any) -> ImageInfo:
    stated: dict[str, Any] = {"title": "HAADF", "metadata": METADATA, "detector": "HAADF"}
    stated |= {"beam_energy": 200.0, "dwell_time": 2e-5}
    if len(shape) == 3:
        stated |= {"frame_step": 2.5, "frame_unit": "s"}
    return ImageInfo("dm3", shape, dtype, (0.02, 0.03), "nm", **stated | more)


def result(shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(100, 20, shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(16, 24), (3, 16, 24), (1, 16, 24)], ids=str)
@pytest.mark.parametrize("format_", ["tiff", "mrc", "npy", "hspy"])
def test_what_is_written_is_read(tmp_path: Path, format_: str, shape: tuple[int, ...]) -> None:
    written = result(shape)
    path = tmp_path / f"out{formats.suffix_of(format_, stack=len(shape) == 3)}"
    formats.write(path, written, info_of(shape), format_)
    decoded = reading.read(path, max_pixels=2**20)
    (image,), (info,) = decoded.pixels, decoded.info.signals
    np.testing.assert_array_equal(image.reshape(shape), written)
    assert image.dtype == np.float32
    if format_ != "npy":
        assert in_nanometres(info.pixel_size or (0, 0), info.unit) == pytest.approx((0.02, 0.03))
    if format_ in ("tiff", "hspy") and shape[0] == 3:
        assert (info.frame_step, info.frame_unit) == (2.5, "s")


@pytest.mark.parametrize("unit", ["nm", "µm", "Å", "pm", "1/nm"])
@pytest.mark.parametrize("shape", [(16, 24), (3, 16, 24)], ids=str)
@pytest.mark.parametrize("format_", ["tiff", "hspy"])
def test_units_survive(tmp_path: Path, format_: str, shape: tuple[int, ...], unit: str) -> None:
    if (format_, unit, len(shape)) == ("tiff", "1/nm", 3):
        pytest.skip("OME knows lengths only")
    info = ImageInfo("dm3", shape, "uint16", (0.02, 0.03), unit)
    formats.write(tmp_path / "out", result(shape), info, format_)
    read = reading.read(tmp_path / "out", max_pixels=2**20).info.signals[0]
    assert read.unit == unit
    assert read.pixel_size == pytest.approx((0.02, 0.03))


@pytest.mark.parametrize("format_", ["tiff", "mrc", "hspy"])
def test_no_calibration_is_made_up(tmp_path: Path, format_: str) -> None:
    info = ImageInfo("png", (16, 24), "uint8")
    formats.write(tmp_path / "out", result((16, 24)), info, format_)
    read = reading.read(tmp_path / "out", max_pixels=2**20).info.signals[0]
    assert (read.pixel_size, read.unit) == (None, None)


def test_an_image_is_imagejs_with_its_metadata(tmp_path: Path) -> None:
    formats.write(tmp_path / "out.tif", result((16, 24)), info_of((16, 24)), "tiff")
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.imagej_metadata is not None
        assert file.imagej_metadata["unit"] == "nm"
        assert json.loads(file.imagej_metadata["Info"]) == METADATA


def test_a_stack_is_ome_with_its_metadata(tmp_path: Path) -> None:
    formats.write(tmp_path / "out.ome.tif", result((3, 16, 24)), info_of((3, 16, 24)), "tiff")
    with tifffile.TiffFile(tmp_path / "out.ome.tif") as file:
        (series,) = file.series
        assert (series.kind, series.axes, series.name) == ("ome", "TYX", "HAADF")
        assert "Microscope Info" in (file.ome_metadata or "")


def test_mrc_has_its_voxel_size_in_angstrom(tmp_path: Path) -> None:
    formats.write(tmp_path / "out.mrc", result((3, 16, 24)), info_of((3, 16, 24)), "mrc")
    with mrcfile.open(tmp_path / "out.mrc") as file:
        assert file.is_image_stack()
        assert (file.voxel_size.y, file.voxel_size.x) == (pytest.approx(0.2), pytest.approx(0.3))
    assert mrcfile.validate(tmp_path / "out.mrc")


def test_an_mrc_file_does_not_tell_the_time(tmp_path: Path) -> None:
    """Two who ask for one result must get the same bytes."""
    formats.write(tmp_path / "out.mrc", result((16, 24)), info_of((16, 24)), "mrc")
    with mrcfile.open(tmp_path / "out.mrc") as file:
        (label,) = file.get_labels()
    assert label.startswith("REUCID")


def test_hyperspy_finds_axes_and_metadata_in_their_places(tmp_path: Path) -> None:
    formats.write(tmp_path / "out.hspy", result((3, 16, 24)), info_of((3, 16, 24)), "hspy")
    (signal,) = read_hspy(str(tmp_path / "out.hspy"))
    axes = [(a["name"], a["size"], a["scale"], a["units"], a["navigate"]) for a in signal["axes"]]
    assert axes == [
        ("frame", 3, 2.5, "s", True),
        ("y", 16, 0.02, "nm", False),
        ("x", 24, 0.03, "nm", False),
    ]
    microscope = signal["metadata"]["Acquisition_instrument"]["TEM"]
    assert (microscope["beam_energy"], microscope["dwell_time"]) == (200.0, 2e-5)
    assert signal["original_metadata"]["Microscope Info"]["Voltage"] == 200000.0


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int8", "int32", "float16"])
@pytest.mark.parametrize("format_", ["tiff", "npy", "hspy"])
def test_source_type_survives(tmp_path: Path, format_: str, dtype: str) -> None:
    info = info_of((16, 24), dtype)
    formats.write(tmp_path / "out", result((16, 24)), info, format_, source=True)
    decoded = reading.read(tmp_path / "out", max_pixels=2**20)
    assert decoded.info.signals[0].dtype == dtype
    expected = formats.to_dtype(result((16, 24)), np.dtype(dtype))
    np.testing.assert_array_equal(decoded.pixels[0], expected)


@given(
    hnp.arrays(np.float64, (4, 5), elements=st.floats(-1e10, 1e10)),
    st.sampled_from(["uint8", "uint16", "uint32", "int8", "int16", "int32"]),
)
def test_rounding_is_half_to_even_and_clipping_is_counted(
    values: NDArray[np.float64], dtype: str
) -> None:
    limits = np.iinfo(dtype)
    rounded = np.rint(values)
    out = (rounded < limits.min) | (rounded > limits.max)
    converted = formats.to_dtype(values, np.dtype(dtype))
    np.testing.assert_array_equal(converted[~out], rounded[~out])
    assert set(converted[out].tolist()) <= {limits.min, limits.max}
    assert formats.clipped_pixels(values, np.dtype(dtype)) == out.sum()


def test_halves_and_ends() -> None:
    values = np.array([0.5, 1.5, 2.5, -0.4, 254.5, 255.4, 255.6, -0.6])
    assert formats.to_dtype(values, np.dtype(np.uint8)).tolist() == [0, 2, 2, 0, 254, 255, 255, 0]
    assert formats.clipped_pixels(values, np.dtype(np.uint8)) == 2
    big = np.array([1e5, -1e5, 1.0])
    assert formats.to_dtype(big, np.dtype(np.float16)).tolist() == [65504, -65504, 1]
    assert formats.clipped_pixels(big, np.dtype(np.float16)) == 2


@pytest.mark.parametrize("colormap", COLORMAPS)
def test_colours_grow_brighter(colormap: str) -> None:
    ramp = np.tile(np.arange(256.0), (4, 1))
    look = Look((0, 100), colormap)
    picture = np.asarray(formats.picture(ramp, info_of((4, 256)), look).convert("L")).astype(int)
    assert picture[0, -1] - picture[0, 0] > 150
    assert (np.diff(picture[0]) >= -1).all()


def test_percentiles_are_darkest_and_brightest() -> None:
    ramp = np.arange(1000.0).reshape(20, 50)
    picture = np.asarray(formats.picture(ramp, info_of((20, 50)), Look((10, 60))))
    low, high = np.percentile(ramp, (10, 60))
    assert (picture[ramp <= low] == 0).all()
    assert (picture[ramp >= high] == 255).all()
    assert len(np.unique(picture)) == 256


@pytest.mark.parametrize("columns", [16, 200, 512])
@pytest.mark.parametrize("pixel_size", [0.0135, 0.38, 5.3])
def test_scale_bar_is_as_long_as_it_says(columns: int, pixel_size: float) -> None:
    info = ImageInfo("npy", (64, columns), "uint8", (1.0, pixel_size), "nm")
    image = np.zeros((64, columns))
    sheet = np.asarray(formats.picture(image, info, Look(scalebar=True)).convert("L"))
    assert sheet.shape[0] > 64
    assert (sheet[:64, :columns] == 0).all(), "no pixel of the image is hidden"
    strip = sheet[64:] > 250
    drawn = max(len(run) for row in strip for run in "".join(".#"[int(v)] for v in row).split("."))
    expected = round_length(0.25 * columns * pixel_size)
    assert drawn == pytest.approx(expected / pixel_size, abs=0.5)


@given(st.floats(1e-12, 1e12))
def test_lengths_are_round(most: float) -> None:
    length = round_length(most)
    assert length <= most * (1 + 1e-9) < 2.5 * length * (1 + 1e-6)
    assert f"{length:e}"[0] in "125"


@pytest.mark.parametrize(
    ("percentiles", "colormap"), [((50, 101), "gray"), ((-1, 9), "gray"), ((0, 100), "jet")]
)
def test_a_look_that_cannot_be(percentiles: tuple[float, float], colormap: str) -> None:
    with pytest.raises(FormatError, match="expected"):
        Look(percentiles, colormap)


def test_a_picture_shows_one_frame() -> None:
    with pytest.raises(FormatError, match="choose a frame"):
        formats.picture(result((3, 16, 24)), info_of((3, 16, 24)))


def test_png_is_a_picture(tmp_path: Path) -> None:
    look = Look(colormap="viridis", scalebar=True)
    formats.write(tmp_path / "out.png", result((160, 240)), info_of((160, 240)), "png", look=look)
    with Image.open(tmp_path / "out.png") as picture:
        assert (picture.mode, picture.width) == ("RGB", 240)
