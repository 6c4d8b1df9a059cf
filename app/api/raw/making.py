"""Writing a pyramid, a band of rows at a time: the image may be larger than the memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from app.api.raw.layout import (
    FLOAT32,
    LADDER,
    TILE,
    Combine,
    Layout,
    Level,
    as_float32,
    digests,
)


def write(target: Path, sources: Sequence[NDArray[Any]], combine: Combine) -> None:
    """Write the pyramid of what `combine` makes of the sources, a band of rows at a time.

    Parameters
    ----------
    target : Path
    sources : sequence of ndarray, shape (frames, m, n)
        May be mapped from files.
    combine : callable
        Of the sources' bands, pixel by pixel.
    """
    layout = Layout(_shape_of(sources[0]))
    found: dict[int, list[bytes]] = {reduce: [] for reduce in LADDER}
    with target.open("w+b") as file:
        file.truncate(layout.levels_size)
        for frame in range(layout.shape[0]):
            for start in range(0, layout.shape[1], TILE):
                bands = [np.asarray(each[frame, start : start + TILE]) for each in sources]
                found[1] += digests(bands)
                _write_means(file, layout, frame, start, combine(*bands))
        file.flush()
        for reduce in LADDER[1:]:
            level = Level.of_pyramid(file, layout, reduce)
            for frame in range(layout.shape[0]):
                for start in range(0, level.shape[1], TILE):
                    rows = slice(start, min(start + TILE, level.shape[1]))
                    found[reduce] += digests([level.rows(frame, rows)])
        file.seek(layout.levels_size)
        file.writelines(digest for reduce in LADDER for digest in found[reduce])


def _write_means(
    file: BinaryIO, layout: Layout, frame: int, start: int, band: NDArray[Any]
) -> None:
    """The part of every reduced level that a band of rows yields."""
    height, width = band.shape
    sums: NDArray[Any] = band
    for reduce in LADDER[1:]:
        sums = _halved(_halved(sums).T).T
        counts = np.outer(_counts(height, reduce), _counts(width, reduce))
        means = as_float32(sums / counts)
        _, m, n = layout.level(reduce)
        first = frame * m + start // reduce
        file.seek(layout.offset(reduce) + FLOAT32.itemsize * first * n)
        file.write(np.ascontiguousarray(means).data)


def _halved(sums: NDArray[Any]) -> NDArray[np.float64]:
    """Sums of pairs of rows; the last may have no other."""
    halved = sums[::2].astype(np.float64)
    halved[: len(sums) // 2] += sums[1::2]
    return halved


def _counts(length: int, reduce: int) -> NDArray[np.int64]:
    """How many pixels each block along an axis holds."""
    return np.diff(np.arange(0, length, reduce), append=length)


def _shape_of(stack: NDArray[Any]) -> tuple[int, int, int]:
    frames, m, n = stack.shape
    return frames, m, n
