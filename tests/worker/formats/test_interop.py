"""What is written here, opened by HyperSpy; needs the `interop` extra."""

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.field import writers as w
from tests.support.field.written import images, write
from worker import formats
from worker.contract import ImageInfo
from worker.formats import reading

hs = pytest.importorskip("hyperspy.api")

SUFFIXES = {"hspy": ".hspy", "tiff": ".tif", "mrc": ".mrc"}
INFOS = list(images())


@pytest.fixture(autouse=True)
def _nothing_left_open() -> Iterator[None]:
    """HyperSpy's readers of MRC and EMD leave files to the garbage collector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


def opened(path: Path) -> Any:
    """By HyperSpy, which must not warn of what it finds."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # of its own
        warnings.filterwarnings("ignore", category=ResourceWarning)
        return hs.load(str(path))


def axes(signal: Any) -> list[tuple[float, float, str]]:
    found = signal.axes_manager._axes  # in the order of the array
    return [(axis.scale, axis.offset, str(axis.units)) for axis in found]


@pytest.mark.parametrize("info", INFOS, ids=lambda i: f"{i.unit}-{len(i.shape)}-{i.frame_unit}")
@pytest.mark.parametrize("format_", ["hspy", "tiff"])
def test_axes_survive(tmp_path: Path, format_: str, info: ImageInfo) -> None:
    path = tmp_path / f"a{SUFFIXES[format_]}"
    write(path, info, format_)
    signal = opened(path)
    np.testing.assert_array_equal(signal.data, w.counts(info.shape).astype(np.float32))
    assert type(signal).__name__ == "Signal2D"
    sides: list[Any] = [(0.02, -1.5, info.unit), (0.03, 2.5, info.unit)]
    if len(info.shape) == 3:
        sides.insert(0, (info.frame_step, info.frame_origin, info.frame_unit))
    for found, expected in zip(axes(signal), sides, strict=True):
        assert found[:2] == pytest.approx(expected[:2], rel=1e-6)
        assert found[2] == expected[2]


@pytest.mark.parametrize("shape", [w.SHAPE, w.STACK], ids=["image", "stack"])
def test_mrc_is_calibrated(tmp_path: Path, shape: tuple[int, ...]) -> None:
    info = ImageInfo("dm3", shape, "uint16", (0.02, 0.03), "nm", origin=(-1.5, 2.5))
    write(tmp_path / "a.mrc", info, "mrc")
    signal = opened(tmp_path / "a.mrc")
    found = axes(signal)[-2:]
    assert [unit for *_, unit in found] == ["nm", "nm"]
    assert found[0][:2] == pytest.approx((0.02, -1.5))
    assert found[1][:2] == pytest.approx((0.03, 2.5))


def test_metadata_are_where_hyperspy_has_them(tmp_path: Path) -> None:
    info = ImageInfo("dm3", w.SHAPE, "uint16", title="HAADF", beam_energy=200.0, detector="HAADF")
    write(tmp_path / "a.hspy", info, "hspy")
    metadata = opened(tmp_path / "a.hspy").metadata
    assert metadata.General.title == "HAADF"
    assert metadata.Acquisition_instrument.TEM.beam_energy == 200


@pytest.mark.parametrize("suffix", [".hspy", ".emd", ".tif"])
def test_what_hyperspy_writes_is_read(tmp_path: Path, suffix: str) -> None:
    """A tilt series, by HyperSpy itself."""
    signal = hs.signals.Signal2D(w.counts(w.STACK))
    stated = (("tilt", 2.0, -90.0, "deg"), ("y", 0.02, -3.0, "nm"), ("x", 0.03, 4.0, "nm"))
    for axis, (name, scale, offset, unit) in zip(signal.axes_manager._axes, stated, strict=True):
        axis.name, axis.scale, axis.offset, axis.units = name, scale, offset, unit
    path = tmp_path / f"a{suffix}"
    options = {"file_format": "EMD"} if suffix == ".emd" else {}
    signal.save(str(path), **options)
    decoded = reading.read(path, max_pixels=2**20)
    np.testing.assert_array_equal(decoded.pixels[0], w.counts(w.STACK))
    info = decoded.info.signals[0]
    assert info.pixel_size == pytest.approx((0.02, 0.03))
    assert (info.unit, info.origin) == ("nm", pytest.approx((-3, 4)))
    assert (info.frame_step, info.frame_unit, info.frame_origin) == (2, "deg", -90)


@pytest.mark.parametrize("suffix", [".hspy", ".emd"])
def test_a_map_of_spectra_is_none(tmp_path: Path, suffix: str) -> None:
    signal = hs.signals.Signal1D(w.counts((12, 18, 30)))
    signal.axes_manager[-1].name, signal.axes_manager[-1].units = "Wavelength", "nm"
    signal.save(str(tmp_path / f"a{suffix}"))
    with pytest.raises(formats.FormatError, match="spectrum image"):
        reading.read(tmp_path / f"a{suffix}", max_pixels=2**20)
