"""Files in and out: calibration, types, exactness."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from worker import formats
from worker.contract import ImageInfo
from worker.formats import reading

LIMIT = 2**20
INFO = ImageInfo("tiff", (16, 24), "uint16", (0.02, 0.03), "nm")


def read(path: Path, max_pixels: int = LIMIT) -> tuple[NDArray[Any], ImageInfo]:
    """The one image of a file."""
    decoded = reading.read(path, max_pixels=max_pixels)
    (image,) = decoded.pixels
    return image, decoded.info.signals[0]


def pixels(dtype: str) -> NDArray[Any]:
    return np.random.default_rng(3).integers(0, 250, (16, 24)).astype(dtype)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize(
    "dtype", ["uint8", "uint16", "int16", "uint32", "int32", "float16", "float32", "float64"]
)
@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_pixels_are_read_exactly(tmp_path: Path, suffix: str, dtype: str, byteorder: str) -> None:
    path = tmp_path / f"image{suffix}"
    written = pixels(dtype).astype(np.dtype(dtype).newbyteorder(byteorder))
    if suffix == ".tif":
        tifffile.imwrite(path, written, byteorder=byteorder, compression="zlib")
    else:
        np.save(path, written)
    image, info = read(path)
    np.testing.assert_array_equal(image, written)
    assert (info.dtype, info.shape) == (dtype, (16, 24))
    assert image.dtype.isnative


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_png_keeps_its_bits(tmp_path: Path, dtype: str) -> None:
    written = pixels(dtype) * (1 if dtype == "uint8" else 257)
    Image.fromarray(written).save(tmp_path / "image.png")
    image, info = read(tmp_path / "image.png")
    np.testing.assert_array_equal(image, written)
    assert info.dtype == dtype


def test_format_is_told_by_content(tmp_path: Path) -> None:
    with (tmp_path / "image.tif").open("wb") as file:
        np.save(file, pixels("uint8"))
    assert read(tmp_path / "image.tif")[1].format == "npy"


@pytest.mark.parametrize("unit", ["nm", "µm", "Å", "pm"])
def test_calibration_survives_the_way_through(tmp_path: Path, unit: str) -> None:
    info = ImageInfo("tiff", (16, 24), "uint16", (0.02, 0.03), unit)
    formats.write(tmp_path / "out.tif", pixels("float32"), info, "tiff")
    _, info = read(tmp_path / "out.tif")
    assert info.unit == unit
    assert info.pixel_size == pytest.approx((0.02, 0.03))


def test_calibration_in_centimetres(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    per_cm = 1e7 / 0.02  # 0.02 nm
    tifffile.imwrite(
        path, pixels("uint8"), resolution=(per_cm, per_cm), resolutionunit="CENTIMETER"
    )
    info = read(path)[1]
    assert info.unit == "nm"
    assert info.pixel_size == pytest.approx((0.02, 0.02))


def test_a_printers_resolution_is_no_calibration(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, pixels("uint8"), resolution=(300, 300), resolutionunit="INCH")
    assert read(path)[1].pixel_size is None


def test_a_palette_of_grays_is_read_a_colourful_one_refused(tmp_path: Path) -> None:
    ramp = np.arange(256, dtype=np.uint16) * 257
    for name, colormap in (("gray", [ramp] * 3), ("hot", [ramp, ramp, ramp[::-1]])):
        tifffile.imwrite(tmp_path / f"{name}.tif", pixels("uint8"), colormap=np.array(colormap))
    image, _ = read(tmp_path / "gray.tif")
    np.testing.assert_array_equal(image, pixels("uint8"))
    with pytest.raises(formats.FormatError, match="PALETTE"):
        read(tmp_path / "hot.tif")


@pytest.mark.parametrize("suffix", [".tif", ".png", ".npy"])
def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"image{suffix}"
    formats.write(path, pixels("uint8"), INFO, formats.format_of(path))
    with pytest.raises(formats.FormatError, match="384 pixels, at most 383"):
        read(path, max_pixels=383)


@given(
    hnp.arrays(np.float64, (4, 5), elements=st.floats(-1e6, 1e6)),
    st.sampled_from(["uint8", "uint16", "int16", "int32"]),
)
def test_integers_are_rounded_and_clipped(values: NDArray[np.float64], dtype: str) -> None:
    limits = np.iinfo(dtype)
    converted = formats.to_dtype(values, np.dtype(dtype))
    assert converted.dtype == dtype
    np.testing.assert_array_equal(converted, np.clip(np.rint(values), limits.min, limits.max))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "float64"])
def test_source_type_on_request(tmp_path: Path, dtype: str) -> None:
    info = ImageInfo("tiff", (16, 24), dtype, (0.02, 0.02), "nm")
    formats.write(tmp_path / "out.tif", pixels("float64") + 0.25, info, "tiff", source=True)
    image, _ = read(tmp_path / "out.tif")
    assert image.dtype == dtype
    np.testing.assert_allclose(image, pixels("float64"), atol=0.25)


def test_files_of_a_microscope_are_read(real_images: Path) -> None:
    image, info = read(real_images / "srtio3_osiris_512.tif")
    assert (image.shape, info.unit) == ((512, 512), "nm")
    assert info.pixel_size == pytest.approx((0.0135172, 0.0135172), rel=1e-5)
