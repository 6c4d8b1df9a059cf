"""A survey of which reconstructions people choose (paper, "Dataset creation").

For each micrograph people are shown its reconstructions with 1, 2, ... leading eigenpatches. The
mean of their choices is the number of useful ones. No truth is needed, so the micrographs may be
experimental.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from reucid_core.clock import Clock
from reucid_core.eigenpatches import Decomposition, FloatArray
from reucid_core.exact import Transform, decompose_all, prepare, reconstruct
from reucid_core.image import as_working_image
from reucid_core.params import DenoiseParams
from reucid_core.patch_size_rules import resolved
from reucid_core.training.labels.ief import PAPER_MOST, first
from reucid_core.training.labels.oracle import Kept


@dataclass(frozen=True)
class Options:
    """A micrograph's decomposition, and the reconstructions to choose from.

    Parameters
    ----------
    decomposition : Decomposition
        All that the pipeline would offer to its classifier, of all patches in one stack.
    patch_size_origin : str
        "given", or by what it was found.
    most : int
        Eigenpatches in the largest reconstruction.
    transform : Transform
        Of the micrograph.
    height : int
        Rows that are filtered at a time.
    """

    decomposition: Decomposition
    patch_size_origin: str
    most: int
    transform: Transform
    height: int

    @property
    def noisy(self) -> FloatArray:
        """The micrograph in the precision of the reconstructions, shape (m, n)."""
        return self.transform.image

    def reconstruction(self, alpha: int) -> FloatArray:
        """The micrograph reconstructed with its first alpha eigenpatches, shape (m, n)."""
        useful = self.decomposition.eigenpatches[:alpha]
        return reconstruct(self.transform, useful, height=self.height)

    def reconstructions(self) -> Iterator[tuple[int, FloatArray]]:
        """Each alpha from 1 to `most` with its reconstruction, one at a time."""
        for alpha in range(1, self.most + 1):
            yield alpha, self.reconstruction(alpha)


def options_of(
    image: ArrayLike,
    *,
    patch_size: int | None = None,
    patch_size_from: str | None = None,
    most: int = PAPER_MOST,
) -> Options:
    """Decompose a micrograph as engine `exact` does, for reconstructions to choose from.

    Parameters
    ----------
    image : array_like, shape (m, n), integer or floating
        Finite intensities in any unit. Never modified.
    patch_size : int, optional
        In px, odd; by default from the point-spread function.
    patch_size_from : str, optional
        Name of a rule that gives it (`reucid_core.patch_size_rules`).
    most : int
        Eigenpatches in the largest reconstruction; at most as many as there are components.

    Raises
    ------
    ImageError, ParameterError, MemoryBudgetError
        As `reucid_core.denoise`.
    """
    stated = DenoiseParams(method="paper", patch_size=patch_size, patch_size_from=patch_size_from)
    params, rule = resolved(stated, np.asarray(image))
    noisy = as_working_image(np.asarray(image), params.precision)
    prepared = prepare(noisy, params, Clock())
    plan, transform = prepared.plan, prepared.transform
    decomposition = decompose_all(transform, plan.p, max(plan.components, most))
    return Options(
        decomposition=decomposition,
        patch_size_origin=rule or plan.patch_size.origin,
        most=min(most, len(decomposition.eigenpatches)),
        transform=transform,
        height=prepared.height,
    )


def blinded(most: int, *, rng: np.random.Generator) -> list[int]:
    """The numbers of eigenpatches 1 to `most` in an order that tells nothing."""
    return [int(alpha) for alpha in rng.permutation(most) + 1]


@dataclass(frozen=True)
class Choice:
    """What the respondents chose for one micrograph.

    Parameters
    ----------
    respondents : int
    mean : float
        Of their numbers of eigenpatches.
    spread : float
        Their standard deviation; NaN of a single one.
    least, most : int
        The smallest and the largest.
    """

    respondents: int
    mean: float
    spread: float
    least: int
    most: int

    @classmethod
    def of(cls, alphas: Sequence[int]) -> "Choice":
        """Summarise at least one answer."""
        answers = np.asarray(alphas, dtype=np.float64)
        spread = float(answers.std(ddof=1)) if len(answers) > 1 else float("nan")
        return cls(len(answers), float(answers.mean()), spread, min(alphas), max(alphas))

    @property
    def kept(self) -> int:
        """How many leading eigenpatches are useful: the mean, rounded half up."""
        return int(np.floor(self.mean + 0.5))


@dataclass(frozen=True)
class SurveyImage:
    """A micrograph's decomposition with labels from people's choices.

    Parameters
    ----------
    image : str
        Its name in the survey.
    decomposition : Decomposition
    labels : ndarray, shape (k,), bool
        The first eigenpatches, as many as the rounded mean choice, are useful.
    alpha : float
        Mean of the numbers of eigenpatches that were chosen.
    spread : float
        Their standard deviation; NaN of a single respondent.
    respondents : int
    """

    image: str
    decomposition: Decomposition
    labels: Kept
    alpha: float
    spread: float
    respondents: int


def label(image: str, decomposition: Decomposition, choice: Choice) -> SurveyImage:
    """Join a decomposition with what was chosen.

    Eigenpatches that no reconstruction showed lie behind the chosen cut, and are not useful.
    """
    return SurveyImage(
        image=image,
        decomposition=decomposition,
        labels=first(choice.kept, len(decomposition.eigenpatches)),
        alpha=choice.mean,
        spread=choice.spread,
        respondents=choice.respondents,
    )
