"""What a job takes of a file."""

import numpy as np
import pytest

from reucid_core import DenoiseParams, ParameterError
from worker.contract import FileInfo, ImageInfo
from worker.denoising.selection import Selection

TWO = FileInfo(
    "velox",
    tuple(ImageInfo("velox", (5, 40, 60), "uint16", title=title) for title in ("BF", "HAADF")),
    default=1,
)


@pytest.mark.parametrize(
    ("selection", "index", "origin"),
    [
        (Selection(), 1, "default"),
        (Selection(signal=0), 0, "stated"),
        (Selection(signal="BF"), 0, "stated"),
    ],
)
def test_signal_is_chosen(selection: Selection, index: int, origin: str) -> None:
    chosen = selection.of(TWO)
    assert (chosen.index, chosen.origin, chosen.info.shape) == (index, origin, (5, 40, 60))


def test_one_frame_is_an_image() -> None:
    chosen = Selection(frame=4).of(TWO)
    stack = np.arange(5 * 40 * 60).reshape(5, 40, 60)
    assert chosen.info.shape == (40, 60)
    np.testing.assert_array_equal(chosen.pixels_of(stack), stack[4])


@pytest.mark.parametrize(
    ("selection", "params", "field"),
    [
        (Selection(signal=2), DenoiseParams(), "signal"),
        (Selection(signal="DF"), DenoiseParams(), "signal"),
        (Selection(frame=5), DenoiseParams(), "frame"),
        (Selection(), DenoiseParams(patch_size=41), "patch_size"),
        (Selection(frames="joint"), DenoiseParams(stacks=2), "frames"),
        (Selection(frames="joint"), DenoiseParams(engine="stacked"), "frames"),
    ],
)
def test_what_does_not_fit_is_refused(
    selection: Selection, params: DenoiseParams, field: str
) -> None:
    with pytest.raises(ParameterError) as refused:
        selection.check(TWO, params)
    assert refused.value.field == field
