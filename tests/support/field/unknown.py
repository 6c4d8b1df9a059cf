"""Headers that say "unknown" are unknown."""

import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
from mrcfile.dtypes import get_ext_header_dtype

from tests.support.field import writers as w
from tests.support.field.cases import case, only, read
from worker.formats import FormatError

OLD_FEI = struct.Struct("<15f")


def _tomography(pixel: float, magnification: float = 28500.0) -> bytes:
    """Of FEI's tomography software before EPU: 1024 records of 128 bytes, named nowhere."""
    fields = [0.0] * 7 + [-1e-6, 1.0, 100.0, 0.0, pixel, magnification, 200e3, 1.0]
    return OLD_FEI.pack(*fields).ljust(128 * 1024, b"\0")


def _epu(kind: bytes, side: tuple[float, float], mask: int) -> bytes:
    record = np.zeros(1, get_ext_header_dtype(kind, "<"))
    record["Metadata size"], record["Bitmask 1"] = record.itemsize, mask
    record["Pixel size Y"], record["Pixel size X"] = side
    return record.tobytes()


@case("unknown", "mrc")
def one_angstrom_is_what_nobody_set(folder: Path) -> None:
    w.mrc(folder / "a.mrc", w.counts(), cell=(1, 1))
    info = only(folder / "a.mrc")
    assert info.pixel_size is None
    assert "1 Å per pixel" in info.notes[0]


@case("unknown", "mrc")
def the_old_extension_of_fei_knows(folder: Path) -> None:
    w.mrc(folder / "a.mrc", w.counts(w.STACK), cell=(1, 1), extension=_tomography(2.1e-9))
    info = only(folder / "a.mrc")
    assert info.pixel_size == pytest.approx((2.1, 2.1))
    assert (info.unit, info.shape) == ("nm", w.STACK)


@case("unknown", "mrc")
def an_old_extension_without_a_pixel_size(folder: Path) -> None:
    for extension in (_tomography(0.0), _tomography(float("nan")), _tomography(2.1e-9, 0.0)):
        w.mrc(folder / "a.mrc", w.counts(), cell=(1, 1), extension=extension)
        assert only(folder / "a.mrc").pixel_size is None


@case("unknown", "mrc")
def the_extension_of_epu_says_what_is_set(folder: Path) -> None:
    both = 1 << 14 | 1 << 15
    for kind in (b"FEI1", b"FEI2"):
        for mask, expected in ((both, (4e-2, 2e-2)), (0, (4e-2, 2e-2)), (1 << 5, None)):
            extension = _epu(kind, (4e-11, 2e-11), mask)
            w.mrc(folder / "a.mrc", w.counts(), cell=(1, 1), extension=extension, kind=kind)
            size = only(folder / "a.mrc").pixel_size
            assert size == (expected and pytest.approx(expected)), (kind, mask)


@case("unknown", "mrc")
def header_and_extension_disagree(folder: Path) -> None:
    extension = _epu(b"FEI1", (2e-11, 2e-11), 1 << 14 | 1 << 15)
    w.mrc(folder / "a.mrc", w.counts(), cell=(3, 3), extension=extension, kind=b"FEI1")
    info = only(folder / "a.mrc")
    assert info.pixel_size == pytest.approx((0.02, 0.02))
    assert "otherwise" in info.notes[0]


@case("unknown", "mrc")
def bytes_are_unsigned_unless_the_file_says_signed(folder: Path) -> None:
    written = (w.counts() * 3).astype(np.uint8)
    written[0, 0] = 250
    undetermined = ((0.0, 0.0), (0.0, -1.0))
    for range_ in undetermined:
        w.mrc(folder / "a.mrc", written, mode=0, range_=range_, cell=(0.2, 0.2))
        decoded = read(folder / "a.mrc")
        np.testing.assert_array_equal(decoded.pixels[0], written)
        assert "taken as unsigned" in decoded.info.signals[0].notes[0]
    told = ({"range_": (-60.0, 100.0)}, {"version": 20140}, {"flags": 1})
    for stated in told:
        w.mrc(folder / "a.mrc", written.view(np.int8), mode=0, **stated)  # type: ignore[arg-type]
        np.testing.assert_array_equal(read(folder / "a.mrc").pixels[0], written.view(np.int8))


@case("unknown", "hspy")
def hspy_steps_that_are_not_equal(folder: Path) -> None:
    axes = [w.hspy_axis("tilt", 1.0, "deg", navigate=True, _type="DataAxis")]
    axes += [w.hspy_axis("y", 0.1, "nm"), w.hspy_axis("x", 0.1, "nm")]
    del axes[0]["scale"], axes[0]["offset"]
    w.hspy(folder / "a.hspy", w.counts(w.STACK), axes)
    info = only(folder / "a.hspy")
    assert (info.pixel_size, info.frame_step) == ((0.1, 0.1), None)
    assert "'tilt' is not evenly spaced" in info.notes[0]


@case("unknown", "ncem")
def ncem_steps_that_are_not_equal(folder: Path) -> None:
    axes = [("tilt", 1.0, "deg", 0.0), ("y", 0.1, "n_m", 0.0), ("x", 0.1, "n_m", 0.0)]
    w.openncem(folder / "a.emd", w.counts(w.STACK), axes)
    with h5py.File(folder / "a.emd", "r+") as file:
        file["data/converted/dim1"][...] = [0, 1, 3, 9, 10]
    info = only(folder / "a.emd")
    assert (info.pixel_size, info.frame_step) == (pytest.approx((0.1, 0.1)), None)
    assert "'tilt' is not evenly spaced" in info.notes[0]


@case("unknown", "mrc")
def modes_are_named(folder: Path) -> None:
    for mode, name in ((101, "4 bits"), (4, "complex numbers")):
        w.mrc(folder / "a.mrc", w.counts(), mode=mode)
        with pytest.raises(FormatError, match=name) as refused:
            read(folder / "a.mrc")
        assert refused.value.code == "unsupported_format"
