"""How much of small changes in single columns a denoising keeps: found by doing it once more.

A filter that learns the lattice from the image draws single columns towards their likes: it gains
precision by bias (Lichtert and Verbeeck, Ultramicroscopy 125, 34 (2013)). The result is changed by
small known amounts in each column, noise is added as it was measured, and the whole is denoised
again: a parametric bootstrap. What comes back of the changes is what is kept.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from reucid_core.assessment import ColumnBias
from reucid_core.departures import DARK, Columns
from reucid_core.eigenpatches import FloatArray
from reucid_core.noise import NoiseModel
from reucid_core.whitening import Whitening

Float64 = NDArray[np.float64]

BRIGHTER = 0.1  # standard deviation of the changes of intensity, of a column's own
MOVED = 0.2  # px, of those of position
FEWEST = 16  # columns that say something
BORDER = 4.0  # standard deviations of a column from the border: those nearer are not looked at


@dataclass(frozen=True)
class _Measured:
    """Of each column, intensity above the background and distance from its place in px."""

    intensity: Float64
    down: Float64
    right: Float64

    @classmethod
    def of(cls, image: Float64, places: tuple[NDArray[np.intp], ...], sigma: float) -> "_Measured":
        """In a Gaussian window about each place."""
        total = scipy.ndimage.gaussian_filter(image, sigma)[places]
        moments = (
            sigma**2 * scipy.ndimage.gaussian_filter(image, sigma, order=order)[places]
            for order in ((1, 0), (0, 1))
        )
        return cls(total, *(moment / total for moment in moments))


def estimate_bias(
    result: FloatArray,
    noise: NoiseModel,
    diameter: int | None,
    seed: int,
    denoise: Callable[[FloatArray], FloatArray],
) -> ColumnBias | None:
    """Denoise the result once more, with noise and small changes in its columns.

    Parameters
    ----------
    result : ndarray, shape (m, n)
        Without outliers.
    noise : NoiseModel
        Not of kind `none`.
    diameter : int or None
        Of the point-spread function in px.
    seed : int
        Of noise and changes.
    denoise : callable
        As the result was made.

    Returns
    -------
    ColumnBias or None
        None where there are too few columns.
    """
    columns = Columns.of(result, diameter)
    sigma, rng = columns.sigma, np.random.default_rng(seed)
    background = float(np.quantile(result[::4, ::4], DARK))
    places = _inside(columns.at(result), round(BORDER * sigma))
    number = len(places[0])
    if number < FEWEST:
        return None
    before = result.astype(np.float64) - background
    changed = before.copy()
    fields = (
        (BRIGHTER, before),
        *((-MOVED, np.gradient(before, axis=axis)) for axis in (0, 1)),
    )
    for size, image in fields:
        drawn = np.zeros(result.shape)
        drawn[places] = size * rng.normal(size=number)
        changed += 2 * np.pi * sigma**2 * scipy.ndimage.gaussian_filter(drawn, sigma) * image
    added = Whitening.of(noise).colour(rng.normal(size=result.shape))
    noisy = (changed + background + added).astype(result.dtype)
    again = denoise(noisy).astype(np.float64) - background
    was, wanted, got = (_Measured.of(each, places, sigma) for each in (before, changed, again))
    brighter = [(each.intensity - was.intensity) / was.intensity for each in (wanted, got)]
    moved = [
        np.concatenate([each.down - was.down, each.right - was.right]) for each in (wanted, got)
    ]
    return ColumnBias(number, *_kept(*brighter), *_kept(*moved))


def _inside(mask: NDArray[np.bool_], margin: int) -> tuple[NDArray[np.intp], ...]:
    inner = np.zeros_like(mask)
    inside = slice(margin, -margin)
    inner[inside, inside] = mask[inside, inside]
    return np.nonzero(inner)


def _kept(wanted: Float64, got: Float64) -> tuple[float, float]:
    """Share of the changes that came back, and the standard deviation of all else."""
    share = float(np.vdot(wanted, got) / np.vdot(wanted, wanted))
    return share, float(np.std(got - share * wanted))
