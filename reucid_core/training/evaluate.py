"""Does the classifier hold on a crystal it has never seen? Leave one family of them out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from reucid_core.classifier import Classifier
from reucid_core.eigenpatches import Decomposition
from reucid_core.params import ScanNoise
from reucid_core.training import baselines
from reucid_core.training.crystals import CRYSTALS
from reucid_core.training.examples import Example, Labels, example_of, split, without
from reucid_core.training.fit import DECISIONS, FitOptions, as_classifier, fit
from reucid_core.training.labels import Kept, SubsetError, fused_components
from reucid_core.training.recipes import (
    Micrograph,
    PointDefect,
    Recipe,
    micrograph,
    paper_recipes,
)
from reucid_core.training.simulate import FloatImage, RowNoise

PATCH_SIZES = (11, 15, 21, 31)
ROWS = (RowNoise(), RowNoise(offset=0.02), RowNoise(offset=0.05))
DEFECTS = (PointDefect(0.31, 0.33, 0.0), PointDefect(0.67, 0.64, 0.5))
TRAINING_SHARE = 0.8
TUNED_RULES: dict[str, Callable[[Sequence[baselines.Judged]], baselines.Rule]] = {
    "best c sigma^2 N": baselines.best_noise_multiple,
    "best s_k/s_0": baselines.best_relative_value,
    "best alpha": baselines.best_truncation,
    "gradient": baselines.best_gradient,
    "entropy": baselines.best_entropy,
}


@dataclass(frozen=True)
class Judged:
    """An example by one decision about scan noise, as the rules are tuned on it."""

    decomposition: Decomposition
    error: SubsetError


@dataclass(frozen=True)
class Score:
    """How one choice of eigenpatches did on one micrograph.

    Parameters
    ----------
    specimen : str
    family : str
    dose : float
        In e/A^2.
    patch_size : int
        In px.
    offset : float
        Standard deviation of the rows' offsets, relative to the truth's maximum.
    scan_noise : {"keep", "remove"}
        Whether the truth contains them.
    method : str
    psnr : float
        In dB.
    loss : float
        PSNR lost against the image oracle, in dB.
    ief : float
        Image enhancement factor, |noisy - truth|^2 / |denoised - truth|^2.
    contrast : float
        Share of the point defects' contrast that is left, mean over them.
    kept : int
        Eigenpatches.
    """

    specimen: str
    family: str
    dose: float
    patch_size: int
    offset: float
    scan_noise: ScanNoise
    method: str
    psnr: float
    loss: float
    ief: float
    contrast: float
    kept: int


@dataclass(frozen=True)
class Contender:
    """A way to choose eigenpatches, for one decision about scan noise or for both."""

    method: str
    rule: Callable[[Decomposition], Kept]
    scan_noise: ScanNoise | None = None


def evaluate(
    examples: Sequence[Example],
    options: dict[str, FitOptions],
    *,
    n_each: int = 1,
    image_seed: int = 1,
    processes: int = 1,
    patch_sizes: Sequence[int] = PATCH_SIZES,
) -> Iterator[list[Score]]:
    """Scores of each family's crystals by networks and rules that never saw the family.

    Parameters
    ----------
    examples : sequence of Example
    options : dict of FitOptions
        Of each network, by its name.
    n_each : int
        Micrographs of each crystal, dose and scan noise.
    image_seed : int
    processes : int
    patch_sizes : sequence of int
    """
    families = sorted({crystal.family for crystal in CRYSTALS.values()})
    work = partial(
        _leave_out,
        examples=examples,
        options=options,
        n_each=n_each,
        image_seed=image_seed,
        patch_sizes=tuple(patch_sizes),
    )
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(work, families)


def _leave_out(
    family: str,
    *,
    examples: Sequence[Example],
    options: dict[str, FitOptions],
    n_each: int,
    image_seed: int,
    patch_sizes: tuple[int, ...],
) -> list[Score]:
    torch.set_num_threads(1)
    with threadpool_limits(1):
        contenders = contenders_without(examples, family, options)
        return [
            score
            for crystal in CRYSTALS.values()
            if crystal.family == family
            for recipe in paper_recipes(
                crystal, n_each, patch_sizes=patch_sizes, rows=ROWS, seed=image_seed
            )
            for score in scores_of(recipe, contenders)
        ]


def contenders_without(
    examples: Sequence[Example], family: str, options: dict[str, FitOptions]
) -> list[Contender]:
    """Networks and rules, trained and calibrated on all other families."""
    training, validation = split(without(examples, family), TRAINING_SHARE, seed=0)
    contenders = []
    for name, chosen in options.items():
        for decision in DECISIONS:
            fitted = fit(training, validation, chosen, scan_noise=decision)
            classify = as_classifier(fitted.network, fitted.threshold)
            contenders.append(Contender(name, partial(verdicts, classify), decision))
    for decision in DECISIONS:
        judged = [Judged(e.decomposition, e.labels(decision).error) for e in validation]
        contenders += [
            Contender(name, tuned(judged), decision) for name, tuned in TUNED_RULES.items()
        ]
    return [
        *contenders,
        Contender("Gavish-Donoho", baselines.gavish_donoho),
        Contender("Marchenko-Pastur edge", baselines.marchenko_pastur_edge),
        Contender("2 sigma^2 N", baselines.noise_multiple),
        Contender("s_k/s_0 > 0.1", partial(baselines.relative_singular_value, threshold=0.1)),
        Contender("first 10", partial(baselines.truncation, alpha=10)),
    ]


def verdicts(classify: Classifier, decomposition: Decomposition) -> Kept:
    """What a classifier keeps, shape (k,)."""
    kept: Kept = classify(decomposition) >= classify.threshold
    return kept


def scores_of(recipe: Recipe, contenders: Iterable[Contender]) -> Iterator[Score]:
    """Every contender, the oracles and SURE on one micrograph with two point defects."""
    images = micrograph(recipe, DEFECTS)
    example = example_of(recipe, images)
    d = example.decomposition
    fused = fused_components(d, images.noisy).reshape(len(d.eigenpatches), -1)
    pristine = micrograph(recipe).specimen
    windows = defect_windows(images.specimen, pristine)
    sure = baselines.sure_subset(d, images.noisy, gram=example.keep.error.gram)
    chosen = [(each.method, each.scan_noise, each.rule(d)) for each in contenders]
    chosen.append(("SURE", None, sure))
    decisions = DECISIONS if recipe.rows else (DECISIONS[0],)
    for decision in decisions:
        labels = example.labels(decision)
        every = [
            *chosen,
            ("patch oracle", None, labels.patch_oracle),
            ("image oracle", None, labels.image_oracle),
        ]
        for method, trained_for, kept in every:
            if recipe.rows and trained_for not in (None, decision):
                continue
            name = method if recipe.rows or trained_for in (None, "keep") else f"{method} (remove)"
            yield _score(name, kept, decision, labels, recipe, images, fused, windows)


def _score(
    method: str,
    kept: Kept,
    decision: ScanNoise,
    labels: Labels,
    recipe: Recipe,
    images: Micrograph,
    fused: NDArray[np.float64],
    windows: Sequence[NDArray[np.float64]],
) -> Score:
    kept = kept if kept.any() else np.arange(len(kept)) == 0
    truth = images.truth(decision)
    psnr = labels.error.psnr(kept)
    image = (kept @ fused).reshape(truth.shape)
    error = image - images.truth(decision)
    return Score(
        specimen=recipe.specimen.name,
        family=recipe.specimen.family,
        dose=recipe.dose,
        patch_size=recipe.patch_size or 0,
        offset=recipe.rows.offset,
        scan_noise=decision,
        method=method,
        psnr=psnr,
        loss=labels.loss(kept),
        ief=float(np.sum((images.noisy - truth) ** 2) / np.sum(error**2)),
        contrast=float(np.mean([1 + (error * w).sum() / np.square(w).sum() for w in windows])),
        kept=int(kept.sum()),
    )


def defect_windows(specimen: FloatImage, pristine: FloatImage) -> list[FloatImage]:
    """What each of `DEFECTS` changes in the image, shape (m, n) each.

    Of an image r, sum((r - pristine) change) / sum(change^2) is the share of a defect's contrast
    that is left in it.
    """
    m, n = specimen.shape
    y, x = np.indices((m, n))
    change = specimen - pristine
    nearest = np.argmin(
        [np.hypot(y / m - each.y, x / n - each.x) for each in DEFECTS], axis=0
    )  # (m, n)
    return [np.where(nearest == number, change, 0.0) for number in range(len(DEFECTS))]


def summary(scores: Sequence[Score], *, by: str = "patch_size") -> str:
    """Markdown: losses against the image oracle in dB, of every method, by a field of `Score`."""
    lines = []
    for offset in sorted({one.offset for one in scores}):
        for decision in DECISIONS:
            group = [s for s in scores if (s.offset, s.scan_noise) == (offset, decision)]
            if group:
                noise = f"row offsets of {offset:.0%}" if offset else "white noise"
                lines += [f"\n**{noise}, scan noise: {decision}**\n", _table(group, by)]
    return "\n".join(lines) + "\n"


def _table(scores: Sequence[Score], by: str) -> str:
    values = sorted({getattr(one, by) for one in scores})
    methods = list(dict.fromkeys(one.method for one in scores))
    lines = [
        "| method | "
        + " | ".join(f"{by.replace('_', ' ')} {v}: mean | 95 % | worst" for v in values)
        + " | defect contrast | IEF |",
        "|---" * (3 * len(values) + 3) + "|",
    ]
    for method in methods:
        mine = [one for one in scores if one.method == method]
        cells = []
        for value in values:
            losses = [one.loss for one in mine if getattr(one, by) == value]
            cells += [np.mean(losses), np.percentile(losses, 95), np.max(losses)]
        cells += [np.mean([one.contrast for one in mine]), np.median([one.ief for one in mine])]
        lines.append(f"| {method} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    return "\n".join(lines)
