"""Writing a pyramid, a band of rows at a time: the image may be larger than the memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from worker.pyramid.layout import (
    FLOAT32,
    KEPT,
    TILE,
    Combine,
    Layout,
    Level,
    as_float32,
    digests,
)
from worker.pyramid.means import block_sizes, block_sums


def write(
    target: Path, sources: Sequence[NDArray[Any]], combine: Combine, table: Path | None = None
) -> None:
    """Write the pyramid of what `combine` makes of the sources, a band of rows at a time.

    Parameters
    ----------
    target : Path
    sources : sequence of ndarray, shape (frames, m, n)
        May be mapped from files.
    combine : callable
        Of the sources' bands, pixel by pixel.
    table : Path, optional
        A file for the digests of the tiles; by default they are the end of the target.
    """
    layout = Layout(_shape_of(sources[0]))
    found: dict[int, list[bytes]] = {reduce: [] for reduce in (1, *KEPT)}
    with target.open("w+b") as file:
        file.truncate(layout.levels_size)
        for frame in range(layout.shape[0]):
            for start in range(0, layout.shape[1], TILE):
                bands = [np.asarray(each[frame, start : start + TILE]) for each in sources]
                found[1] += digests(bands)
                _write_means(file, layout, frame, start, combine(*bands))
        file.flush()
        for reduce in KEPT:
            level = Level.of_pyramid(file, layout, reduce)
            for frame in range(layout.shape[0]):
                for start in range(0, level.shape[1], TILE):
                    rows = slice(start, min(start + TILE, level.shape[1]))
                    found[reduce] += digests([level.rows(frame, rows)])
        all_found = b"".join(digest for reduce in (1, *KEPT) for digest in found[reduce])
        if table is None:
            file.seek(layout.levels_size)
            file.write(all_found)
        else:
            table.write_bytes(all_found)


def _write_means(
    file: BinaryIO, layout: Layout, frame: int, start: int, band: NDArray[Any]
) -> None:
    """The part of every reduced level that a band of rows yields."""
    height, width = band.shape
    sums, side = band, 1
    for reduce in KEPT:
        sums, side = block_sums(sums, reduce // side), reduce
        means = as_float32(sums / block_sizes((height, width), reduce))
        _, m, n = layout.level(reduce)
        first = frame * m + start // reduce
        file.seek(layout.offset(reduce) + FLOAT32.itemsize * first * n)
        file.write(np.ascontiguousarray(means).data)


def _shape_of(stack: NDArray[Any]) -> tuple[int, int, int]:
    frames, m, n = stack.shape
    return frames, m, n
