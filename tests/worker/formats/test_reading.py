"""Every format in: pixels exact, calibration and instrument kept, the rest refused with reasons."""

import json
import struct
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from tests.support import files
from worker.contract import ImageInfo
from worker.formats import FormatError, LimitError, reading
from worker.formats.file_limits import MOST_FRAMES, MOST_SIGNALS
from worker.formats.units import in_nanometres

LIMIT = 2**20
Writer = Callable[[Path, NDArray[Any]], None]

# What each can hold: types, and how far apart its frames are told to be.
WRITERS: dict[str, tuple[Writer, str, tuple[str, ...], tuple[float, str] | None]] = {
    "dm3": (files.write_dm3, "dm3", tuple(files.DM_TYPES), (2.0, "deg")),
    "dm4": (files.write_dm4, "dm4", tuple(files.DM_TYPES), (2.0, "deg")),
    "ser": (files.write_ser, "ser", tuple(files.SER_TYPES), None),
    "velox": (
        lambda path, pixels: files.write_velox(path, ("HAADF", pixels)),
        "velox",
        ("uint16", "int16", "float32"),
        (2.5, "s"),
    ),
    "ncem": (files.write_ncem, "ncem", ("uint8", "uint16", "float32"), (2.0, "deg")),
    "mrc": (files.write_mrc, "mrc", ("int8", "int16", "uint16", "float16", "float32"), None),
    "hspy": (files.write_hspy, "hspy", ("uint8", "uint32", "int8", "float64"), (2.0, "deg")),
    "ImageJ": (files.write_imagej, "tiff", ("uint8", "uint16", "float32"), (2.0, "s")),
    "OME": (files.write_ome, "tiff", ("uint8", "int16", "uint32", "float64"), (2.0, "s")),
}
UNCALIBRATED: dict[str, tuple[Writer, str]] = {
    "pages": (files.write_pages, "tiff"),
    "npy": (files.write_npy, "npy"),
}


def pixels(dtype: str = "uint16", shape: tuple[int, ...] = (12, 18)) -> NDArray[Any]:
    return np.random.default_rng(3).integers(0, 120, shape).astype(dtype)


def one_image(path: Path, **options: Any) -> tuple[NDArray[Any], ImageInfo]:
    decoded = reading.read(path, max_pixels=LIMIT, **options)
    (image,) = decoded.pixels
    return image, decoded.info.signals[0]


@pytest.mark.parametrize("shape", [(12, 18), (3, 12, 18)], ids=["image", "stack"])
@pytest.mark.parametrize(
    ("name", "dtype"), [(name, dtype) for name, entry in WRITERS.items() for dtype in entry[2]]
)
def test_pixels_and_calibration(
    tmp_path: Path, name: str, dtype: str, shape: tuple[int, ...]
) -> None:
    write, format_, _, step = WRITERS[name]
    written = pixels(dtype, shape)
    write(tmp_path / "file", written)
    image, info = one_image(tmp_path / "file")
    np.testing.assert_array_equal(image, written)
    assert (info.format, info.dtype, info.shape) == (format_, dtype, shape)
    assert info.pixel_size is not None
    in_nm = in_nanometres(info.pixel_size, info.unit)  # Velox files choose their unit
    assert in_nm == pytest.approx((files.PIXEL_SIZE,) * 2)
    if len(shape) == 3:
        assert (info.frame_step, info.frame_unit) == (step or (None, None))


@pytest.mark.parametrize("name", UNCALIBRATED)
def test_uncalibrated_stacks(tmp_path: Path, name: str) -> None:
    write, format_ = UNCALIBRATED[name]
    written = pixels(shape=(3, 12, 18))
    write(tmp_path / "file", written)
    image, info = one_image(tmp_path / "file")
    np.testing.assert_array_equal(image, written)
    assert (info.format, info.pixel_size, info.unit) == (format_, None, None)


