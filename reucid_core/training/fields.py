"""HAADF fields that `multislice.py` has simulated: read, and seen under any view.

A file holds one cell of a perfect crystal, what each of a few point defects changes around it
(`stamps`), and fields with boundaries or amorphous matter. All repeat along y and x and are
band-limited, so that interpolation loses nothing. Nothing here needs abTEM.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray
from safetensors.numpy import load

from reucid_core.training.simulate import (
    FWHM_PER_SIGMA,
    FloatImage,
    View,
    relative_thickness,
)

FORMAT = "reucid-multislice-fields"
FOLDER = Path(__file__).parent / "fields"
STAMP = "stamp."

PERFECT, DEFECTS, DOPED = "perfect", "defects", "doped"
SIDE = 40.0  # angstrom at least, of a field of cells with defects
DOPED_SHARE = 0.06  # of the cells
FINE = 0.07  # angstrom at most between the samples that a spline passes through

Pair = tuple[float, float]


@dataclass(frozen=True)
class Field:
    """A simulated field: by its file's content, so that its `repr` says what it is.

    Parameters
    ----------
    name : str
        Formula and zone axis, as of a `Crystal`.
    family : str
        As of a `Crystal`.
    variant : str
        ``perfect``, ``defects``, ``doped``, or another of `variants`.
    digest : str
        The first digits of the file's SHA-256.
    """

    name: str
    family: str
    variant: str
    digest: str


@dataclass(frozen=True)
class Stamp:
    """What a point defect changes.

    Parameters
    ----------
    change : ndarray, shape (m, n), float64
        The image with it less that without it, in a box that repeats.
    sides : (float, float)
        Of the box in angstrom.
    place : (float, float)
        Of the defect in the box, in angstrom.
    site : (float, float)
        Of its column in the cell, in fractions.
    gain : float
        Weight of the changed column by Z^1.7, relative to the unchanged one.
    """

    change: FloatImage
    sides: Pair
    place: Pair
    site: Pair
    gain: float


@dataclass(frozen=True)
class Contents:
    """Of a file.

    Parameters
    ----------
    digest : str
    parameters : dict
        How it was made.
    images : dict of ndarray
        Share of the electrons that reach the detector, by variant.
    periods : dict
        Height and width of each in angstrom.
    stamps : dict of Stamp
    probe : float
        Full width at half maximum of the simulated probe in angstrom.
    """

    digest: str
    parameters: dict[str, Any]
    images: dict[str, FloatImage]
    periods: dict[str, Pair]
    stamps: dict[str, Stamp]
    probe: float


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


def file_name(name: str) -> str:
    """Of a material."""
    return "".join(letter for letter in name.lower() if letter.isalnum()) + ".safetensors"


@lru_cache
def materials() -> tuple[str, ...]:
    """Names of the materials that have been simulated, in the order of their files."""
    return tuple(_read(path).parameters["name"] for path in sorted(FOLDER.glob("*.safetensors")))


def variants(name: str) -> tuple[str, ...]:
    """Of a material; `DEFECTS` and `DOPED` are made of cells and stamps."""
    return (
        *sorted(contents(name).images, key=lambda each: (each != PERFECT, each)),
        DEFECTS,
        DOPED,
    )


def field(name: str, variant: str = PERFECT) -> Field:
    """The field of a material.

    Raises
    ------
    ValueError
        When there is none.
    """
    if variant not in variants(name):
        raise ValueError(f"{name}: got variant {variant!r}, expected one of {variants(name)}")
    found = contents(name)
    return Field(name, found.parameters["family"], variant, found.digest)


def contents(name: str) -> Contents:
    """Of a material's file.

    Raises
    ------
    ValueError
        When there is none.
    """
    path = FOLDER / file_name(name)
    if not path.exists():
        raise ValueError(f"got material {name!r}, expected one of {materials()}")
    return _read(path)


@lru_cache
def image(field: Field) -> tuple[FloatImage, Pair]:
    """Share of the electrons that reach the detector, and the field's period in angstrom.

    Raises
    ------
    ValueError
        When the file is another than the field was made for.
    """
    found = contents(field.name)
    if field.digest != found.digest:
        raise ValueError(f"{field.name}: got a file {found.digest}, expected {field.digest}")
    if field.variant in found.images:
        return found.images[field.variant], found.periods[field.variant]
    return _crystal_with(found, doped=field.variant == DOPED)


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


def _crystal_with(found: Contents, *, doped: bool) -> tuple[FloatImage, Pair]:
    """Cells with two defects far apart, or with many at random."""
    cell, (height, width) = found.images[PERFECT], found.periods[PERFECT]
    cells = (int(np.ceil(SIDE / height)), int(np.ceil(SIDE / width)))
    tiles = np.tile(cell, cells)
    if doped:
        rng = np.random.default_rng(int(found.digest, 16))
        chosen = np.argwhere(rng.random(cells) < DOPED_SHARE)
        names = rng.choice(sorted(found.stamps), size=len(chosen))
        placed = [(str(name), (int(y), int(x))) for name, (y, x) in zip(names, chosen, strict=True)]
    else:
        vacancy = "half" if "half" in found.stamps else "empty"
        dopant = "heavy" if "heavy" in found.stamps else "light"
        quarters = ((cells[0] // 4, cells[1] // 4), (3 * cells[0] // 4, 3 * cells[1] // 4))
        placed = list(zip((vacancy, dopant), quarters, strict=True))
    for name, at in placed:
        _put(tiles, found.stamps[name], cell.shape, (height, width), at)
    return np.maximum(tiles, 0.0), (cells[0] * height, cells[1] * width)


def _put(
    tiles: FloatImage, stamp: Stamp, cell: tuple[int, ...], sides: Pair, at: tuple[int, int]
) -> None:
    """Add a stamp in place, so that its defect lies in the cell `at`."""
    into, out = [], []
    for axis in (0, 1):
        size = stamp.change.shape[axis]
        offsets = np.arange(size) - size // 2
        home = round(stamp.place[axis] / sides[axis] - stamp.site[axis])
        into.append((at[axis] * cell[axis] + offsets) % tiles.shape[axis])
        out.append((home * cell[axis] + offsets) % size)
    tiles[np.ix_(*into)] += stamp.change[np.ix_(*out)]


@lru_cache
def _read(path: Path) -> Contents:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + length])["__metadata__"]
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{path}: got format {metadata.get('format')!r}, expected {FORMAT!r}")
    parameters = json.loads(metadata["parameters"])
    arrays = {name: array.astype(np.float64) for name, array in load(data).items()}
    about = parameters["fields"]
    return Contents(
        digest=sha256(data).hexdigest()[:12],
        parameters=parameters,
        images={name: each for name, each in arrays.items() if not name.startswith(STAMP)},
        periods={name: _pair(each["period"]) for name, each in about.items()},
        stamps=_stamps(arrays, about[PERFECT]),
        probe=parameters["probe_fwhm"],
    )


def _stamps(arrays: Mapping[str, FloatImage], about: Mapping[str, Any]) -> dict[str, Stamp]:
    return {
        name: Stamp(
            change=arrays[STAMP + name],
            sides=_pair(about["box"]),
            place=_pair(each["place"]),
            site=_pair(each["site"]),
            gain=each["gain"],
        )
        for name, each in about["stamps"].items()
    }


def _pair(numbers: Sequence[float]) -> Pair:
    return float(numbers[0]), float(numbers[1])
