"""Metrics of images as predictors of how many eigenpatches people choose, and an edited one.

Paper, "Informing a qualitatively-aligned metric": MSE, PSNR, SSIM and IEF each point to one of the
reconstructions with alpha = 1, 2, ... leading eigenpatches; people's mean answer is the measure of
which does best. The IEF is then divided by c^alpha, with c fitted to the answers, so that more
images can be labelled without people. All of it needs the truth of the images.

MSE, PSNR and IEF point to the same alpha, always: with one noisy image and one truth each is a
monotonic function of |reconstruction - truth|^2. What tells them apart is only how steep they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from reucid_core.eigenpatches import Decomposition, FloatArray
from reucid_core.errors import SurveyError
from reucid_core.metrics import psnr, ssim
from reucid_core.training.labels.ief import (
    PAPER_BASE,
    PAPER_MOST,
    best_alpha,
    edited,
    first,
    leading,
)
from reucid_core.training.labels.oracle import Components
from reucid_core.training.labels.survey import SurveyImage

LEAST = "MSE"  # of this metric the least is best, of all others the largest
NAMES = (LEAST, "PSNR", "SSIM", "IEF")
RESAMPLED = 2000  # times, for the interval of c
COVERED = 0.95
SCALE, SHIFT = (0.8, 1.25), 0.5  # of a truth in the units of its image; the shift in its own sd

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """The metrics of one image's reconstructions with 1, 2, ... eigenpatches.

    Parameters
    ----------
    values : mapping
        By the metric's name, shape (a,).
    """

    values: Mapping[str, Float64]

    def alpha(self, name: str) -> int:
        """The number of eigenpatches that a metric names."""
        curve = self.values[name]
        return best_alpha(-curve if name == LEAST else curve)

    def told_apart(self, name: str, alpha: int) -> float:
        """How far a metric of alpha lies from those of alpha - 1 and alpha + 1, mean.

        Relative to the metric's range over all alpha, so that metrics in different units compare.
        """
        curve = self.values[name]
        around = [n for n in (alpha - 2, alpha) if 0 <= n < len(curve)]
        spread = float(np.ptp(curve))
        if not around or spread == 0:
            return 0.0
        return float(np.mean(np.abs(curve[around] - curve[alpha - 1])) / spread)


def curves_of(
    decomposition: Decomposition, noisy: FloatArray, truth: FloatArray, *, most: int = PAPER_MOST
) -> Curves:
    """The four metrics of the images fused from the first alpha eigenpatches.

    Parameters
    ----------
    decomposition : Decomposition
        Of all patches of the noisy image.
    noisy, truth : ndarray, shape (m, n)
        In the same intensity units.
    most : int
        The largest alpha; a decomposition of fewer components ends earlier.

    Raises
    ------
    ImportError
        Where scikit-image is not installed (extra `laboratory`).
    """
    double = truth.astype(np.float64)
    parts = Components.of(leading(decomposition, most), noisy).fused
    before = float(np.mean((noisy.astype(np.float64) - double) ** 2))
    image = np.zeros(parts.shape[1])
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    for part in parts:
        image += part
        shaped = image.reshape(truth.shape)
        error = float(np.mean((shaped - double) ** 2))
        values = (error, psnr(shaped, double), ssim(shaped, double), before / error)
        for name, value in zip(NAMES, values, strict=True):
            found[name].append(value)
    return Curves({name: np.array(values) for name, values in found.items()})


def check_truth(name: str, noisy: FloatArray, truth: FloatArray) -> None:
    """Refuse what cannot be the truth of an image in its own units.

    Raises
    ------
    SurveyError
    """
    if truth.shape != noisy.shape:
        raise SurveyError(
            f"{name}: got a truth of {truth.shape} px, expected {noisy.shape} as the image"
        )
    double, noisy = truth.astype(np.float64), noisy.astype(np.float64)
    spread = float(double.std())
    if not np.isfinite(double).all() or spread == 0:
        raise SurveyError(f"{name}: got a truth without contrast or with values that are no number")
    scale = float(np.mean((double - double.mean()) * (noisy - noisy.mean()))) / spread**2
    shift = float(noisy.mean() - double.mean()) / spread
    if not SCALE[0] <= scale <= SCALE[1] or abs(shift) > SHIFT:
        raise SurveyError(
            f"{name}: got a truth of which the image is {scale:.3g} times the contrast, shifted by "
            f"{shift:.3g} of its standard deviation; expected the same specimen in the same units, "
            "pixel by pixel"
        )


@dataclass(frozen=True)
class Fitted:
    """c of IEF / c^alpha, fitted to people's answers.

    Parameters
    ----------
    base : float
        c: the middle, on a logarithmic scale, of the values that fit equally well.
    low, high : float
        95 % of the surveys that are drawn, with replacement, from these images have no c that fits
        as well as theirs below the one, and none above the other.
    alphas : ndarray, shape (images,), int
        What the edited IEF names for each image.
    held_out : ndarray, shape (images,), int
        The same with a c that is fitted to all other images.
    """

    base: float
    low: float
    high: float
    alphas: NDArray[np.int64]
    held_out: NDArray[np.int64]


@dataclass(frozen=True)
class _Candidates:
    """Every c that makes a difference, and what the edited IEF names with each.

    log(IEF / c^alpha) = log IEF + alpha t with t = -log c is the largest of some straight lines in
    t, so that alpha is a step function of t which never falls. It is constant between the points
    where two of the lines cross: there is a finite number of cases, and no search can miss one.
    """

    edges: Float64  # of t, (cases + 1,)
    alphas: NDArray[np.int64]  # (cases, images)
    errors: Float64  # squared, (cases, images)

    @classmethod
    def of(cls, curves: Sequence[Float64], answers: Float64) -> "_Candidates":
        crossings = [np.empty(0)]
        for curve in curves:
            logs = np.log(curve)
            one, two = np.triu_indices(len(curve), 1)
            crossings.append((logs[one] - logs[two]) / (two - one))
        inner = np.unique(np.concatenate(crossings))
        edges = np.concatenate([[inner[0] - 1], inner, [inner[-1] + 1]])
        middles = (edges[:-1] + edges[1:]) / 2
        alphas = np.stack(
            [
                np.argmax(np.log(curve) + np.outer(middles, np.arange(len(curve))), axis=1) + 1
                for curve in curves
            ],
            axis=1,
        )
        return cls(edges, alphas, (alphas - answers) ** 2)

    def best(self, weights: Float64) -> tuple[int, Float64]:
        """A case of least squared error, and the two c between which all are equally good.

        It is that in the middle of the widest run of such cases.
        """
        total = self.errors @ weights
        least = np.flatnonzero(total <= total.min() * (1 + 1e-12))
        runs = np.split(least, np.flatnonzero(np.diff(least) > 1) + 1)
        widest = max(runs, key=lambda run: float(self.edges[run[-1] + 1] - self.edges[run[0]]))
        ends = self.edges[[widest[-1] + 1, widest[0]]]
        case = int(np.searchsorted(self.edges, ends.mean(), side="right")) - 1
        return int(np.clip(case, widest[0], widest[-1])), np.exp(-ends)


def fit_base(curves: Sequence[Curves], answers: Sequence[float], *, seed: int = 0) -> Fitted:
    """Fit c by least squares of alpha, by going through all cases that there are.

    Parameters
    ----------
    curves : sequence of Curves
        Of at least two images.
    answers : sequence of float
        Mean number of eigenpatches that people chose, of each.
    seed : int
        Of the surveys that are drawn for the interval.

    Raises
    ------
    SurveyError
        Of a single image: nothing would tell how sure c is.
    """
    n = len(curves)
    if n < 2:
        raise SurveyError(f"got {n} image with answers and a truth, expected at least 2")
    cases = _Candidates.of([each.values["IEF"] for each in curves], np.asarray(answers))
    best, ends = cases.best(np.ones(n))
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=RESAMPLED)
    resampled = np.array([cases.best(weights.astype(np.float64))[1] for weights in drawn])
    tail = 50 * (1 - COVERED)
    held_out = [cases.alphas[cases.best(1.0 - np.eye(n)[i])[0], i] for i in range(n)]
    return Fitted(
        base=float(np.sqrt(ends.prod())),
        low=float(np.percentile(resampled[:, 0], tail)),
        high=float(np.percentile(resampled[:, 1], 100 - tail)),
        alphas=cases.alphas[best],
        held_out=np.array(held_out),
    )


@dataclass(frozen=True)
class Predictor:
    """How well a metric tells what people choose.

    Parameters
    ----------
    name : str
    alphas : ndarray, shape (images,), int
        What it names for each image.
    distance : float
        From people's mean answer, mean of its magnitude over the images.
    bias : float
        The same with its sign: above 0, it names more than people choose.
    told_apart : float
        As `Curves.told_apart` of people's answer, mean over the images.
    """

    name: str
    alphas: NDArray[np.int64]
    distance: float
    bias: float
    told_apart: float


@dataclass(frozen=True)
class Comparison:
    """The four metrics and the edited IEF, measured by people's answers.

    Parameters
    ----------
    images : sequence of str
    curves : sequence of Curves
    answers : sequence of float
        Mean numbers of eigenpatches that people chose.
    fitted : Fitted
    """

    images: Sequence[str]
    curves: Sequence[Curves]
    answers: Sequence[float]
    fitted: Fitted

    @classmethod
    def of(
        cls, images: Sequence[str], curves: Sequence[Curves], answers: Sequence[float]
    ) -> "Comparison":
        """Fit c, and compare."""
        return cls(images, curves, answers, fit_base(curves, answers))

    @cached_property
    def predictors(self) -> list[Predictor]:
        """Each metric; the edited IEF with c of the other images, of all, and of the paper."""
        found = [
            self._predictor(name, [each.alpha(name) for each in self.curves], name)
            for name in NAMES
        ]
        base = self.fitted.base
        for name, c, alphas in (
            ("IEF / c^alpha, c of the other images", base, self.fitted.held_out),
            (f"IEF / {base:.3g}^alpha, fitted", base, self.fitted.alphas),
            (f"IEF / {PAPER_BASE:g}^alpha, the paper's", PAPER_BASE, None),
        ):
            changed = [Curves({name: edited(each.values["IEF"], base=c)}) for each in self.curves]
            chosen = [each.alpha(name) for each in changed] if alphas is None else alphas
            found.append(self._predictor(name, chosen, name, changed))
        return found

    def _predictor(
        self,
        name: str,
        alphas: "Sequence[int] | NDArray[np.int64]",
        metric: str,
        curves: Sequence[Curves] | None = None,
    ) -> Predictor:
        apart = [
            each.told_apart(metric, min(len(each.values[metric]), int(answer + 0.5)))
            for each, answer in zip(curves or self.curves, self.answers, strict=True)
        ]
        miss = np.asarray(alphas) - np.asarray(self.answers)
        return Predictor(
            name,
            np.asarray(alphas, dtype=np.int64),
            float(np.abs(miss).mean()),
            float(miss.mean()),
            float(np.mean(apart)),
        )


def label_by_metric(
    image: str, decomposition: Decomposition, curves: Curves, *, base: float
) -> SurveyImage:
    """Labels of an image that nobody was asked about: as many as IEF / c^alpha names.

    No respondent stands behind it: `respondents` is 0.
    """
    alpha = best_alpha(edited(curves.values["IEF"], base=base))
    labels = first(alpha, len(decomposition.eigenpatches))
    return SurveyImage(image, decomposition, labels, float(alpha), float("nan"), 0)
