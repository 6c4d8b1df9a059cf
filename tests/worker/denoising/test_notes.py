"""What was doubtful in a file is in the report of what was made of it."""

import pytest

from reucid_core import ParameterError
from worker.contract import FileInfo, ImageInfo
from worker.denoising.selection import Selection

DOUBTFUL = ImageInfo(
    *("mrc", (3, 24, 20), "uint8"), frame_step=2.0, frame_unit="deg", frame_origin=-90.0,
    notes=("taken as unsigned",),
)  # fmt: skip


def test_notes_are_in_the_reports_input() -> None:
    contents = FileInfo("mrc", (DOUBTFUL,))
    assert Selection().of(contents).to_dict()["notes"] == ["taken as unsigned"]
    assert (
        "notes" not in Selection().of(FileInfo("npy", (ImageInfo("npy", (9, 9), "u1"),))).to_dict()
    )


def test_one_frame_is_at_no_place_among_frames() -> None:
    info = Selection(frame=1).of(FileInfo("mrc", (DOUBTFUL,))).info
    assert (info.frame_step, info.frame_unit, info.frame_origin) == (None, None, None)


def test_of_arrays_one_has_to_be_named() -> None:
    arrays = tuple(ImageInfo("hdf5", (24, 20), "uint16", title=name) for name in ("a", "b"))
    contents = FileInfo("hdf5", arrays, default=None)
    with pytest.raises(ParameterError, match="got no signal, expected one of 0 'a', 1 'b'"):
        Selection().of(contents)
    assert Selection(signal="b").of(contents).index == 1
