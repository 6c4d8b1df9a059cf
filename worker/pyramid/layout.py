"""How a pyramid of means is kept: an image or a stack at full scale and at 1/2, 1/4, ...

A file holds the levels from 1/4 on one after another, float32 in row order: a twelfth of an image
of float32. A digest of every tile of every level follows, or is in a file of its own. The level of
full scale stays in the arrays that the pyramid was made from, and that of 1/2 is made of it when it
is read. So a region is read, and checked, without looking at the rest of a large image.
"""

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

LADDER = (1, 2, 4, 8, 16, 32, 64, 128)  # px of the image along the side of one of a level
KEPT = LADDER[2:]  # what is in the file
LARGE = 2**22  # px, of all frames, above which levels are written where the array is
LEVELS, TILES = ".levels", ".tiles"  # suffixes of the files beside an array's
TILE = 256  # px of a level along the side of a tile; a multiple of the largest reduction's step
DIGEST = 16  # bytes of a tile's SHA-256 that are kept
FLOAT32 = np.dtype("<f4")

Float32 = NDArray[np.float32]
Combine = Callable[..., NDArray[Any]]


class DamagedTileError(Exception):
    """A tile is not what it was when the pyramid was made."""


def itself(image: NDArray[Any]) -> NDArray[Any]:
    """An image as it is stored."""
    return image


def difference(denoised: NDArray[Any], noisy: NDArray[Any]) -> NDArray[Any]:
    """The residual, in the type of the result."""
    residual: NDArray[Any] = noisy.astype(denoised.dtype) - denoised
    return residual


@dataclass(frozen=True)
class Region:
    """Part of a level: rows and columns in px of it."""

    reduce: int
    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    def in_full(self, shape: tuple[int, ...]) -> "Region":
        """The same at full scale, in an image of this shape, (m, n)."""
        rows, columns = (
            slice(self.reduce * part.start, min(self.reduce * part.stop, length))
            for part, length in zip((self.rows, self.columns), shape, strict=True)
        )
        return Region(1, rows, columns)


@dataclass(frozen=True)
class Layout:
    """Where everything lies in the pyramid of a stack of this shape, (frames, m, n)."""

    shape: tuple[int, int, int]

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> "Layout":
        """Of an image, (m, n), or a stack."""
        frames, m, n = shape if len(shape) == 3 else (1, *shape)
        return cls((frames, m, n))

    def level(self, reduce: int) -> tuple[int, int, int]:
        """The shape of a level."""
        frames, m, n = self.shape
        return frames, -(-m // reduce), -(-n // reduce)

    def offset(self, reduce: int) -> int:
        """Where a reduced level begins, in bytes."""
        before = KEPT[: KEPT.index(reduce)]
        return sum(FLOAT32.itemsize * math.prod(self.level(each)) for each in before)

    @property
    def levels_size(self) -> int:
        """Bytes of all reduced levels."""
        return self.offset(KEPT[-1]) + FLOAT32.itemsize * math.prod(self.level(KEPT[-1]))

    def tiles(self, reduce: int) -> tuple[int, int, int]:
        """Number of tiles of a level: frames, rows, columns of them."""
        frames, m, n = self.level(reduce)
        return frames, -(-m // TILE), -(-n // TILE)

    @property
    def table_size(self) -> int:
        """Bytes of the digests of all tiles."""
        return DIGEST * sum(math.prod(self.tiles(reduce)) for reduce in (1, *KEPT))

    def table_digest(self, path: Path) -> str:
        """SHA-256 of the table at the end of a file, which vouches for all levels."""
        return hashlib.sha256(self.table(path)).hexdigest()

    def table(self, path: Path) -> bytes:
        """The digests of all tiles, at the end of a file, or all of it."""
        with path.open("rb") as file:
            file.seek(-self.table_size, os.SEEK_END)
            return file.read()


@dataclass(frozen=True)
class Level:
    """The pixels of a level in a file. Not mapped: a file cut short would end the process."""

    file: BinaryIO
    offset: int  # bytes
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]

    @classmethod
    def of_pyramid(cls, file: BinaryIO, layout: Layout, reduce: int) -> "Level":
        return cls(file, layout.offset(reduce), layout.level(reduce), FLOAT32)

    @classmethod
    def of_npy(cls, file: BinaryIO, layout: Layout, first: int) -> "Level":
        """The full scale, in a file of numpy's, from one of its frames on."""
        np.lib.format.read_magic(file)
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        if fortran or shape[-2:] != layout.shape[1:]:
            raise DamagedTileError
        before = first * math.prod(shape[-2:]) * dtype.itemsize
        return cls(file, file.tell() + before, layout.shape, dtype)

    def rows(self, frame: int, rows: slice, columns: slice | None = None) -> NDArray[Any]:
        """Some rows of a frame, or some columns of them."""
        _, m, n = self.shape
        left, right = (0, n) if columns is None else (columns.start, columns.stop)
        part = np.empty((rows.stop - rows.start, right - left), self.dtype)
        row = self.dtype.itemsize * n
        start = self.offset + row * (frame * m + rows.start) + self.dtype.itemsize * left
        if right - left == n:
            self._fill(part, start)
        else:
            for number, line in enumerate(part):
                self._fill(line, start + row * number)
        return part

    def _fill(self, part: NDArray[Any], offset: int) -> None:
        if os.preadv(self.file.fileno(), [part.data.cast("B")], offset) != part.nbytes:
            raise DamagedTileError


def digests(bands: Sequence[NDArray[Any]]) -> list[bytes]:
    """Of each tile of a band as high as a tile, of all sources together."""
    width = bands[0].shape[1]
    return [
        _digest([band[:, start : start + TILE] for band in bands])
        for start in range(0, width, TILE)
    ]


def _digest(tiles: Sequence[NDArray[Any]]) -> bytes:
    digest = hashlib.sha256()
    for tile in tiles:
        digest.update(np.ascontiguousarray(tile).data)
    return digest.digest()[:DIGEST]


def as_float32(values: NDArray[Any]) -> Float32:
    """Little-endian float32; what exceeds its range becomes its largest number, never infinite."""
    if values.dtype == np.float64:
        most = np.finfo(np.float32).max
        values = np.clip(values, -most, most)
    return values.astype(FLOAT32, copy=False)


def is_large(shape: tuple[int, ...]) -> bool:
    """Whether levels of an array are written where it is made, and not when somebody looks."""
    return math.prod(shape) > LARGE


def beside(path: Path) -> tuple[Path, Path]:
    """Where the levels of an array's file are, and the digests of their tiles."""
    return path.with_suffix(LEVELS), path.with_suffix(TILES)
