"""HAADF fields that `multislice.py` has simulated.

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
from safetensors.numpy import load

from reucid_core.training.micrographs.simulate import FloatImage

FORMAT = "reucid-multislice-fields"
FOLDER = Path(__file__).parent / "fields"
STAMP = "stamp."

PERFECT, DEFECTS, DOPED = "perfect", "defects", "doped"
SIDE = 40.0  # angstrom at least, of a field of cells with defects
DOPED_SHARE = 0.06  # of the cells

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
