"""Fields seen under any view: sampled, with point defects where they are wanted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray

from reucid_core.training.micrographs.fields import (
    DEFECTS,
    DOPED,
    PERFECT,
    Contents,
    Field,
    Pair,
    Stamp,
    contents,
    image,
)
from reucid_core.training.micrographs.simulate import (
    FWHM_PER_SIGMA,
    FloatImage,
    View,
    relative_thickness,
)

FINE = 0.07  # angstrom at most between the samples that a spline passes through


@dataclass(frozen=True)
class Change:
    """A point defect in a perfect crystal.

    Parameters
    ----------
    stamp : str
    place : (float, float)
        y and x in angstrom from the corner of a cell of the specimen.
    scale : float
        Of what the stamp changes.
    """

    stamp: str
    place: Pair
    scale: float = 1.0


def render(field: Field, view: View, changes: Sequence[Change] = ()) -> FloatImage:
    """Image of a field at infinite dose, shape (m, n), peak 1.

    Parameters
    ----------
    field : Field
    view : View
        `fwhm` is honoured as far as it exceeds the simulated probe's; the thickness multiplies the
        intensity, which is right for thin specimens only.
    changes : sequence of Change
        In a perfect crystal.
    """
    return render_both(field, view, changes)[0]


def render_both(
    field: Field, view: View, changes: Sequence[Change] = ()
) -> tuple[FloatImage, FloatImage]:
    """As `render`, and the same without any point defect in the same units."""
    found = contents(field.name)
    array, period = image(field)
    places = specimen_places(field, view)
    thickness = relative_thickness(_pixels(view), view)
    blur = _blur(view, found.probe)
    changed = pristine = sample(array, period, places, blur=blur)
    if field.variant in (DEFECTS, DOPED):
        pristine = sample(found.images[PERFECT], found.periods[PERFECT], places, blur=blur)
    if changes:
        changed = changed + _changes(found, changes, places, blur)
    changed, pristine = (np.maximum(each, 0.0) * thickness for each in (changed, pristine))
    peak = changed.max() if changed.max() > 0 else 1.0
    truth, without = (
        (each / peak + view.background) / (1 + view.background) for each in (changed, pristine)
    )
    return truth, without


def specimen_places(field: Field, view: View) -> FloatImage:
    """Of every pixel, y and x in angstrom from the corner of a field's period, shape (m, n, 2)."""
    return _to_specimen(field, view, _pixels(view))


def nearest_change(field: Field, view: View, place: Pair, gain: float) -> Change:
    """A defect of a perfect crystal, nearest to a place in the image, y and x in angstrom.

    The one that was simulated with the nearest gain is scaled to `gain`.

    Raises
    ------
    ValueError
        When the field is not a perfect crystal.
    """
    if field.variant != PERFECT:
        raise ValueError(f"{field.name}: got variant {field.variant!r}, expected {PERFECT!r}")
    name, stamp = _stamp_like(contents(field.name), gain)
    cell = np.array(image(field)[1])
    there = _to_specimen(field, view, np.array(place))
    nearest = (np.rint(there / cell - stamp.site) + stamp.site) * cell
    return Change(name, (float(nearest[0]), float(nearest[1])), (gain - 1) / (stamp.gain - 1))


def random_changes(
    field: Field, view: View, fraction: float, gain: float, *, rng: np.random.Generator
) -> list[Change]:
    """Change a fraction of the columns of one site, all over the view of a perfect crystal."""
    if field.variant != PERFECT or fraction == 0:
        return []
    name, stamp = _stamp_like(contents(field.name), gain)
    cell = np.array(image(field)[1])
    corners = _to_specimen(
        field, view, np.array([(y, x) for y in (0, 1) for x in (0, 1)]) * view.extent
    )
    first = np.floor(corners.min(axis=0) / cell).astype(int)
    cells = np.indices(np.ceil(corners.max(axis=0) / cell).astype(int) - first).reshape(2, -1).T
    chosen = cells[rng.random(len(cells)) < fraction]
    places = (first + chosen + stamp.site) * cell
    scale = (gain - 1) / (stamp.gain - 1)
    return [Change(name, (float(y), float(x)), scale) for y, x in places]


