"""A micrograph of known truth, and what everybody makes of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reucid_core.params import ScanNoise
from reucid_core.training.judging import baselines
from reucid_core.training.judging.contenders import Contender, Network
from reucid_core.training.judging.rivals import Noise, Rival
from reucid_core.training.judging.scores import Defect, defects_in
from reucid_core.training.labels.examples import Example, decompose_whole, example_of
from reucid_core.training.labels.oracle import Components, Kept
from reucid_core.training.micrographs.recipes import (
    Micrograph,
    PointDefect,
    Recipe,
    micrograph,
    pristine,
)
from reucid_core.training.micrographs.simulate import FloatImage
from reucid_core.training.networks.fit import DECISIONS

DEFECTS = (PointDefect(0.31, 0.33, 0.0), PointDefect(0.67, 0.64, 0.5))
NOISY, ORACLE = "noisy", "image oracle"


@dataclass(frozen=True)
class Case:
    """A micrograph of known truth, decomposed and labelled.

    Parameters
    ----------
    recipe : Recipe
    images : Micrograph
    example : Example
    fused : ndarray, shape (k, m * n), float64
        The image that each eigenpatch alone makes.
    change : ndarray, shape (m, n), float64
        What the point defects add to the perfect crystal's image.
    fused_change : ndarray, shape (k, m * n), float64
        What each eigenpatch alone makes of that.
    defects : list of Defect
    """

    recipe: Recipe
    images: Micrograph
    example: Example
    fused: NDArray[np.float64]
    change: FloatImage
    fused_change: NDArray[np.float64]
    defects: list[Defect]

    @classmethod
    def of(cls, recipe: Recipe) -> "Case":
        """The micrograph of a recipe, with point defects."""
        images = micrograph(recipe, DEFECTS)
        decomposition = decompose_whole(images.noisy, recipe.patch_size)
        components = Components.of(decomposition, images.noisy)
        example = example_of(recipe, images, decomposition, components)
        change = images.specimen - pristine(recipe, DEFECTS)
        fused_change = Components.of(decomposition, change).fused
        found = defects_in(change)
        return cls(recipe, images, example, components.fused, change, fused_change, found)

    @property
    def decisions(self) -> tuple[ScanNoise, ...]:
        """Decisions about scan noise that make a difference."""
        return DECISIONS if self.recipe.rows else DECISIONS[:1]

    @property
    def noise(self) -> Noise:
        """What a denoiser of images is told; nothing of the rows."""
        gain = 1 / (self.recipe.dose * self.recipe.view.sampling**2)
        return Noise(gain=gain, read=self.images.read_noise, offset=self.recipe.black_level)


@dataclass(frozen=True)
class Restoration:
    """What a method made of a micrograph, to be judged by a decision about scan noise.

    Parameters
    ----------
    method : str
    scan_noise : {"keep", "remove"}
    image : ndarray, shape (m, n), float64
    difference : ndarray, shape (m, n), float64
        What of it is due to the point defects: without them, it would be missing.
    kept : ndarray, shape (k,), bool, optional
        The eigenpatches, if the method chooses among them.
    """

    method: str
    scan_noise: ScanNoise
    image: FloatImage
    difference: FloatImage
    kept: Kept | None = None

    @classmethod
    def of(cls, method: str, scan_noise: ScanNoise, case: Case, kept: Kept) -> "Restoration":
        """The image of a subset of eigenpatches; where nothing is kept, of the first."""
        chosen = kept if kept.any() else np.arange(len(kept)) == 0
        image, difference = (
            (chosen @ fused).reshape(case.change.shape) for fused in (case.fused, case.fused_change)
        )
        return cls(method, scan_noise, image, difference, kept)


def restore(
    case: Case, contenders: Sequence[Contender], rivals: Sequence[Rival] = ()
) -> Iterator[Restoration]:
    """What every contender, the oracles, SURE and the rivals make of a micrograph.

    White noise alone tells no decision about scan noise from the other: there a network made for
    `remove` is judged, too, under a name of its own.
    """
    d, noisy = case.example.decomposition, case.images.noisy
    sure = baselines.sure_subset(d, noisy, gram=case.example.keep.error.gram)
    chosen = [(each, each.rule(d)) for each in contenders]
    images = [(NOISY, noisy.astype(np.float64), case.change)]
    for each in rivals:
        image, without = (
            each(some, case.noise, d.patch_size) for some in (noisy, noisy - case.change)
        )
        images.append((each.name, image, image - without))
    for decision in case.decisions:
        labels = case.example.labels(decision)
        subsets = [(name, kept) for each, kept in chosen if (name := _name(each, case, decision))]
        subsets += [("SURE", sure), ("patch oracle", labels.patch_oracle)]
        for name, kept in (*subsets, (ORACLE, labels.image_oracle)):
            yield Restoration.of(name, decision, case, kept)
        for name, image, difference in images:
            yield Restoration(name, decision, image, difference)


def _name(contender: Contender, case: Case, decision: ScanNoise) -> str | None:
    """Under which a contender is judged by a decision; None where it is not."""
    if contender.scan_noise in (None, decision):
        return contender.method
    if isinstance(contender.rule, Network) and not case.recipe.rows:
        return f"{contender.method} ({contender.scan_noise})"
    return None
