"""Images that are larger than the memory they may take: looked at a band of rows at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PIECE = 2**20  # px that are held at a time
DIGIT = 16  # bits of the pixels that are counted in one pass

Band = NDArray[Any]


@dataclass(frozen=True)
class Rows:
    """An image whose rows are made when they are asked for.

    Parameters
    ----------
    shape : tuple of int
        (m, n).
    dtype : dtype
    read : callable
        Of a slice of rows, their pixels, shape (rows, n).
    """

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    read: Callable[[slice], Band]

    @classmethod
    def of(cls, image: Band) -> "Rows":
        """Of an array, which may be mapped from a file."""
        height, width = image.shape
        return cls((height, width), image.dtype, lambda rows: np.asarray(image[rows]))

    @property
    def size(self) -> int:
        return self.shape[0] * self.shape[1]

    def bands(self) -> Iterator[Band]:
        """All of it from above, so many pixels at a time."""
        step = max(1, PIECE // max(1, self.shape[1]))
        for start in range(0, self.shape[0], step):
            yield self.read(slice(start, min(start + step, self.shape[0])))

    def converted(self, dtype: np.dtype[Any], convert: Callable[[Band], Band]) -> "Rows":
        """The same in another type, pixel by pixel."""
        return Rows(self.shape, dtype, lambda rows: convert(self.read(rows)))


def percentiles(image: Rows, wanted: Sequence[float]) -> list[float]:
    """Percentiles as `numpy.percentile` finds them, of all pixels, in the memory of a band.

    Order statistics by radix: pixels are counted by the leading bits of their keys, integers in the
    same order, then those that share these by the next, until the keys are known.
    """
    places = [share / 100 * (image.size - 1) for share in wanted]
    ranks = sorted({rank for place in places for rank in (int(place), -int(-place // 1))})
    found = dict(zip(ranks, _order_statistics(image, ranks), strict=True))
    return [
        found[int(place)] + (found[-int(-place // 1)] - found[int(place)]) * (place - int(place))
        for place in places
    ]


def _order_statistics(image: Rows, ranks: Sequence[int]) -> list[float]:
    bits = 8 * image.dtype.itemsize
    digit = min(DIGIT, bits)
    known = [0] * len(ranks)  # the leading bits of each key
    left = list(ranks)  # its rank among the pixels that share these
    for shift in range(bits - digit, -1, -digit):
        counts = {prefix: np.zeros(2**digit, np.int64) for prefix in known}
        for band in image.bands():
            keys = _keys(band)
            for prefix, count in counts.items():
                same = keys if shift + digit == bits else keys[keys >> (shift + digit) == prefix]
                digits = (same >> shift) & (2**digit - 1)
                count += np.bincount(digits.astype(np.int64), minlength=2**digit)
        for index, prefix in enumerate(known):
            below = np.cumsum(counts[prefix])
            place = int(np.searchsorted(below, left[index], side="right"))
            left[index] -= int(below[place - 1]) if place else 0
            known[index] = prefix << digit | place
    return [_value(key, image.dtype) for key in known]


def _keys(band: Band) -> NDArray[Any]:
    """Unsigned integers in the order of the pixels, shape (pixels,)."""
    band = np.ascontiguousarray(band, band.dtype.newbyteorder("=")).ravel()
    unsigned = band.view(f"u{band.dtype.itemsize}")
    sign = unsigned.dtype.type(1 << (8 * band.dtype.itemsize - 1))
    if band.dtype.kind == "f":
        return np.where(unsigned & sign, ~unsigned, unsigned | sign)
    return unsigned ^ sign if band.dtype.kind == "i" else unsigned


def _value(key: int, dtype: np.dtype[Any]) -> float:
    """The pixel that has a key."""
    bits = 8 * dtype.itemsize
    sign = 1 << (bits - 1)
    if dtype.kind == "f":
        key = key & ~sign if key & sign else ~key & (2**bits - 1)
    elif dtype.kind == "i":
        key ^= sign
    kept = np.array([key], f"u{dtype.itemsize}")
    return float(kept.view(dtype.newbyteorder("="))[0])
