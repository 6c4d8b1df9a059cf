"""All figures of one reconstruction whose truth is known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage

from reucid_core.eigenpatches import FloatArray
from reucid_core.metrics import ief, psnr, ssim, whiteness

VISIBLE = 0.2  # of the largest change: what a defect's region is, without the tails between two
SLIGHT = 0.1  # of the largest defect's energy: below it, a defect is cut off by the border


@dataclass(frozen=True)
class Defect:
    """A point defect in an image.

    Parameters
    ----------
    window : (slice, slice)
        Rows and columns.
    change : ndarray, shape of the window, float64
        What the defect adds to the perfect crystal's image; zero outside its region.
    """

    window: tuple[slice, slice]
    change: FloatArray

    @property
    def place(self) -> tuple[int, int]:
        """Row and column of the largest change, in px."""
        row, column = np.unravel_index(np.argmax(np.abs(self.change)), self.change.shape)
        return self.window[0].start + int(row), self.window[1].start + int(column)


@dataclass(frozen=True)
class Merit:
    """The evaluation's figures of merit.

    Parameters
    ----------
    psnr : float
        In dB, with the truth's range.
    ssim : float
    ief : float
        Image enhancement factor, |noisy - truth|^2 / |restored - truth|^2.
    whiteness : float
        Largest autocorrelation of the residual over its bound for white noise: above 1 there is
        structure in it.
    contrast : float
        Share of the point defects' contrast that is left, mean over them: 1 unchanged, 0 gone; NaN
        without any.
    """

    psnr: float
    ssim: float
    ief: float
    whiteness: float
    contrast: float


def merit(
    restored: FloatArray,
    noisy: FloatArray,
    truth: FloatArray,
    *,
    difference: FloatArray,
    defects: Sequence[Defect],
) -> Merit:
    """Judge a reconstruction; all images of shape (m, n), in the same units of intensity.

    `difference` is that between the reconstructions with and without the defects, see `contrast`.
    """
    residual = noisy.astype(np.float64) - restored
    found = whiteness(residual) if residual.any() else None
    return Merit(
        psnr=psnr(restored, truth),
        ssim=ssim(restored, truth),
        ief=ief(noisy, restored, truth),
        whiteness=found.largest / found.bound if found else float("nan"),
        contrast=float(np.mean([contrast(difference, each) for each in defects]))
        if defects
        else float("nan"),
    )


def defects_in(change: FloatArray) -> list[Defect]:
    """Where defects change a crystal's image, shape (m, n)."""
    change = change.astype(np.float64)
    regions, _ = scipy.ndimage.label(np.abs(change) > VISIBLE * np.abs(change).max())
    found = [
        Defect((rows, columns), np.where(regions[rows, columns] == n, change[rows, columns], 0.0))
        for n, (rows, columns) in enumerate(scipy.ndimage.find_objects(regions), start=1)
    ]
    energies = [float(np.square(each.change).sum()) for each in found]
    return [
        each
        for each, energy in zip(found, energies, strict=True)
        if energy > SLIGHT * max(energies)
    ]


def contrast(difference: FloatArray, defect: Defect) -> float:
    """Share of a point defect's contrast that survives: 1 unchanged, 0 gone.

    sum(d difference) / sum(d^2) over the defect's region, d being the defect's change, and the
    difference that between two reconstructions, of a noisy image and of the same without the
    defects: what a method does to the perfect lattice does not count.
    """
    survived = difference[defect.window].astype(np.float64)
    return float(np.sum(survived * defect.change) / np.sum(defect.change**2))


def row_step(image: FloatArray) -> float:
    """Standard deviation of the difference between neighbouring rows' means: streaks raise it."""
    return float(np.std(np.diff(image.mean(axis=1, dtype=np.float64))))
