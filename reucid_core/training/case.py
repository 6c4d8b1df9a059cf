"""A micrograph of known truth, and what everybody makes of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reucid_core.params import ScanNoise
from reucid_core.training import baselines
from reucid_core.training.contenders import Contender, Network
from reucid_core.training.examples import Example, decompose_whole, example_of
from reucid_core.training.fit import DECISIONS
from reucid_core.training.labels import Components, Kept
from reucid_core.training.recipes import Micrograph, PointDefect, Recipe, micrograph, pristine
from reucid_core.training.rivals import Noise, Rival
from reucid_core.training.scores import Defect, defects_between
from reucid_core.training.simulate import FloatImage

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
    defects : list of Defect
    """

    recipe: Recipe
    images: Micrograph
    example: Example
    fused: NDArray[np.float64]
    defects: list[Defect]

    @classmethod
    def of(cls, recipe: Recipe) -> "Case":
        """The micrograph of a recipe, with point defects."""
        images = micrograph(recipe, DEFECTS)
        decomposition = decompose_whole(images.noisy, recipe.patch_size)
        components = Components.of(decomposition, images.noisy)
        example = example_of(recipe, images, decomposition, components)
        defects = defects_between(images.specimen, pristine(recipe, DEFECTS))
        return cls(recipe, images, example, components.fused, defects)

    @property
    def decisions(self) -> tuple[ScanNoise, ...]:
        """Decisions about scan noise that make a difference."""
        return DECISIONS if self.recipe.rows else DECISIONS[:1]

    @property
    def noise(self) -> Noise:
        """What a denoiser of images is told; nothing of the rows."""
        gain = 1 / (self.recipe.dose * self.recipe.view.sampling**2)
        return Noise(gain=gain, read=self.recipe.read_noise, offset=self.recipe.black_level)

    def restored(self, kept: Kept) -> FloatImage:
        """The image of a subset of eigenpatches; where nothing is kept, of the first."""
        chosen = kept if kept.any() else np.arange(len(kept)) == 0
        image: FloatImage = (chosen @ self.fused).reshape(self.images.noisy.shape)
        return image


@dataclass(frozen=True)
class Restoration:
    """What a method made of a micrograph, to be judged by a decision about scan noise."""

    method: str
    scan_noise: ScanNoise
    image: FloatImage
    kept: Kept | None = None  # of the eigenpatches, if the method chooses among them


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
    images = [(NOISY, noisy.astype(np.float64))]
    images += [(each.name, each(noisy, case.noise, d.patch_size)) for each in rivals]
    for decision in case.decisions:
        labels = case.example.labels(decision)
        subsets = [(name, kept) for each, kept in chosen if (name := _name(each, case, decision))]
        subsets += [("SURE", sure), ("patch oracle", labels.patch_oracle)]
        for name, kept in (*subsets, (ORACLE, labels.image_oracle)):
            yield Restoration(name, decision, case.restored(kept), kept)
        for name, image in images:
            yield Restoration(name, decision, image)


def _name(contender: Contender, case: Case, decision: ScanNoise) -> str | None:
    """Under which a contender is judged by a decision; None where it is not."""
    if contender.scan_noise in (None, decision):
        return contender.method
    if isinstance(contender.rule, Network) and not case.recipe.rows:
        return f"{contender.method} ({contender.scan_noise})"
    return None