def sample(
    array: FloatImage,
    period: Pair,
    places: NDArray[np.float64],
    *,
    blur: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """A periodic, band-limited image at any places.

    By Fourier interpolation to a fine grid and a quintic spline through it.

    Parameters
    ----------
    array : ndarray, shape (m, n)
    period : (float, float)
        Its height and width in angstrom.
    places : ndarray, shape (..., 2)
        y and x in angstrom.
    blur : ndarray, shape (2, 2), optional
        Covariance in square angstrom of a Gaussian it is convolved with.

    Returns
    -------
    ndarray, shape (...)
    """
    fine = _refined(array, period, blur)
    indices = (places / period * fine.shape).reshape(-1, 2)  # one place is a list of one
    sampled: NDArray[np.float64] = scipy.ndimage.map_coordinates(
        fine, indices.T, order=5, mode="grid-wrap"
    )
    return sampled.reshape(places.shape[:-1])


def _refined(array: FloatImage, period: Pair, blur: NDArray[np.float64] | None) -> FloatImage:
    """On a grid of steps below `FINE`, by padding the spectrum with zeros."""
    spectrum = scipy.fft.fft2(array)
    frequencies = [
        scipy.fft.fftfreq(n, side / n) for n, side in zip(array.shape, period, strict=True)
    ]
    if blur is not None:
        fy, fx = np.meshgrid(*frequencies, indexing="ij")
        quadratic = blur[0, 0] * fy**2 + 2 * blur[0, 1] * fy * fx + blur[1, 1] * fx**2
        spectrum *= np.exp(-2 * np.pi**2 * quadratic)
    shape = [max(n, int(np.ceil(side / FINE))) for n, side in zip(array.shape, period, strict=True)]
    padded = np.zeros(shape, dtype=np.complex128)
    rows, columns = (
        np.rint(f * side).astype(int) for f, side in zip(frequencies, period, strict=True)
    )
    padded[np.ix_(rows, columns)] = spectrum
    fine: FloatImage = scipy.fft.ifft2(padded).real * (padded.size / array.size)
    return fine


def _pixels(view: View) -> FloatImage:
    """Places of the pixels in the image in angstrom, shape (m, n, 2)."""
    places: FloatImage = view.sampling * np.moveaxis(
        np.indices(view.shape, dtype=np.float64), 0, -1
    )
    return places


def _to_specimen(field: Field, view: View, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """The way back of `simulate.place_columns`."""
    back = np.linalg.inv(view.deformation)
    specimen: NDArray[np.float64] = (places - view.extent / 2) @ back.T
    return specimen - np.multiply(view.shift, image(field)[1])


def _blur(view: View, probe: float) -> NDArray[np.float64] | None:
    """Covariance in the specimen of what the view's probe is wider than the simulated one."""
    variance = (view.fwhm**2 - probe**2) / FWHM_PER_SIGMA**2
    if variance <= 0:
        return None
    back = np.linalg.inv(view.deformation)
    covariance: NDArray[np.float64] = variance * back @ back.T
    return covariance


def _changes(
    found: Contents,
    changes: Sequence[Change],
    places: FloatImage,
    blur: NDArray[np.float64] | None,
) -> FloatImage:
    total = np.zeros(places.shape[:-1])
    for each in changes:
        stamp = found.stamps[each.stamp]
        offsets = places - each.place
        near = (np.abs(offsets) < np.divide(stamp.sides, 2)).all(axis=-1)
        if near.any():
            there = offsets[near] + stamp.place
            total[near] += each.scale * sample(stamp.change, stamp.sides, there, blur=blur)
    return total


def _stamp_like(found: Contents, gain: float) -> tuple[str, Stamp]:
    """The stamp whose gain is nearest, on the same side of one where there is any."""
    alike = {name: stamp for name, stamp in found.stamps.items() if (stamp.gain < 1) == (gain < 1)}
    return min((alike or found.stamps).items(), key=lambda item: abs(item[1].gain - gain))
