"""Who answered: experts and others, how far they agree, and simulated ones (paper, Fig. 4).

The paper asked 89 experts of electron microscopy and 135 others, and found that their
"distributions aligned very closely"; so the mean of all is the label.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import NDArray

EXPERT, OTHER = "expert", "other"
KINDS = (EXPERT, OTHER)
PAPER_RESPONDENTS = {EXPERT: 89, OTHER: 135}
LEAST = 2  # respondents of either kind, to compare them

PREFERRED = 1.06  # c of IEF / c^alpha by which the simulated ones choose, on average
TASTE = 0.05  # standard deviation of its logarithm from one to the next
HESITATION = 0.08  # the same of the logarithm of what each makes of a reconstruction


@dataclass(frozen=True)
class Agreement:
    """How far experts and others chose alike, for one image or one group of them.

    Parameters
    ----------
    experts, others : int
        Respondents.
    means : (float, float)
        Their mean numbers of eigenpatches.
    difference : float
        The experts' mean less the others'.
    low, high : float
        Its 95 % interval by Welch, which does not take the spreads for equal.
    distance : float
        The largest distance between the two cumulative distributions (Kolmogorov, Smirnov): 0 the
        same, 1 apart.
    """

    experts: int
    others: int
    means: tuple[float, float]
    difference: float
    low: float
    high: float
    distance: float

    @property
    def is_plain(self) -> bool:
        """Whether a difference shows beyond chance, at 5 %."""
        return not self.low <= 0 <= self.high


def agreement(alphas: Mapping[str, Sequence[float]]) -> Agreement | None:
    """Compare the two kinds by a number of each respondent; None with fewer than two of either."""
    experts, others = (np.asarray(alphas.get(kind, ()), dtype=np.float64) for kind in KINDS)
    if min(len(experts), len(others)) < LEAST:
        return None
    difference = float(experts.mean() - others.mean())
    low = high = difference
    if np.ptp(experts) > 0 or np.ptp(others) > 0:
        found = scipy.stats.ttest_ind(experts, others, equal_var=False).confidence_interval(0.95)
        low, high = float(found.low), float(found.high)
    return Agreement(
        experts=len(experts),
        others=len(others),
        means=(float(experts.mean()), float(others.mean())),
        difference=difference,
        low=low,
        high=high,
        distance=float(scipy.stats.ks_2samp(experts, others, method="asymp").statistic),
    )


@dataclass(frozen=True)
class Group:
    """What was answered about one image, or about all of one dose.

    Parameters
    ----------
    name : str
    answers : mapping
        By the kind of `KINDS`: what each respondent chose, by their names.
    """

    name: str
    answers: Mapping[str, Mapping[str, Sequence[int]]]

    @classmethod
    def of(cls, name: str, answers: Iterable[tuple[str | None, str, int]]) -> "Group":
        """Of kind, respondent and number of eigenpatches; without a kind, in neither."""
        found: dict[str, dict[str, list[int]]] = {kind: {} for kind in KINDS}
        for kind, respondent, alpha in answers:
            if kind is not None:
                found[kind].setdefault(respondent, []).append(alpha)
        return cls(name, found)

    def alphas(self, kind: str) -> list[int]:
        """All answers of a kind."""
        return [alpha for chosen in self.answers[kind].values() for alpha in chosen]

    @property
    def agreement(self) -> Agreement | None:
        """Between the two kinds; None where there are too few of either.

        Of each respondent's mean: several answers of one are no answers of several.
        """
        return agreement(
            {
                kind: [float(np.mean(chosen)) for chosen in found.values()]
                for kind, found in self.answers.items()
            }
        )


@dataclass(frozen=True)
class Respondent:
    """A simulated one: what they like, and what they are called.

    Parameters
    ----------
    name : str
    kind : {"expert", "other"}
    base : float
        c of the IEF / c^alpha that they look for.
    """

    name: str
    kind: str
    base: float


def simulated_respondents(
    numbers: Mapping[str, int] = PAPER_RESPONDENTS,
    *,
    rng: np.random.Generator,
    preferred: Mapping[str, float] | None = None,
) -> list[Respondent]:
    """As many of each kind as stated, all with one taste on average unless stated by kind."""
    found = []
    for kind, number in numbers.items():
        centre = np.log((preferred or {}).get(kind, PREFERRED))
        bases = np.exp(rng.normal(centre, TASTE, number))
        found += [Respondent(f"{kind} {n}", kind, float(c)) for n, c in enumerate(bases, start=1)]
    return found


def simulated_choice(
    respondent: Respondent, ief: NDArray[np.float64], *, rng: np.random.Generator
) -> int:
    """The number of eigenpatches of the reconstruction that they like best.

    Parameters
    ----------
    respondent : Respondent
    ief : ndarray, shape (a,)
        Image enhancement factor of the reconstructions with 1, 2, ... eigenpatches.
    rng : numpy.random.Generator
    """
    alpha = np.arange(1, len(ief) + 1)
    liking = np.log(ief) - alpha * np.log(respondent.base)
    return int(np.argmax(liking + rng.normal(0.0, HESITATION, len(ief)))) + 1
