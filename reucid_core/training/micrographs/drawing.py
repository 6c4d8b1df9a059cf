"""Recipes of micrographs: drawn at random for training, or as those of the paper's Fig. 5."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reucid_core.training.micrographs import fields
from reucid_core.training.micrographs.crystals import CRYSTALS, Crystal, invent
from reucid_core.training.micrographs.fields import Field
from reucid_core.training.micrographs.recipes import Recipe
from reucid_core.training.micrographs.scan_spectra import draw_spectrum
from reucid_core.training.micrographs.simulate import PAPER_DOSES, RowNoise, View

SIDES = (128, 160, 192, 256)
STATED_SIZES = (7, 9, 11, 15, 21)  # px, of patches at two scales


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
    stated = int(rng.choice(STATED_SIZES)) if rng.random() < 1 / 3 else None
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
