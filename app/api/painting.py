"""What a child draws, from files that were checked, into a file of its own; see `app.api.drawing`.

Every function takes the target and its sources first, and gives the clipped pixels where somebody
asked for them. All that is needed is imported here: in the child nothing else can be.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.api.pictures import (
    block_means,
    block_means_in_pieces,
    draw_eigenpatch,
    draw_eigenpatches,
    draw_preview,
)
from reucid_core.replay import replay
from reucid_core.revision import Verdicts, judged_anew
from reucid_core.threads import find_libraries
from worker import formats
from worker.contract import ImageInfo
from worker.denoising.artifacts import departures, whole_coverage
from worker.denoising.reports import eigenpatches_key
from worker.denoising.revising import eigenpatches_of, reports_of
from worker.denoising.selection import Chosen, as_stack
from worker.formats import Look
from worker.pyramid.layout import KEPT, Layout, Level, Region, as_float32, difference, itself
from worker.pyramid.making import write as write_pyramid
from worker.pyramid.means import coarser

find_libraries()

PLENTY = 2**40  # bytes: what a child may use is limited, and what there is it cannot see


def paint_preview(target: Path, pixels: Path, step: int) -> None:
    """The first frame as means of blocks of so many px, stretched."""
    draw_preview(block_means_in_pieces(as_stack(_mapped(pixels))[0], step), target)


def paint_preview_of_levels(target: Path, levels: Path, shape: tuple[int, ...], step: int) -> None:
    """The same of an array of this shape, from the levels that are kept of it."""
    layout = Layout.of(shape)
    reduce = max(each for each in KEPT if each <= step)
    with levels.open("rb") as file:
        level = Level.of_pyramid(file, layout, reduce)
        means = level.rows(0, slice(0, level.shape[1]))
    draw_preview(coarser(means, reduce, layout.shape[1:], step), target)


def paint_image(target: Path, image: Path, info: ImageInfo, wish: "Wanted") -> int | None:
    """An image or a stack as it is stored."""
    return _write(target, wish.part(_mapped(image)), info, wish)


def paint_input(target: Path, signal: Path, chosen: Chosen, wish: "Wanted") -> int | None:
    """What was to be denoised."""
    return _write(target, wish.part(chosen.pixels_of(_mapped(signal))), chosen.info, wish)


def paint_residual(
    target: Path, result: Path, signal: Path, chosen: Chosen, wish: "Wanted"
) -> int | None:
    """What was denoised minus the result."""
    denoised, noisy = _mapped(result), chosen.pixels_of(_mapped(signal))
    if wish.format == "png":
        shown, raw = wish.part(denoised), wish.part(noisy)
        height, width = shown.shape
        rest = formats.Rows(
            (height, width), shown.dtype, lambda rows: difference(shown[rows], raw[rows])
        )
        return _draw(target, rest, chosen.info, wish)
    pixels = wish.part(noisy).astype(denoised.dtype)
    pixels -= wish.part(denoised)
    return _write(target, pixels, chosen.info, wish)


def paint_coverage(target: Path, report: Path, info: ImageInfo, wish: "Wanted") -> int | None:
    """The coverage of a whole result, which is not stored."""
    return _write(target, wish.part(whole_coverage(json.loads(report.read_bytes()))), info, wish)


def paint_departures(target: Path, report: Path, info: ImageInfo, wish: "Wanted") -> int | None:
    """The map of departures, which the report holds."""
    return _write(target, wish.part(departures(json.loads(report.read_bytes()))), info, wish)


def paint_eigenpatches(
    target: Path, stored: Path, drawn: int, stack_reports: Sequence[Mapping[str, Any]]
) -> None:
    """The montage of a frame's offered eigenpatches."""
    with np.load(stored) as held:
        patches = {
            each["stack"]: held[eigenpatches_key(drawn, each["stack"])] for each in stack_reports
        }
    draw_eigenpatches(patches, stack_reports).save(target, format="PNG")


def paint_eigenpatch(target: Path, stored: Path, drawn: int, stack: int, index: int) -> None:
    """One eigenpatch, counted from 1."""
    with np.load(stored) as held:
        patch = held[eigenpatches_key(drawn, stack)][index - 1]
    draw_eigenpatch(patch).save(target, format="PNG")


def paint_pyramid(target: Path, stored: Path) -> None:
    """The means of an image or a stack as it is stored, at all scales."""
    write_pyramid(target, [as_stack(_mapped(stored))], itself)


def paint_residual_pyramid(target: Path, result: Path, signal: Path, chosen: Chosen) -> None:
    """The same of what was denoised minus the result."""
    noisy = as_stack(chosen.pixels_of(_mapped(signal)))
    write_pyramid(target, [as_stack(_mapped(result)), noisy], difference)


def paint_revision(
    target: Path, stored: Path, signal: Path, chosen: Chosen, revised: "Revised"
) -> None:
    """The numbers of a frame's result with a person's verdicts: a part of it, at a scale."""
    noisy = as_stack(chosen.pixels_of(_mapped(signal)))[revised.frame]
    report = reports_of(revised.told)[revised.frame]
    with np.load(stored) as held:
        eigenpatches = eigenpatches_of(held, revised.told, revised.frame, report)
    judged = judged_anew(report, revised.verdicts)
    image, _ = replay(noisy, judged, eigenpatches, threads=1, memory=PLENTY)
    k, rows, columns = revised.region.reduce, revised.region.rows, revised.region.columns
    part = image[k * rows.start : k * rows.stop, k * columns.start : k * columns.stop]
    target.write_bytes(as_float32(block_means(part, k) if k > 1 else part).tobytes())


def paint_eigenpatch_numbers(target: Path, stored: Path, drawn: int, stack: int) -> None:
    """All offered eigenpatches of a decomposition."""
    with np.load(stored) as held:
        patches = held[eigenpatches_key(drawn, stack)]
    target.write_bytes(as_float32(patches).tobytes())


@dataclass(frozen=True)
class Revised:
    """How a frame of a result is to be revised, and which part of it is wanted."""

    told: Mapping[str, Any]  # the report
    frame: int
    verdicts: Verdicts
    region: Region


class Wanted:
    """How an image is wanted, without what only the API knows of it."""

    def __init__(self, format_: str, source: bool, frame: int | None, look: Look | None) -> None:
        self.format, self.source, self.frame, self.look = format_, source, frame, look

    def part(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """The frame that is wanted, if any."""
        return pixels if self.frame is None else as_stack(pixels)[self.frame]


def _write(target: Path, pixels: NDArray[Any], info: ImageInfo, wish: Wanted) -> int | None:
    if wish.format == "png":
        return _draw(target, formats.Rows.of(pixels), info, wish)
    formats.write(target, pixels, info, wish.format, source=wish.source, look=wish.look)
    return formats.clipped_pixels(pixels, np.dtype(info.dtype)) if wish.source else None


def _draw(target: Path, image: formats.Rows, info: ImageInfo, wish: Wanted) -> int | None:
    """A picture, of which no more than a band is held where it is large."""
    formats.write_picture(target, image, info, wish.look, source=wish.source)
    if not wish.source:
        return None
    return sum(formats.clipped_pixels(band, np.dtype(info.dtype)) for band in image.bands())


def _mapped(path: Path) -> NDArray[Any]:
    pixels: NDArray[Any] = np.load(path, mmap_mode="r")
    return pixels