@pytest.mark.parametrize("shape", [(12, 18), (3, 12, 18)], ids=["image", "stack"])
@pytest.mark.parametrize(
    ("mode", "dtype"), [(0, ">i1"), (1, ">i2"), (2, ">f4"), (6, ">u2"), (12, ">f2")]
)
def test_big_endian_mrc(tmp_path: Path, mode: int, dtype: str, shape: tuple[int, ...]) -> None:
    written = pixels(dtype, shape)
    frames, rows, columns = files.formats_stack(written).shape
    header = bytearray(1024)
    header[:16] = struct.pack(">4I", columns, rows, frames, mode)
    header[28:52] = struct.pack(">3I3f", columns, rows, frames, columns * 0.2, rows * 0.2, frames)
    header[208:216] = b"MAP \x11\x11\0\0"
    (tmp_path / "file").write_bytes(bytes(header) + written.tobytes())
    image, info = one_image(tmp_path / "file")
    np.testing.assert_array_equal(image, written)
    assert image.dtype.isnative
    assert info.pixel_size == pytest.approx((0.02, 0.02))


@pytest.mark.parametrize("stamped", [True, False])
def test_bytes_of_mrc_that_are_unsigned(tmp_path: Path, stamped: bool) -> None:
    """The standard says signed; IMOD's flag, or a maximum above 127, says otherwise."""
    written = pixels() + 100
    files.write_mrc(tmp_path / "file", np.zeros((12, 18), np.int8))
    content = bytearray((tmp_path / "file").read_bytes())
    if stamped:
        content[152:160] = struct.pack("<II", 1146047817, 0)
    else:
        content[76:84] = struct.pack("<ff", written.min(), written.max())
    content[1024:] = written.astype(np.uint8).tobytes()
    (tmp_path / "file").write_bytes(content)
    image, info = one_image(tmp_path / "file")
    np.testing.assert_array_equal(image, written)
    assert info.dtype == "uint8"


def test_mrc_without_magic_is_known_by_its_size(tmp_path: Path) -> None:
    files.write_mrc(tmp_path / "file", pixels())
    content = bytearray((tmp_path / "file").read_bytes())
    content[208:216] = bytes(8)
    (tmp_path / "file").write_bytes(content)
    np.testing.assert_array_equal(one_image(tmp_path / "file")[0], pixels())


def test_mrc_without_calibration(tmp_path: Path) -> None:
    files.write_mrc(tmp_path / "file", pixels())
    content = bytearray((tmp_path / "file").read_bytes())
    content[28:52] = bytes(24)
    (tmp_path / "file").write_bytes(content)
    assert one_image(tmp_path / "file")[1].pixel_size is None


@pytest.mark.parametrize(
    ("name", "detector", "beam_energy", "dwell_time"),
    [
        ("dm3", "HAADF", 200.0, 2e-5),
        ("velox", "HAADF", 300.0, 2e-5),
        ("ncem", "HAADF", 200.0, 1e-6),
        ("hspy", "HAADF", 200.0, 2e-5),
    ],
)
def test_what_the_microscope_did(
    tmp_path: Path, name: str, detector: str, beam_energy: float, dwell_time: float
) -> None:
    WRITERS[name][0](tmp_path / "file", pixels())
    info = one_image(tmp_path / "file")[1]
    assert (info.detector, info.beam_energy, info.dwell_time) == (detector, beam_energy, dwell_time)


@pytest.mark.parametrize("name", ["dm3", "velox"])
def test_dose_of_20_picoampere_for_20_us_on_400_square_pm(tmp_path: Path, name: str) -> None:
    WRITERS[name][0](tmp_path / "file", pixels())
    electrons = 20e-12 * 20e-6 / 1.602176634e-19
    assert one_image(tmp_path / "file")[1].dose == pytest.approx(electrons / 0.04)


def test_emi_takes_pixels_from_its_series_and_says_more(tmp_path: Path) -> None:
    files.write_emi(tmp_path / "original")
    for n in (1, 2):
        files.write_ser(tmp_path / f"companion-{n}", pixels() + n)
    companions = [tmp_path / "companion-1", tmp_path / "companion-2"]
    decoded = reading.read(tmp_path / "original", max_pixels=LIMIT, companions=companions)
    for n, image in enumerate(decoded.pixels, start=1):
        np.testing.assert_array_equal(image, pixels() + n)
    first = decoded.info.signals[0]
    assert (decoded.info.format, first.beam_energy, first.dwell_time) == ("emi", 80.0, 2.9e-5)
    with pytest.raises(FormatError, match=r"NAME_1\.ser"):
        reading.read(tmp_path / "original", max_pixels=LIMIT)


