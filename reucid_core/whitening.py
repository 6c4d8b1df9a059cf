"""Whitening: an image's cosine transform, multiplied by the inverse root of the noise's power.

A cosine transform is orthonormal and knows no wrap at the borders, so whitening is exactly
invertible. In the whitened image the noise of every pixel is independent and of variance 1.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
from numpy.typing import DTypeLike, NDArray

from reucid_core.correlation import fast_shape
from reucid_core.eigenpatches import FloatArray
from reucid_core.noise import NoiseModel

Float64 = NDArray[np.float64]

BLOCK = 2**20  # pixels transformed at a time


@dataclass(frozen=True)
class Whitening:
    """Factors by cosine frequency.

    Parameters
    ----------
    rows : ndarray, shape (m,) or (1,)
        Along y; a single one is a factor of the image.
    columns : ndarray, shape (n,) or (1,)
        Along x.
    threads : int or None
    """

    rows: Float64
    columns: Float64
    threads: int | None = None

    @classmethod
    def of(cls, noise: NoiseModel, *, threads: int | None = None) -> "Whitening":
        """That of a noise, which must not be of kind `none`."""
        rows, columns = (_thrifty(1 / np.sqrt(power)) for power in noise.spectrum())
        return cls(rows, columns, threads)

    @property
    def by_row(self) -> bool:
        """Whether any rows can be whitened or coloured without the others."""
        return len(self.rows) == 1

    def of_height(self, m: int) -> "Whitening":
        """That of an image of another number of rows with the same noise."""
        if self.by_row or len(self.rows) == m:
            return self
        frequencies = np.arange(m) / m
        rows = np.interp(frequencies, np.arange(len(self.rows)) / len(self.rows), self.rows)
        return replace(self, rows=rows)

    def whiten(self, image: FloatArray) -> FloatArray:
        """The whitened image, shape (m, n), in its own type."""
        return self._apply(image, self.rows, self.columns, np.empty(image.shape, image.dtype))

    def colour(self, whitened: FloatArray, *, out: FloatArray | None = None) -> FloatArray:
        """The image again, shape (m, n), or rows of it `by_row`; `out` may be the argument."""
        out = np.empty(whitened.shape, whitened.dtype) if out is None else out
        return self._apply(whitened, 1 / self.rows, 1 / self.columns, out)

    def of_constant(self, level: float) -> float:
        """What the whitening of a constant image is, which is constant, too."""
        return level * float(self.rows[0] * self.columns[0])

    def _apply(
        self, image: FloatArray, rows: Float64, columns: Float64, out: FloatArray
    ) -> FloatArray:
        if len(rows) == len(columns) == 1:
            return np.multiply(image, image.dtype.type(rows[0] * columns[0]), out=out)
        if len(rows) == 1:
            return cosine_filter(image, rows[0] * columns, axis=1, threads=self.threads, out=out)
        if len(columns) == 1:
            return cosine_filter(image, columns[0] * rows, axis=0, threads=self.threads, out=out)
        along_x = cosine_filter(image, columns, axis=1, threads=self.threads, out=out)
        return cosine_filter(along_x, rows, axis=0, threads=self.threads, out=out)


def cosine_filter(
    image: FloatArray,
    factors: Float64,
    *,
    axis: int,
    threads: int | None = None,
    out: FloatArray | None = None,
    precision: DTypeLike = np.float64,
) -> FloatArray:
    """Multiply an image's cosine transform along an axis.

    Parameters
    ----------
    image : ndarray, shape (m, n)
    factors : ndarray, shape (length of the axis,)
    axis : {0, 1}
    threads : int, optional
    out : ndarray, shape (m, n), optional
        May be the image; by default a new array in the image's type.
    precision : numpy.float32 or numpy.float64
        Of the transforms.
    """
    out = np.empty(image.shape, image.dtype) if out is None else out
    lines, into = (image, out) if axis == 1 else (image.T, out.T)
    step = max(1, BLOCK // lines.shape[1])
    factors = factors.astype(precision)
    for start in range(0, len(lines), step):
        block = lines[start : start + step].astype(precision)
        transform = scipy.fft.dct(block, axis=1, norm="ortho", workers=threads, overwrite_x=True)
        transform *= factors
        into[start : start + step] = scipy.fft.idct(
            transform, axis=1, norm="ortho", workers=threads, overwrite_x=True
        )
    return out


def half_band(image: FloatArray, *, threads: int | None = None) -> FloatArray:
    """The image without its upper half of frequencies along both axes, shape (m, n).

    An image whose sides have no fast transform is mirrored at its end up to those that have.
    """
    m, n = image.shape
    M, N = fast_shape(image.shape)
    if (m, n) != (M, N):
        image = np.pad(image, ((0, M - m), (0, N - n)), mode="symmetric")
    low = np.empty((M, N), image.dtype)
    for axis, source in ((1, image), (0, low)):
        passed = (np.arange(low.shape[axis]) < (low.shape[axis] + 1) // 2).astype(np.float64)
        cosine_filter(source, passed, axis=axis, threads=threads, out=low, precision=low.dtype)
    return np.ascontiguousarray(low[:m, :n])


def _thrifty(factors: Float64) -> Float64:
    """One factor where all are the same: no transform is needed."""
    return factors[:1] if (factors == factors[0]).all() else factors
