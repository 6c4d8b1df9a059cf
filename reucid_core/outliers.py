"""Hot pixels, spikes and what is drawn over an image: found first of all, and left out of it.

One hot pixel outweighs all other patches, so the decomposition would be its own. An image is
sampled finely enough that a single pixel never stands so far above, or below, all its neighbours; a
bright atom spreads over several.
"""

from dataclasses import replace

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from reucid_core.departures import mask_of, runs_of
from reucid_core.eigenpatches import FloatArray
from reucid_core.outcome import Outcome, Task
from reucid_core.overlays import bridged, find_overlays
from reucid_core.params import Outliers
from reucid_core.report import OutlierReport
from reucid_core.two_scale import denoise_two_scale

BOUND = 10.0  # of the deviation from the neighbours' mean, by which a pixel exceeds all of them
ALONE = 0.75  # of its height above the lowest neighbour; a Gaussian atom of 0.8 px has 0.69
LEVELS = 8  # of the neighbours' mean, in each of which that deviation is measured
TRIMMED = 0.99  # share of the pixels that measure it
GAUSSIAN = 1.2533  # standard deviation over mean absolute deviation of a Gaussian
MOST = 0.002  # share of the pixels of a level; more are no outliers
FEW = 3  # that may be outliers in any case
STEP = 4  # px between those that quantiles are taken of
NEIGHBOURS = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]


def denoise_robustly(noisy: FloatArray, task: Task) -> Outcome:
    """Denoise an image at two scales without its outliers, then put them back or not.

    Parameters
    ----------
    noisy : ndarray, shape (m, n), float32 or float64
    task : Task
    """
    found = what_to_leave_out(noisy, task.params.outliers)
    outcome = denoise_two_scale(without(noisy, found), task)
    return replace(outcome, image=put_back(outcome.image, noisy, found), outliers=found)


def what_to_leave_out(image: FloatArray, treatment: Outliers) -> OutlierReport:
    """All outliers of an image, shape (m, n)."""
    overlays = find_overlays(image)
    rows, columns = np.nonzero(find_outliers(image) & ~overlays)
    labels, _ = scipy.ndimage.label(overlays, np.ones((3, 3)))
    boxes = [
        [y.start, x.start, y.stop - 1, x.stop - 1] for y, x in scipy.ndimage.find_objects(labels)
    ]
    runs = runs_of(overlays) if boxes else []
    return OutlierReport(rows.tolist(), columns.tolist(), treatment, boxes, runs)


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
    height = np.maximum(image - highest, lowest - image)
    alone = height > ALONE * (height + highest - lowest)
    deviation = np.abs(image - mean)
    edges = np.quantile(mean[::STEP, ::STEP], np.linspace(0, 1, LEVELS + 1)[1:-1])
    level = np.searchsorted(edges, mean)
    found = np.zeros(image.shape, dtype=bool)
    for number in range(LEVELS):
        here = level == number
        spread = _spread(deviation[here])
        outside = here & alone & (height > BOUND * spread)
        if np.count_nonzero(outside) <= max(FEW, MOST * np.count_nonzero(here)):
            found |= outside
    return found


def without(image: FloatArray, found: OutlierReport) -> FloatArray:
    """The image with what the neighbours of the outliers hold in their place: a copy."""
    if found.none:
        return image
    overlays = mask_of(found.runs, image.shape) if found.runs else None
    repaired = image.copy() if overlays is None else bridged(image, overlays)
    if not found.rows:
        return repaired
    masked = repaired.astype(np.float64)
    masked[found.positions] = np.nan
    padded = np.pad(masked, 1, constant_values=np.nan)
    around = np.stack(
        [padded[np.add(found.rows, y + 1), np.add(found.columns, x + 1)] for y, x in NEIGHBOURS]
    )
    known = ~np.isnan(around).all(axis=0)
    values = np.full(len(found.rows), np.median(masked[np.isfinite(masked)]))
    values[known] = np.nanmedian(around[:, known], axis=0)
    repaired[found.positions] = values
    return repaired


def put_back(image: FloatArray, noisy: FloatArray, found: OutlierReport) -> FloatArray:
    """The result with the raw values of the outliers, if they are kept."""
    if found.treatment == "repair" or found.none:
        return image
    kept = image.copy()
    kept[found.positions] = noisy[found.positions]
    if found.runs:
        overlays = mask_of(found.runs, image.shape)
        kept[overlays] = noisy[overlays]
    return kept


def _around(image: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Largest, smallest and mean of every pixel's eight neighbours; the edges are mirrored."""
    m, n = image.shape
    padded = np.pad(image, 1, mode="reflect")
    first, *others = (padded[1 + y : 1 + y + m, 1 + x : 1 + x + n] for y, x in NEIGHBOURS)
    highest, lowest, total = first.copy(), first.copy(), first.copy()
    for neighbour in others:
        np.maximum(highest, neighbour, out=highest)
        np.minimum(lowest, neighbour, out=lowest)
        total += neighbour
    return highest, lowest, total / len(NEIGHBOURS)


def _spread(deviation: FloatArray) -> float:
    """Standard deviation from the neighbours' mean, of all but the largest."""
    if not deviation.size:
        return 0.0
    bound = np.quantile(deviation[:: STEP**2], TRIMMED)
    return GAUSSIAN * float(deviation[deviation <= bound].mean())
