"""What is drawn over an image or missing from it: scale bars, boxes, text, rows that were lost.

Such things have a single value in a rectangle with sharp sides. A micrograph has noise, so equal
values side by side are rare in it unless it is clipped; and what is clipped, a bright column or a
dark ground, fades into its surroundings.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray

from reucid_core.eigenpatches import FloatArray

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
Box = tuple[slice, slice]

BAND, LEAST_ROWS = 2**24, 64  # pixels and rows that are looked at together
LONG = 8  # px, of the longer side of a rectangle
VALUES = 8  # that are looked at, the most frequent ones
FULL = 0.95  # share of its bounding box that a rectangle fills, once its holes are filled
HOLLOW = 0.3  # the same before, of a box with text in it
CHANCE = 1e-9  # probability that equal values are one by chance
SHARP = 0.75  # of the step three pixels away that the step to the next pixel has
STEP = 1.0  # standard deviations of the noise beside a rectangle that its sides exceed
CLEAR = 5.0  # the same for what has no straight sides, and for the half-tones around it
MOST = 0.25  # share of the image; what covers more is the image
SMOOTH = 0.05  # share of the pixels around what is drawn that stand out where it has half-tones
STROKE = 4  # px by which half-tones go on where a stroke thins out
SQUARE = np.ones((3, 3), dtype=bool)
RING = 3  # px around a rectangle that are its surroundings
GAUSSIAN = 1.4826  # standard deviation over median absolute deviation of a Gaussian
BRIDGED = 0.02  # weight of known pixels that fills an unknown one
MARGIN = 128  # px around the unknown pixels whose frequencies are continued
LEVEL = 16.0  # px, standard deviation of the window of what is no lattice but the local level
STEPS = 16  # from the strongest frequency to noise
FALSE_PEAK = 0.01  # probability that noise alone would have one


@dataclass(frozen=True)
class _Side:
    """The pixels next to a rectangle on one side, and those two further."""

    near: FloatArray
    far: FloatArray

    def is_sharp(self, value: float, noise: float) -> bool:
        step = float(np.median(np.abs(self.near - value)))
        further = float(np.median(np.abs(self.far - value)))
        return step > 0 and step >= max(STEP * noise, SHARP * further)


def find_overlays(image: FloatArray) -> Mask:
    """Pixels that are drawn over an image or missing from it, shape (m, n).

    Parameters
    ----------
    image : ndarray, shape (m, n)
        A large one is looked at in bands of rows.

    Returns
    -------
    ndarray of bool, shape (m, n)
        None where they would cover more than a quarter of the image, or of a band.
    """
    height = max(LEAST_ROWS, BAND // image.shape[1])
    starts = range(0, len(image), height)
    return np.concatenate([_find(image[start : start + height]) for start in starts])


def _find(image: FloatArray) -> Mask:
    found = np.zeros(image.shape, dtype=bool)
    for value in _repeated(image):
        same = image == value
        drawn = np.zeros(image.shape, dtype=bool)
        for lines in (_lines(same), _lines(same.T).T):  # without what sticks out by chance
            for box, inside in _rectangles(lines):
                if _is_drawn(image, same, box, inside, value):
                    drawn[box] |= inside
        if drawn.any():
            found |= drawn | _like(image, same, drawn, value)
    if np.count_nonzero(found) > MOST * image.size:
        return np.zeros(image.shape, dtype=bool)
    return _with_half_tones(image, found) if found.any() else found


def bridged(image: FloatArray, unknown: Mask) -> FloatArray:
    """What is periodic around the unknown pixels continued through them: a copy, shape (m, n).

    Where nothing is, means of the nearest known pixels. By iterative hard thresholding of the
    Fourier transform (Guleryuz, IEEE Trans. Image Process. 15, 539 (2006)): the strongest
    frequencies first, down to what noise reaches.
    """
    filled = image.copy()
    box = _box_around(unknown)
    area, gap = image[box].astype(np.float64), unknown[box]
    area = _smoothly_filled(area, gap)
    level = scipy.ndimage.gaussian_filter(area, LEVEL)
    spectrum = scipy.fft.rfft2(area - level)
    noise = float(np.median(np.abs(spectrum) ** 2)) / np.log(2)
    least = noise * np.log(area.size / FALSE_PEAK)
    highest = float(np.square(np.abs(spectrum)).max())
    if highest > least > 0:
        for bound in np.geomspace(highest, least, STEPS + 1)[1:]:
            spectrum[np.abs(spectrum) ** 2 < bound] = 0
            area[gap] = (level + scipy.fft.irfft2(spectrum, s=area.shape))[gap]
            spectrum = scipy.fft.rfft2(area - level)
    known = image[~unknown]
    filled[unknown] = np.clip(area[gap], known.min(), known.max())
    return filled


def _box_around(unknown: Mask) -> Box:
    rows, columns = (np.flatnonzero(unknown.any(axis=axis)) for axis in (1, 0))
    return (
        slice(max(0, int(rows[0]) - MARGIN), int(rows[-1]) + 1 + MARGIN),
        slice(max(0, int(columns[0]) - MARGIN), int(columns[-1]) + 1 + MARGIN),
    )


def _smoothly_filled(image: Float64, unknown: Mask) -> Float64:
    filled, left = image.copy(), unknown.copy()
    known = (~unknown).astype(np.float64)
    values = np.where(unknown, 0.0, image)
    sigma = 1.0
    while left.any():
        weight = scipy.ndimage.gaussian_filter(known, sigma)
        reached = left & (weight > BRIDGED)
        mean = scipy.ndimage.gaussian_filter(values, sigma)
        filled[reached] = mean[reached] / weight[reached]
        left &= ~reached
        sigma *= 2
    return filled


def _repeated(image: FloatArray) -> list[float]:
    """Values that many neighbours in a row or column share, the most frequent first."""
    rows = _in_runs(image[:, 1:] == image[:, :-1], LONG - 1)
    columns = _in_runs((image[1:] == image[:-1]).T, LONG - 1)
    starts = np.concatenate(
        [image[:, : rows.shape[1]][rows], image.T[:, : columns.shape[1]][columns]]
    )
    if starts.size > 2 * MOST * image.size:  # both directions: then the image is made of them
        return []
    values, counts = np.unique(starts, return_counts=True)
    return [float(value) for value in values[np.argsort(-counts, kind="stable")][:VALUES]]


def _in_runs(mask: Mask, least: int) -> Mask:
    """Where runs of so many pixels in a row begin."""
    length, run = 1, mask
    while length < least:
        step = min(length, least - length)
        run = run[:, : max(0, run.shape[1] - step)] & run[:, step:]
        length += step
    return run


def _lines(same: Mask) -> Mask:
    """The runs of at least `LONG` pixels in a row: the opening by a line, shape (m, n)."""
    starts = _in_runs(same, LONG)
    lines = np.zeros_like(same)
    if starts.any():
        for shift in range(LONG):
            lines[:, shift : shift + starts.shape[1]] |= starts
    return lines


def _rectangles(same: Mask) -> Iterator[tuple[Box, Mask]]:
    """Bounding boxes of all components that are rectangles, and what they cover of them."""
    if not same.any():
        return
    labels, _ = scipy.ndimage.label(same)
    areas = np.bincount(labels.ravel())
    for number, (rows, columns) in enumerate(scipy.ndimage.find_objects(labels), start=1):
        box = rows, columns
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if max(height, width) < LONG or areas[number] < HOLLOW * height * width:
            continue
        inside = scipy.ndimage.binary_fill_holes(labels[box] == number)
        if np.count_nonzero(inside) >= FULL * height * width:
            yield box, np.asarray(inside)


def _is_drawn(image: FloatArray, same: Mask, box: Box, inside: Mask, value: float) -> bool:
    around = _surroundings(box, image.shape)
    outside = np.ones(image[around].shape, dtype=bool)
    outside[_within(box, around)] = False
    beside, equal = image[around][outside], same[around][outside]
    if not beside.size:
        return False
    likely = (np.count_nonzero(equal) + 1) / (equal.size + 2)
    if np.count_nonzero(inside) * np.log(likely) + np.log(image.size) > np.log(CHANCE):
        return False
    noise = _noise(image, around, outside)
    sides = list(_sides(image, box))
    return bool(sides) and all(side.is_sharp(value, noise) for side in sides)


def _like(image: FloatArray, same: Mask, drawn: Mask, value: float) -> Mask:
    """Components of the value of what is drawn that are as sharp: letters beside a bar."""
    labels, number = scipy.ndimage.label(same & ~drawn, SQUARE)
    near = scipy.ndimage.grey_dilation(labels, size=(3, 3))
    ring = (near > 0) & ~same
    spread = GAUSSIAN * float(np.median(np.abs(np.diff(image[~drawn])))) / np.sqrt(2)
    clear = np.abs(image[ring] - value) > CLEAR * spread
    sizes = np.bincount(near[ring], minlength=number + 1)
    sharp = np.bincount(near[ring], clear, minlength=number + 1) >= SHARP * sizes
    sharp &= sizes > 0
    sharp[0] = False
    return np.asarray(sharp[labels])


def _with_half_tones(image: FloatArray, found: Mask) -> Mask:
    """With the pixels next to them if many of these stand out: edges drawn smoothly."""
    ring = _dilated(found, 1) & ~found
    outer = _dilated(found, RING + 2) & ~_dilated(found, 2)
    if not ring.any() or not outer.any():
        return found
    middle = float(np.median(image[outer]))
    spread = GAUSSIAN * float(np.median(np.abs(image[outer] - middle)))
    clear = np.abs(image - middle) > CLEAR * spread
    if np.count_nonzero(ring & clear) < SMOOTH * np.count_nonzero(ring):
        return found
    edged = found | ring
    return _dilated(edged, STROKE, within=edged | clear)


def _dilated(mask: Mask, reach: int, within: Mask | None = None) -> Mask:
    return np.asarray(scipy.ndimage.binary_dilation(mask, SQUARE, iterations=reach, mask=within))


def _surroundings(box: Box, shape: tuple[int, ...]) -> Box:
    rows, columns = (
        slice(max(0, side.start - RING), min(length, side.stop + RING))
        for side, length in zip(box, shape, strict=True)
    )
    return rows, columns


def _within(box: Box, around: Box) -> Box:
    rows, columns = (
        slice(side.start - outer.start, side.stop - outer.start)
        for side, outer in zip(box, around, strict=True)
    )
    return rows, columns


def _noise(image: FloatArray, around: Box, outside: Mask) -> float:
    """Of a pixel in the surroundings, from the differences of neighbours."""
    area = image[around]
    both = outside[:, 1:] & outside[:, :-1]
    below = outside[1:] & outside[:-1]
    steps = np.concatenate([np.diff(area, axis=1)[both], np.diff(area, axis=0)[below]])
    return GAUSSIAN * float(np.median(np.abs(steps))) / np.sqrt(2) if steps.size else 0.0


def _sides(image: FloatArray, box: Box) -> Iterator[_Side]:
    """Of the sides that do not lie on the image's border."""
    for turned, (across, along) in ((image, box), (image.T, box[::-1])):
        for edge, step in ((across.start, -1), (across.stop - 1, 1)):
            near, far = edge + step, edge + RING * step
            if 0 <= near < len(turned):
                far = min(max(far, 0), len(turned) - 1)
                yield _Side(turned[near, along], turned[far, along])
