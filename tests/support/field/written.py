"""What is written has offsets, and units of its own."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.field import writers as w
from tests.support.field.cases import case, only
from worker import formats
from worker.contract import ImageInfo

STEPS = (("deg", 2.0, -90.0), ("s", 0.5, 3.0), ("nm", 2.0, -4.0), ("deg", -2.0, 60.0))


def images(units: tuple[str, ...] = ("nm", "µm", "Å", "1/nm")) -> Iterator[ImageInfo]:
    """An image and stacks of all steps, in each unit."""
    for unit in units:
        calibrated = ((0.02, 0.03), unit)
        yield ImageInfo("dm3", w.SHAPE, "uint16", *calibrated, title="HAADF", origin=(-1.5, 2.5))
        for frames, step, first in STEPS:
            yield ImageInfo(
                *("dm3", w.STACK, "uint16", *calibrated),
                title="HAADF",
                frame_step=step,
                frame_unit=frames,
                origin=(-1.5, 2.5),
                frame_origin=first,
            )


def write(path: Path, info: ImageInfo, format_: str) -> None:
    formats.write(path, w.counts(info.shape).astype(np.float32), info, format_)


@case("written", "hspy")
def written_as_hspy(folder: Path) -> None:
    _same(folder / "a.hspy", "hspy")


@case("written", "tiff")
def written_as_tiff(folder: Path) -> None:
    _same(folder / "a.tif", "tiff")


def _same(path: Path, format_: str) -> None:
    for info in images():
        write(path, info, format_)
        found = only(path)
        assert found.unit == info.unit
        assert found.pixel_size == pytest.approx(info.pixel_size)
        assert found.origin == pytest.approx(info.origin)
        assert (found.frame_step, found.frame_unit) == (info.frame_step, info.frame_unit)
        assert found.frame_origin == info.frame_origin


@case("written", "mrc")
def written_as_mrc(folder: Path) -> None:
    for info in images(("nm", "µm", "Å")):
        write(folder / "a.mrc", info, "mrc")
        found = only(folder / "a.mrc")
        factor = {"nm": 1.0, "µm": 1000.0, "Å": 0.1}[info.unit or ""]
        assert found.pixel_size == pytest.approx((0.02 * factor, 0.03 * factor))
        assert found.origin == pytest.approx((-1.5 * factor, 2.5 * factor))


@case("written", "mrc")
def one_angstrom_of_ours_is_one(folder: Path) -> None:
    info = ImageInfo("dm3", w.SHAPE, "uint16", (0.1, 0.1), "nm")
    write(folder / "a.mrc", info, "mrc")
    assert only(folder / "a.mrc").pixel_size == pytest.approx((0.1, 0.1))
