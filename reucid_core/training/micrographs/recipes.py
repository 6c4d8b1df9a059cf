"""What makes a noisy micrograph whose truth is known."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from reucid_core.params import ScanNoise
from reucid_core.training.micrographs.crystals import Crystal
from reucid_core.training.micrographs.fields import Field
from reucid_core.training.micrographs.rendering import nearest_change, random_changes, render_both
from reucid_core.training.micrographs.scan_spectra import WHITE, ScanSpectrum
from reucid_core.training.micrographs.simulate import (
    READ_NOISE,
    FloatImage,
    RowNoise,
    View,
    detect,
    digitise,
    expose,
    place_columns,
    scan,
    with_defect,
    with_dopants,
    with_vacancies,
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that makes one noisy micrograph and its decomposition.

    Parameters
    ----------
    specimen : Crystal or Field
        Of a field, point defects are added where its variant is `fields.PERFECT`.
    view : View
    dose : float
        Electrons counted per A^2 where the truth, less the black level, is 1: in its brightest
        column. Of those that arrive, a detector counts few.
    read_noise : float
        Relative to the truth's maximum.
    spectrum : ScanSpectrum
        Of the noise along the rows, as the detector counts.
    rows : RowNoise
    vacancies, dopants : float
        Fractions of the columns; in a field, of those of one site.
    dopant_gain : float
        Weight of a doped column, relative to the undoped one.
    black_level : float
        What the detector shows without electrons, relative to the truth's maximum; it changes
        s_k / s_0 of an unchanged image.
    counts : float, optional
        Detector counts at the truth's maximum, where the detector shows integers.
    patch_size : int, optional
        In px; by default from the point-spread function.
    seed : int
        Of the noise and the defects.
    """

    specimen: Crystal | Field
    view: View
    dose: float
    read_noise: float = READ_NOISE
    spectrum: ScanSpectrum = WHITE
    rows: RowNoise = field(default_factory=RowNoise)
    vacancies: float = 0.0
    dopants: float = 0.0
    dopant_gain: float = 1.0
    black_level: float = 0.0
    counts: float | None = None
    patch_size: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Micrograph:
    """A noisy image and what it would be without noise, each of shape (m, n), float64.

    Parameters
    ----------
    noisy : ndarray
    specimen : ndarray
        Truth of the specimen alone.
    scanned : ndarray
        Truth as it was scanned: with the rows' offsets and displacements.
    read_noise : float
        Standard deviation in the same units.
    """

    noisy: FloatImage
    specimen: FloatImage
    scanned: FloatImage
    read_noise: float

    def truth(self, scan_noise: ScanNoise) -> FloatImage:
        """What a denoised image should be, by the decision about scan noise."""
        return self.scanned if scan_noise == "keep" else self.specimen


@dataclass(frozen=True)
class PointDefect:
    """The column nearest to a place, in fractions of the field's height and width."""

    y: float
    x: float
    gain: float  # weight relative to the perfect column; 0 where it is vacant


def micrograph(recipe: Recipe, defects: Sequence[PointDefect] = ()) -> Micrograph:
    """The micrograph of a recipe, with some columns changed."""
    defect_rng, noise_rng, scan_rng = np.random.default_rng([recipe.seed, 0]).spawn(3)
    truth = _truth(recipe, defects, defect_rng)
    read_noise = recipe.read_noise * float(truth.max())
    displaced, offsets = scan(truth, recipe.rows, rng=scan_rng)
    counted = detect(
        displaced,
        dose=recipe.dose,
        sampling=recipe.view.sampling,
        read_noise=read_noise,
        rng=noise_rng,
    )
    if recipe.spectrum != WHITE:
        counted = displaced + recipe.spectrum.coloured(counted - displaced, noise_rng)
    images = (counted + offsets, truth, displaced + offsets)
    noisy, truth, scanned = (image + recipe.black_level for image in images)
    if recipe.counts is not None:
        noisy = digitise(noisy, counts=recipe.counts)
    return Micrograph(noisy, truth, scanned, read_noise)


def pristine(recipe: Recipe, defects: Sequence[PointDefect] = ()) -> FloatImage:
    """The specimen of `micrograph(recipe, defects)` without any point defect, shape (m, n).

    Pixel by pixel the same view. The units are the same for a field; for a crystal they are where
    its brightest column is unchanged.
    """
    rng = _defect_rng(recipe)
    if isinstance(recipe.specimen, Field):
        return _of_field(recipe.specimen, recipe, defects, rng)[1] + recipe.black_level
    perfect = replace(recipe, vacancies=0.0, dopants=0.0)
    return _truth(perfect, (), rng) + recipe.black_level


def _defect_rng(recipe: Recipe) -> np.random.Generator:
    return np.random.default_rng([recipe.seed, 0]).spawn(3)[0]


def _of_field(
    specimen: Field, recipe: Recipe, defects: Sequence[PointDefect], rng: np.random.Generator
) -> tuple[FloatImage, FloatImage]:
    """With its point defects and without."""
    view = recipe.view
    changes = random_changes(specimen, view, recipe.vacancies, 0.0, rng=rng)
    changes += random_changes(specimen, view, recipe.dopants, recipe.dopant_gain, rng=rng)
    height, width = view.extent
    for each in defects:
        place = (each.y * height, each.x * width)
        changes.append(nearest_change(specimen, view, place, each.gain))
    return render_both(specimen, view, changes)


def _truth(recipe: Recipe, defects: Sequence[PointDefect], rng: np.random.Generator) -> FloatImage:
    if isinstance(recipe.specimen, Field):
        return _of_field(recipe.specimen, recipe, defects, rng)[0]
    columns = place_columns(recipe.specimen, recipe.view)
    columns = with_vacancies(columns, recipe.vacancies, rng=rng)
    columns = with_dopants(columns, recipe.dopants, gain=recipe.dopant_gain, rng=rng)
    height, width = recipe.view.extent
    for each in defects:
        columns = with_defect(columns, (each.y * height, each.x * width), gain=each.gain)
    return expose(columns, recipe.view)
