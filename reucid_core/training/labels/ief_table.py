"""What the paper's edited IEF chooses: ``python -m reucid_core.training.labels.ief_table``."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reucid_core.training.labels.examples import decompose_whole
from reucid_core.training.labels.ief import Exponent, best_alpha, edited, ief_curve
from reucid_core.training.micrographs.crystals import CRYSTALS, Crystal
from reucid_core.training.micrographs.drawing import paper_recipes
from reucid_core.training.micrographs.recipes import micrograph

PAPER_CRYSTALS = ("Si[110]", "SrTiO3[100]", "graphene", "BaNdTiO[001]")


@dataclass(frozen=True)
class Case:
    """Where the maxima lie for one micrograph."""

    name: str
    dose: float  # e/A^2
    patch_size: int  # px
    curve: NDArray[np.float64]

    def alpha(self, exponent: Exponent | None = None) -> int:
        """By the IEF alone, or edited with the paper's base."""
        curve = self.curve if exponent is None else edited(self.curve, exponent=exponent)
        return best_alpha(curve)


def cases_of(crystals: Sequence[Crystal], *, seed: int = 1) -> Iterator[Case]:
    """One simulated micrograph of each crystal at each of the paper's doses, 256 x 256 px."""
    for crystal in crystals:
        for recipe in paper_recipes(crystal, 1, seed=seed):
            images = micrograph(recipe)
            decomposition = decompose_whole(images.noisy, recipe.patch_size)
            curve = ief_curve(decomposition, images.noisy, images.specimen)
            yield Case(crystal.name, recipe.dose, decomposition.patch_size, curve)


def table(cases: Sequence[Case]) -> str:
    """The maxima of some micrographs and the IEF there, in Markdown."""
    lines = [
        "| crystal | e/A^2 | p | plain: alpha | IEF | as printed: alpha | IEF "
        "| sign turned: alpha | IEF |",
        "|---" * 9 + "|",
    ]
    for case in cases:
        cells = [case.name, f"{case.dose:g}", f"{case.patch_size}"]
        for alpha in (case.alpha(), case.alpha(1), case.alpha(-1)):
            cells += [f"{alpha}", f"{case.curve[alpha - 1]:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table(list(cases_of([CRYSTALS[name] for name in PAPER_CRYSTALS]))))