def test_only_an_emi_file_comes_with_others(tmp_path: Path) -> None:
    for name in ("original", "companion-1"):
        files.write_ser(tmp_path / name, pixels())
    with pytest.raises(FormatError, match="got 2 files, expected one"):
        one_image(tmp_path / "original", companions=[tmp_path / "companion-1"])


def test_every_image_is_listed_and_a_spectrum_skipped_with_the_reason(tmp_path: Path) -> None:
    images = [files.dm_image(pixels("float32"), name) for name in ("BF", "HAADF")]
    spectrum = files.dm_image(pixels("float32", (50,)), "Plot")
    colours = files.dm_image(pixels("uint32"), "Overlay")
    colours["ImageData"]["DataType"] = 23
    content = files.DigitalMicrograph(3).file([*images, spectrum, colours])
    (tmp_path / "file").write_bytes(content)
    info = reading.read(tmp_path / "file", max_pixels=LIMIT).info
    assert [signal.title for signal in info.signals] == ["BF", "HAADF"]
    assert [skipped.title for skipped in info.skipped] == ["Plot", "Overlay"]
    assert "spectrum or profile of 50 values" in info.skipped[0].reason
    assert "colours" in info.skipped[1].reason
    assert info.default == 1


def test_a_spectrum_image_is_no_stack(tmp_path: Path) -> None:
    cube = files.dm_image(pixels("float32", (5, 12, 18)), "EELS", units=("nm", "nm", "eV"))
    (tmp_path / "file").write_bytes(files.DigitalMicrograph(3).file([cube]))
    with pytest.raises(FormatError, match="spectrum image"):
        one_image(tmp_path / "file")


@pytest.mark.parametrize(
    ("titles", "default"),
    [
        (["BF", "DF2", "HAADF", "HAADF"], 2),
        (["BF", "ADF 1"], 1),
        (["BF", "DF4", "MAADF"], 1),
        (["BF", "survey"], 0),
        (["Annular Dark Field"], 0),
        (["ABF", "Shaadf", "df"], 1),
    ],
)
def test_default_signal(titles: list[str], default: int) -> None:
    signals = [ImageInfo("velox", (9, 9), "uint16", title=title) for title in titles]
    assert reading.default_signal(signals) == default


def test_a_detector_counts_as_much_as_a_title(tmp_path: Path) -> None:
    files.write_velox(tmp_path / "file", ("BF", pixels()), ("HAADF", pixels()), ("DF2", pixels()))
    assert reading.read(tmp_path / "file", max_pixels=LIMIT).info.default == 1


def test_a_bad_signal_does_not_spoil_the_others(tmp_path: Path) -> None:
    broken = pixels("float32")
    broken[0, 0] = np.nan
    content = files.DigitalMicrograph(4).file([files.dm_image(broken), files.dm_image(pixels())])
    (tmp_path / "file").write_bytes(content)
    info = reading.read(tmp_path / "file", max_pixels=LIMIT).info
    assert "1 pixels that are NaN" in info.skipped[0].reason
    assert info.signals[0].dtype == "uint16"


def test_channels_of_a_hyperstack_are_signals_of_their_own(tmp_path: Path) -> None:
    written = pixels(shape=(4, 3, 2, 12, 18))  # times, planes, channels
    tifffile.imwrite(tmp_path / "file", written, imagej=True, metadata={"axes": "TZCYX"})
    decoded = reading.read(tmp_path / "file", max_pixels=LIMIT)
    for channel, image in enumerate(decoded.pixels):
        np.testing.assert_array_equal(image, written[:, :, channel].reshape(12, 12, 18))
    assert len(decoded.pixels) == 2


def test_an_ome_tiff_opens_no_other_file(tmp_path: Path) -> None:
    """Its description may name any: what is asked for is then read without it."""
    secret = tmp_path / "secret.tif"
    tifffile.imwrite(secret, np.full((12, 18), 77, np.uint16))
    inside = tmp_path / "inside"
    inside.mkdir()
    tifffile.imwrite(
        inside / "a.ome.tif",
        pixels(shape=(2, 12, 18)),
        metadata={"axes": "TYX"},
        photometric="minisblack",
    )
    content = (inside / "a.ome.tif").read_bytes()
    with tifffile.TiffFile(inside / "a.ome.tif") as file:
        ome = file.ome_metadata or ""
    named = ome.replace(
        '<TiffData IFD="0" PlaneCount="2"/>',
        '<TiffData FirstT="1" IFD="0"><UUID FileName="../secret.tif">urn:uuid:1</UUID></TiffData>',
    )
    assert named != ome
    tifffile.imwrite(
        inside / "b.ome.tif", pixels(), description=named.encode("ascii", "replace"), metadata=None
    )
    assert content
    for image in reading.read(inside / "b.ome.tif", max_pixels=LIMIT).pixels:
        assert not (image == 77).all(axis=(-1, -2)).any()


