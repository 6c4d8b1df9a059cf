"""Hot pixels, spikes and what is drawn over an image: found first of all, and left out of it.

One hot pixel outweighs all other patches, so the decomposition would be its own. An image is
sampled finely enough that a single pixel never stands so far above, or below, all its neighbours; a
bright atom spreads over several.
"""

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from reucid_core.departures import mask_of, runs_of
from reucid_core.eigenpatches import FloatArray
from reucid_core.overlays import bridged, find_overlays
from reucid_core.params import Outliers
from reucid_core.report import OutlierReport

BOUND = 10.0  # of the deviation from the neighbours' mean, by which a pixel exceeds all of them
ALONE = 0.75  # of its height above the lowest neighbour; a Gaussian atom of 0.8 px has 0.69
LEVELS = 8  # of the neighbours' mean, in each of which that deviation is measured
TRIMMED = 0.99  # share of the pixels that measure it
GAUSSIAN = 1.2533  # standard deviation over mean absolute deviation of a Gaussian
MOST = 0.002  # share of the pixels of a level; more are no outliers
FEW = 3  # that may be outliers in any case
STEP = 4  # px between those that quantiles are taken of
BAND, LEAST_ROWS = 2**20, 64  # pixels and rows of an image that are looked at together
MEASURED = 2**16  # pixels whose deviation from their neighbours' mean is measured
NEIGHBOURS = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]


def outliers_of(image: FloatArray, treatment: Outliers) -> OutlierReport:
    """The outliers of an image of any size; of a large one, found band by band.

    Parameters
    ----------
    image : ndarray, shape (m, n), at least 3 x 3 px
    treatment : {"keep", "repair"}
    """
    overlays = find_overlays(image)
    m, n = image.shape
    height = max(LEAST_ROWS, BAND // n)
    rows, columns = [], []
    for start in range(0, m, height):
        first, stop = max(0, start - 1), min(m, start + height)
        if m - stop < LEAST_ROWS:
            stop = m
        y, x = np.nonzero(find_outliers(image[first : min(m, stop + 1)])[start - first :])
        inside = y < stop - start
        inside[inside] &= ~overlays[y[inside] + start, x[inside]]
        rows += (y[inside] + start).tolist()
        columns += x[inside].tolist()
        if stop == m:
            break
    boxes, runs = (_boxes(overlays), runs_of(overlays)) if overlays.any() else ([], [])
    return OutlierReport(rows, columns, treatment, boxes, runs)


def _boxes(overlays: NDArray[np.bool_]) -> list[list[int]]:
    """First and last row and column of each of them."""
    labels, _ = scipy.ndimage.label(overlays, np.ones((3, 3)))
    return [
        [down.start, across.start, down.stop - 1, across.stop - 1]
        for down, across in scipy.ndimage.find_objects(labels)
    ]


def find_outliers(image: FloatArray) -> NDArray[np.bool_]:
    """Single pixels far above or below all their neighbours, shape (m, n).

    Parameters
    ----------
    image : ndarray, shape (m, n), at least 3 x 3 px

    Returns
    -------
    ndarray of bool, shape (m, n)
        None where more than a few of a level of intensity would be: then it is what the image is.
    """
    highest, lowest, mean = _around(image)
    span = highest - lowest
    height = np.maximum(image - highest, lowest - image)
    found = np.zeros(image.shape, dtype=bool)
    edges = np.quantile(mean[::STEP, ::STEP], np.linspace(0, 1, LEVELS + 1)[1:-1])
    # Few pixels stand alone; how far others deviate is measured in a sample.
    span += height
    span *= ALONE
    y, x = np.divmod(np.flatnonzero(height > span), image.shape[1])
    high, level = height[y, x], np.searchsorted(edges, mean[y, x])
    some = (slice(None, None, _step(image)),)
    deviation = np.abs(image[some] - mean[some])
    levels = np.searchsorted(edges, mean[some])
    for number in range(LEVELS):
        here = levels == number
        outside = (level == number) & (high > BOUND * _spread(deviation[here]))
        most = MOST * np.count_nonzero(here) * _step(image)
        if np.count_nonzero(outside) <= max(FEW, most):
            found[y[outside], x[outside]] = True
    return found


def without(image: FloatArray, found: OutlierReport) -> FloatArray:
    """The image with what the neighbours of the outliers hold in their place: a copy."""
    if found.none:
        return image
    overlays = mask_of(found.runs, image.shape) if found.runs else None
    repaired = image.copy() if overlays is None else bridged(image, overlays)
    if not found.rows:
        return repaired
    m, n = image.shape
    y, x = (np.array(places)[None] for places in found.positions)
    down, right = np.array(NEIGHBOURS).T[..., None]
    inside = (y + down >= 0) & (y + down < m) & (x + right >= 0) & (x + right < n)
    rows, columns = np.clip(y + down, 0, m - 1), np.clip(x + right, 0, n - 1)
    known = inside & ~np.isin(rows * n + columns, y * n + x)
    around = np.where(known, repaired[rows, columns].astype(np.float64), np.nan)
    values = np.full(len(found.rows), np.median(repaired[::STEP, ::STEP]), dtype=np.float64)
    some = known.any(axis=0)
    values[some] = np.nanmedian(around[:, some], axis=0)
    repaired[found.positions] = values
    return repaired


def put_back(image: FloatArray, noisy: FloatArray, found: OutlierReport) -> None:
    """Write the raw values of the outliers into the result, if they are kept."""
    if found.treatment == "keep" and not found.none:
        image[found.positions] = noisy[found.positions]
        if found.runs:
            overlays = mask_of(found.runs, image.shape)
            image[overlays] = noisy[overlays]


def _around(image: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Largest, smallest and mean of every pixel's eight neighbours; the edges are mirrored."""
    padded = np.pad(image, 1, mode="reflect")
    left, middle, right = padded[:, :-2], padded[:, 1:-1], padded[:, 2:]
    beside = np.maximum(left, right), np.minimum(left, right), left + right  # in its own row
    three = (
        np.maximum(beside[0], middle),
        np.minimum(beside[1], middle),
        beside[2] + middle,
    )
    highest = np.maximum(three[0][:-2], three[0][2:])
    np.maximum(highest, beside[0][1:-1], out=highest)
    lowest = np.minimum(three[1][:-2], three[1][2:])
    np.minimum(lowest, beside[1][1:-1], out=lowest)
    mean = three[2][:-2] + three[2][2:]
    mean += beside[2][1:-1]
    mean /= len(NEIGHBOURS)
    return highest, lowest, mean


def _step(image: FloatArray) -> int:
    """Every which row of an image is measured."""
    return max(1, image.size // MEASURED)


def _spread(deviation: FloatArray) -> float:
    """Standard deviation from the neighbours' mean, of all but the largest."""
    if not deviation.size:
        return 0.0
    bound = np.quantile(deviation[:: STEP**2], TRIMMED)
    return GAUSSIAN * float(deviation[deviation <= bound].mean())
