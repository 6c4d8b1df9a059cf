"""Reading regions of a pyramid, every tile that they touch checked."""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.pyramid.layout import (
    DIGEST,
    FLOAT32,
    KEPT,
    TILE,
    Combine,
    DamagedTileError,
    Float32,
    Layout,
    Level,
    Region,
    as_float32,
    digests,
    itself,
)
from worker.pyramid.means import block_means

Find = Callable[[], Path]  # where a file is; it may have to be fetched first


@dataclass(frozen=True)
class Origin:
    """An .npy file that a pyramid was made from, and which frame of it is the first."""

    find: Find
    first: int = 0


@dataclass(frozen=True)
class Pyramid:
    """A pyramid that was written, and what it was written from. Files are found when needed.

    Parameters
    ----------
    levels : callable
        Finds the file that begins with the levels.
    table : callable
        Finds the file that ends with the digests of their tiles; may be the same.
    shape : tuple of int
        (frames, m, n).
    origins : tuple of Origin
    combine : callable
    table_sha256 : str, optional
        Of the table, where nobody has checked it yet.
    """

    levels: Find
    table: Find
    shape: tuple[int, int, int]
    origins: tuple[Origin, ...]
    combine: Combine = itself
    table_sha256: str | None = None

    def read(self, frame: int, region: Region) -> Float32:
        """A region of a level, every tile that it touches checked.

        Returns
        -------
        ndarray, shape (h, w), little-endian float32

        Raises
        ------
        DamagedTileError
            When the pyramid or an origin is not what it was, or is not there.
        """
        layout, side = Layout(self.shape), region.reduce
        out = np.empty(region.shape, FLOAT32)
        is_kept = side in KEPT
        part = region if is_kept else region.in_full(self.shape[1:])
        try:
            with ExitStack() as files:
                table = self._table(layout, part.reduce)
                levels = self._levels(files, layout, part.reduce)
                for strip in _strips(part):
                    parts = strip.checked(levels, frame, table)
                    if is_kept:
                        out[strip.target] = parts[0]
                    else:
                        pixels = self.combine(*parts)
                        rows = strip.target
                        rows = slice(rows.start // side, -(-rows.stop // side))
                        out[rows] = as_float32(block_means(pixels, side) if side > 1 else pixels)
        except (OSError, ValueError, EOFError) as error:
            raise DamagedTileError from error
        return out

    def _table(self, layout: Layout, reduce: int) -> NDArray[np.uint8]:
        """The digests of a level's tiles, shape (frames, rows, columns, DIGEST)."""
        content = layout.table(self.table())
        if self.table_sha256 not in (None, hashlib.sha256(content).hexdigest()):
            raise DamagedTileError
        scales = (1, *KEPT)
        before = sum(math.prod(layout.tiles(each)) for each in scales[: scales.index(reduce)])
        tiles = layout.tiles(reduce)
        table = np.frombuffer(content, np.uint8).reshape(-1, DIGEST)
        return table[before:][: math.prod(tiles)].reshape(*tiles, DIGEST)

    def _levels(self, files: ExitStack, layout: Layout, reduce: int) -> list["Level"]:
        if reduce > 1:
            file = files.enter_context(self.levels().open("rb"))
            return [Level.of_pyramid(file, layout, reduce)]
        return [
            Level.of_npy(files.enter_context(each.find().open("rb")), layout, each.first)
            for each in self.origins
        ]


@dataclass(frozen=True)
class _Strip:
    """The part of a region that lies in one row of tiles."""

    row: int  # of tiles
    tiles: range  # columns of them
    rows: slice  # of the level, that the region has of this row of tiles
    columns: slice
    target: slice  # rows of the region

    def checked(
        self, levels: Sequence["Level"], frame: int, table: NDArray[np.uint8]
    ) -> list[NDArray[Any]]:
        """Of each level the pixels of the strip, once its tiles are known to be what they were."""
        height, width = levels[0].shape[1:]
        top, left = self.row * TILE, self.tiles.start * TILE
        rows = slice(top, min(top + TILE, height))
        columns = slice(left, min(self.tiles.stop * TILE, width))
        whole = [level.rows(frame, rows, columns) for level in levels]
        for digest, column in zip(digests(whole), self.tiles, strict=True):
            if digest != table[frame, self.row, column].tobytes():
                raise DamagedTileError
        inner = slice(self.rows.start - top, self.rows.stop - top)
        across = slice(self.columns.start - left, self.columns.stop - left)
        return [part[inner, across] for part in whole]


def _strips(region: Region) -> Iterator[_Strip]:
    first, last = region.rows.start, region.rows.stop
    columns = region.columns
    tiles = range(columns.start // TILE, -(-columns.stop // TILE))
    for row in range(first // TILE, -(-last // TILE)):
        rows = slice(max(first, row * TILE), min(last, (row + 1) * TILE))
        target = slice(rows.start - first, rows.stop - first)
        yield _Strip(row, tiles, rows, columns, target)