def test_hdf5_without_an_array_of_two_dimensions_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "file", "w") as file:
        file["data"], file["text"] = pixels()[0], "text"
    with pytest.raises(FormatError, match="HDF5 file of an unknown kind") as refused:
        one_image(tmp_path / "file")
    assert refused.value.code == "unsupported_format"


@pytest.mark.parametrize("name", [*WRITERS, *UNCALIBRATED])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_truncated_file_is_damaged(tmp_path: Path, name: str, share: float) -> None:
    write = WRITERS[name][0] if name in WRITERS else UNCALIBRATED[name][0]
    write(tmp_path / "file", pixels("float32", (2, 40, 60)))
    content = (tmp_path / "file").read_bytes()
    (tmp_path / "file").write_bytes(content[: int(share * len(content))])
    with pytest.raises(FormatError):
        one_image(tmp_path / "file")


LIMITS: dict[str, tuple[Callable[[Path], None], str, int, int]] = {
    "pixels": (
        lambda path: files.write_dm3(path, pixels(shape=(9, 400, 400))),
        "max_pixels",
        LIMIT,
        1440000,
    ),
    "frames": (
        lambda path: files.write_npy(path, np.zeros((MOST_FRAMES + 1, 3, 3), np.uint8)),
        "max_frames",
        MOST_FRAMES,
        MOST_FRAMES + 1,
    ),
    "signals": (
        lambda path: files.write_velox(
            path, *[("DF", pixels("uint8", (3, 3)))] * (MOST_SIGNALS + 1)
        ),
        "max_signals",
        MOST_SIGNALS,
        MOST_SIGNALS + 1,
    ),
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_is_named_with_its_value_and_the_files(tmp_path: Path, name: str) -> None:
    write, limit, most, got = LIMITS[name]
    write(tmp_path / "file")
    with pytest.raises(LimitError) as refused:
        one_image(tmp_path / "file")
    assert (refused.value.limit, refused.value.most, refused.value.got) == (limit, most, got)
    for part in (limit, str(most), str(got)):
        assert part in str(refused.value)
    again = FormatError.from_dict(refused.value.to_dict())
    assert vars(again) == vars(refused.value)


def test_a_declared_size_is_not_believed(tmp_path: Path) -> None:
    """A header that declares more than the file holds costs no memory."""
    for write, offset in ((files.write_mrc, 0), (files.write_ser, 18)):
        write(tmp_path / "file", pixels())
        content = bytearray((tmp_path / "file").read_bytes())
        content[offset : offset + 4] = struct.pack("<I", 2**31 - 1)
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(FormatError, match="declares"):
            one_image(tmp_path / "file")


def test_text_that_no_database_or_json_holds(tmp_path: Path) -> None:
    odd = {"Name": "a\ud800b\0c", "ImageTags": {"odd \udfff": "x\ud800"}}
    image = files.dm_image(pixels()) | odd
    spectrum = files.dm_image(pixels("float32", (9,))) | odd
    (tmp_path / "file").write_bytes(files.DigitalMicrograph(3).file([image, spectrum]))
    info = reading.read(tmp_path / "file", max_pixels=LIMIT).info
    text = json.dumps(asdict(info), ensure_ascii=False)
    assert text.encode()
    assert "\\u0000" not in text
    assert (info.signals[0].title, info.skipped[0].title) == ("a?bc", "a?bc")


def test_long_metadata_is_cut(tmp_path: Path) -> None:
    image = files.dm_image(pixels())
    image["ImageTags"] = {f"tag {n}": "x" * 1000 for n in range(200)}
    (tmp_path / "file").write_bytes(files.DigitalMicrograph(3).file([image]))
    metadata = one_image(tmp_path / "file")[1].metadata
    assert metadata["truncated"] is True
    assert len(str(metadata)) < 80_000
