"""Inputs that went wrong once, where their folder lies beside the repository."""

import os
from pathlib import Path

import pytest

from tests.support.places import FIELD
from worker.contract import FileInfo, ImageInfo
from worker.decoding.inspection import inspect_file
from worker.formats import FormatError

FOLDER = Path(os.environ.get("REUCID_FIELD_FILES", FIELD))

# Shape, pixel in nm, step between frames; of the signal that is denoised by default.
RIGHT: dict[str, tuple[tuple[int, ...], tuple[float, float] | None, tuple[float, str] | None]] = {
    "units_differ.hspy": ((128, 160), (5.1, 5.1), None),
    "ome_units_differ.ome.tif": ((128, 160), (16.5, 16.5), None),
    "ome_two_magnifications.ome.tif": ((128, 160), (0.02, 0.02), None),
    "ome_ampersand.ome.tif": ((128, 160), (16.5, 16.5), None),
    "writer_3d.emd": ((7, 128, 160), (0.04, 0.02), (1.0, "s")),
    "fei_tomo_old.mrc": ((5, 128, 160), (2.1, 2.1), None),
    "mode0_unsigned_nostats.mrc": ((128, 160), (0.02, 0.02), None),
    "no_photometric.tif": ((128, 160), None, None),
    "minwhite.tif": ((128, 160), None, None),
    "sizes_differ.ser": ((64, 96), (0.02, 0.02), None),
    "latin1/latin1.emi": ((16, 16), (21.51, 21.51), None),
    "only2/only2.emi": ((16, 16), (21.51, 21.51), None),
}
NOTED = {
    "ome_ampersand.ome.tif": "well-formed",
    "mode0_unsigned_nostats.mrc": "unsigned",
    "minwhite.tif": "inverted",
    "sizes_differ.ser": "differ in size",
    "latin1/latin1.emi": "Latin-1",
    "frames_last.npy": "moveaxis",
}
REFUSED = {
    "cl_map_no_unit.hspy": "spectrum image",
    "cryocare_no_ext.mrc": "extended header of 49920 bytes",
    "mode101.mrc": r"mode 101 \(4 bits\)",
}


def contents(name: str) -> FileInfo:
    if not (FOLDER / name).exists():
        pytest.skip("no such inputs: name their folder with REUCID_FIELD_FILES")
    return inspect_file(FOLDER / name)


def default(name: str) -> ImageInfo:
    found = contents(name)
    return found.signals[found.default or 0]


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right(name: str) -> None:
    shape, size, step = RIGHT[name]
    info = default(name)
    assert info.shape == shape
    assert info.pixel_size == (size and pytest.approx(size, rel=1e-4))
    assert info.unit == (size and "nm")
    assert (info.frame_step, info.frame_unit) == (step or (None, None))


@pytest.mark.parametrize("name", NOTED)
def test_what_is_noted(name: str) -> None:
    assert NOTED[name] in " ".join(default(name).notes)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    with pytest.raises(FormatError, match=REFUSED[name]):
        contents(name)


def test_metadata_by_number() -> None:
    assert default("only2/only2.emi").dwell_time == 48e-6
    assert len(contents("twelve/s.emi").signals) == 12
