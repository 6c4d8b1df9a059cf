"""What makes a noisy micrograph whose truth is known: drawn at random for training, or stated."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from reucid_core.params import ScanNoise
from reucid_core.training.micrographs import fields
from reucid_core.training.micrographs.crystals import CRYSTALS, Crystal, invent
from reucid_core.training.micrographs.fields import Field
from reucid_core.training.micrographs.rendering import nearest_change, random_changes, render_both
from reucid_core.training.micrographs.scan_spectra import WHITE, ScanSpectrum, draw_spectrum
from reucid_core.training.micrographs.simulate import (
    PAPER_DOSES,
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

PATCH_SIZES = tuple(range(5, 64, 2))
SIDES = (128, 160, 192, 256)


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


def draw_recipe(specimen: Crystal | Field, *, rng: np.random.Generator) -> Recipe:
    """A micrograph as it might be taken: any sampling, dose, orientation, thickness, defects."""

    def sometimes(probability: float, value: float) -> float:
        return value if rng.random() < probability else 0.0

    side = int(rng.choice(SIDES))
    view = View(
        shape=(side, side),
        sampling=_log_uniform(0.07, 0.35, rng),
        fwhm=rng.uniform(0.7, 1.2),
        rotation=rng.uniform(0, 360),
        shift=(rng.random(), rng.random()),
        strain=(rng.normal(0, 0.02), rng.normal(0, 0.02), rng.normal(0, 0.02)),
        drift=(sometimes(0.3, rng.normal(0, 0.03)), sometimes(0.3, rng.normal(0, 0.03))),
        ramp=sometimes(0.4, rng.uniform(0, 3)),
        ramp_direction=rng.uniform(0, 360),
        background=sometimes(0.5, rng.uniform(0, 0.4)),
    )
    return Recipe(
        specimen=specimen,
        view=view,
        dose=_log_uniform(30, 30_000, rng),
        read_noise=rng.uniform(0.0, 0.10),
        rows=RowNoise(
            offset=sometimes(0.4, _log_uniform(0.003, 0.1, rng)),
            jitter=sometimes(0.25, _log_uniform(0.05, 1.0, rng)),
        ),
        vacancies=sometimes(0.5, rng.uniform(0, 0.05)),
        dopants=sometimes(0.5, rng.uniform(0, 0.05)),
        dopant_gain=rng.uniform(0.5, 2.5),
        black_level=sometimes(0.3, rng.uniform(0, 1)),
        counts=_log_uniform(100, 30_000, rng) if rng.random() < 0.5 else None,
        patch_size=_draw_patch_size(rng),
        seed=int(rng.integers(2**31)),
    )


def _draw_patch_size(rng: np.random.Generator) -> int | None:
    """That of the point-spread function, one of 5 to 31 px, or, rarely for its cost, up to 63."""
    kind = rng.random()
    if kind < 0.4:
        return None
    low, high = (5, 31) if kind < 0.96 else (33, 63)
    return low + 2 * int(rng.integers((high - low) // 2 + 1))


def draw_recipes(
    n_each: int, n_invented: int, n_multislice: int = 0, *, seed: int
) -> dict[str, list[Recipe]]:
    """Recipes of micrographs for training, by where their specimens come from.

    Parameters
    ----------
    n_each : int
        Micrographs of each known crystal.
    n_invented : int
        Micrographs of crystals that do not exist, one of each.
    n_multislice : int
        Micrographs of each material simulated by multislice, of variants at random.
    seed : int
    """
    known, _, invented, simulated = np.random.default_rng([seed, 4]).spawn(4)
    return {
        "crystals": [
            draw_recipe(each, rng=known) for each in CRYSTALS.values() for _ in range(n_each)
        ],
        "invented": [draw_recipe(invent(rng=invented), rng=invented) for _ in range(n_invented)],
        "multislice": [
            draw_recipe(_draw_field(name, rng=simulated), rng=simulated)
            for name in (fields.materials() if n_multislice else ())
            for _ in range(n_multislice)
        ],
    }


def draw_scanned(n_invented: int, n_multislice: int, *, seed: int) -> list[Recipe]:
    """Recipes of micrographs whose noise is as measured in raw files, for method `two-scale`.

    Parameters
    ----------
    n_invented : int
        Micrographs of crystals that do not exist, one of each.
    n_multislice : int
        Micrographs of each material simulated by multislice, of variants at random.
    seed : int
    """
    invented, simulated = np.random.default_rng([seed, 5]).spawn(2)
    drawn = [_draw_scanned(invent(rng=invented), rng=invented) for _ in range(n_invented)]
    return drawn + [
        _draw_scanned(_draw_field(name, rng=simulated), rng=simulated)
        for name in fields.materials()
        for _ in range(n_multislice)
    ]


def _draw_scanned(specimen: Crystal | Field, *, rng: np.random.Generator) -> Recipe:
    """Two thirds have the patch size that the method itself finds, the others one of 7 to 21 px."""
    recipe = draw_recipe(specimen, rng=rng)
    stated = int(rng.choice((7, 9, 11, 15, 21))) if rng.random() < 1 / 3 else None
    return replace(recipe, spectrum=draw_spectrum(rng), patch_size=stated)


def _draw_field(name: str, *, rng: np.random.Generator) -> Field:
    return fields.field(name, str(rng.choice(fields.variants(name))))


def paper_recipes(
    specimen: Crystal | Field,
    n_each: int,
    *,
    patch_sizes: Sequence[int | None] = (None,),
    rows: Sequence[RowNoise] = (RowNoise(),),
    seed: int,
) -> list[Recipe]:
    """Micrographs like those of the paper's Fig. 5: 256 x 256 px at its doses, turned at random.

    The field of 51 A at 0.2 A/px is ours: the paper states none. The same image is given for every
    patch size.
    """
    rng = np.random.default_rng([seed, 3, *specimen.name.encode()])
    recipes = []
    for dose in PAPER_DOSES:
        for noise in rows:
            for _ in range(n_each):
                recipe = Recipe(
                    specimen=specimen,
                    view=View(
                        shape=(256, 256),
                        sampling=0.2,
                        rotation=rng.uniform(0, 360),
                        shift=(rng.random(), rng.random()),
                    ),
                    dose=dose,
                    rows=noise,
                    seed=int(rng.integers(2**31)),
                )
                recipes += [replace(recipe, patch_size=p) for p in patch_sizes]
    return recipes


def _log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
