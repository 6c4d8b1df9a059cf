"""Options offer what the core and the formats take."""

from typing import get_args

from app.commands import options
from reucid_core import params
from worker.denoising import selection
from worker.formats import COLORMAPS


def test_choices_are_those_of_the_core_and_the_formats() -> None:
    assert options.Engine == params.Engine
    assert options.ScanNoise == params.ScanNoiseChoice
    assert options.Select == params.Select
    assert options.Precision == params.Precision
    assert options.ScanAxis == params.ScanAxis
    assert set(get_args(options.Method)) == set(get_args(params.Method))
    assert options.FramesMode == selection.Frames
    assert set(get_args(options.Colormap)) == set(COLORMAPS)
