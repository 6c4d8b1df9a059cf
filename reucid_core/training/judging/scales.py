"""Networks beside the rule of the noise floor, at the two scales.

Networks are trained without a family of crystals on whitened decompositions, one for each scale
and decision about scan noise, and judged beside rules by that family: by the PSNR that the image
oracle's subset has over theirs, and by whole denoisings.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from reucid_core.clock import Clock
from reucid_core.eigenpatches import Classify, Decomposition
from reucid_core.metrics import psnr
from reucid_core.noise_floor import noise_floor
from reucid_core.outcome import Task
from reucid_core.params import DenoiseParams, ScanNoise
from reucid_core.report import StackReport
from reucid_core.training.judging.contenders import TRAINING_SHARE
from reucid_core.training.judging.scenes import SPECTRA, dimmed
from reucid_core.training.labels.examples import Example, split, without
from reucid_core.training.labels.oracle import Kept
from reucid_core.training.labels.scales import SCALES, BothScales, Scale
from reucid_core.training.micrographs import fields
from reucid_core.training.networks.fit import FitOptions, as_classifier, fit
from reucid_core.two_scale import denoise_two_scale
from reucid_core.verdict import choose_threshold, judge

Float64 = NDArray[np.float64]

MULTIPLES = np.arange(1.5, 3.01, 0.05).round(2)  # of the noise, tried for the best one
DOSES = (100, 1000)  # e/A^2
RULE, BEST, NETWORK = "w > 2", "w > c, best c", "network"
NAMES = (RULE, BEST, NETWORK)
COMBINATIONS = ((RULE, RULE), (BEST, RULE), (NETWORK, RULE), (RULE, NETWORK), (NETWORK, NETWORK))


@dataclass(frozen=True)
class Loss:
    """PSNR in dB below the image oracle's subset, on one micrograph."""

    family: str
    decision: ScanNoise
    scale: Scale
    method: str
    loss: float


@dataclass(frozen=True)
class Whole:
    """A denoising, its eigenpatches judged by one method at each scale."""

    family: str
    material: str
    noise: str
    dose: int
    lattice: str
    recovery: str
    psnr: float
    contrast: float


@dataclass(frozen=True)
class Verdicts:
    """What came of leaving a family out."""

    family: str
    losses: list[Loss] = field(default_factory=list)
    wholes: list[Whole] = field(default_factory=list)
    multiples: dict[tuple[ScanNoise, Scale], float] = field(default_factory=dict)


@dataclass(frozen=True)
class Multiple:
    """The rule that keeps what exceeds a multiple of the noise, as utilities."""

    multiple: float
    threshold: float = 0.5

    def __call__(self, decomposition: Decomposition) -> NDArray[np.float64]:
        variance = decomposition.noise_variance or 1.0
        w = decomposition.singular_values**2 / (decomposition.n_patches * variance)
        return np.asarray((w > self.multiple) * 1.0)


def kept_by(classify: Classify, decomposition: Decomposition) -> Kept:
    """What a classifier keeps at its own threshold, shape (k,)."""
    utilities = np.asarray(classify(decomposition), dtype=np.float64)
    return np.asarray(utilities >= choose_threshold(None, classify))


def best_multiple(examples: Sequence[Example]) -> Multiple:
    """That of the least mean loss."""
    means = [
        np.mean([e.keep.loss(kept_by(Multiple(c), e.decomposition)) for e in examples])
        for c in MULTIPLES
    ]
    return Multiple(float(MULTIPLES[int(np.argmin(means))]))


def evaluate_scales(
    examples: dict[ScanNoise, list[BothScales]], options: FitOptions, *, processes: int = 1
) -> Iterator[Verdicts]:
    """Leave each family of the simulated materials out in turn.

    Parameters
    ----------
    examples : dict of list of BothScales
        By the decision about scan noise.
    options : FitOptions
        Of the networks.
    processes : int
    """
    families = sorted({fields.field(name).family for name in fields.materials()})
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(partial(_leave_out, examples=examples, options=options), families)


def _leave_out(
    family: str, *, examples: dict[ScanNoise, list[BothScales]], options: FitOptions
) -> Verdicts:
    torch.set_num_threads(1)
    found = Verdicts(family)
    judges: dict[tuple[ScanNoise, Scale], dict[str, Classify]] = {}
    with threadpool_limits(1):
        for decision, scale in product(examples, SCALES):
            at_scale = [one for each in examples[decision] if (one := each.at(scale)) is not None]
            training, validation = split(without(at_scale, family), TRAINING_SHARE, seed=0)
            size = min(
                options.epoch_size, sum(len(e.decomposition.singular_values) for e in training)
            )
            chosen = replace(options, epoch_size=size)
            fitted = fit(training, validation, chosen, scan_noise=decision)
            best = best_multiple([*training, *validation])
            found.multiples[decision, scale] = best.multiple
            judges[decision, scale] = {
                RULE: noise_floor,
                BEST: best,
                NETWORK: as_classifier(fitted.network, fitted.threshold),
            }
            for one in at_scale:
                if one.recipe.specimen.family == family:
                    for name, judge in judges[decision, scale].items():
                        loss = one.keep.loss(kept_by(judge, one.decomposition))
                        found.losses.append(Loss(family, decision, scale, name, loss))
        found.wholes.extend(_wholes(family, judges))
    return found


def _wholes(
    family: str, judges: dict[tuple[ScanNoise, Scale], dict[str, Classify]]
) -> Iterator[Whole]:
    for number, material in enumerate(fields.materials()):
        if fields.field(material).family != family:
            continue
        scene = dimmed(material, turned=17.0)
        for noise, dose in product(SPECTRA, DOSES):
            image, _ = scene.seen(dose, SPECTRA[noise], (60, number, dose))
            for lattice, recovery in COMBINATIONS:
                restored = denoised(
                    image,
                    judges["remove", "lattice"][lattice],
                    judges["remove", "recovery"][recovery],
                )
                yield Whole(
                    family,
                    material,
                    noise,
                    dose,
                    lattice,
                    recovery,
                    psnr(restored, scene.truth),
                    scene.contrast(restored),
                )


@dataclass(frozen=True)
class TwoJudges(Task):
    """A denoising whose details are judged by another classifier than its lattice."""

    details: Classify

    def judge(self, decomposition: Decomposition, *, stack: int) -> StackReport:
        """The verdict of the scale's own classifier at its own threshold."""
        classify = self.classify if stack == 1 else self.details
        return judge(
            decomposition,
            classify,
            choose_threshold(None, classify),
            stack=stack,
            select=self.params.select,
        )


def denoised(image: Float64, lattice: Classify, recovery: Classify) -> Float64:
    """As method `two-scale`, with a classifier for each scale, shape (m, n)."""
    params = DenoiseParams(method="two-scale", threads=1)
    task = TwoJudges(params, lattice, None, Clock(), recovery)
    return np.asarray(denoise_two_scale(image, task).image, dtype=np.float64)


def tables(verdicts: Sequence[Verdicts]) -> str:
    """All of it, as Markdown."""
    losses = [one for each in verdicts for one in each.losses]
    wholes = [one for each in verdicts for one in each.wholes]
    return "\n\n".join([_loss_table(losses), _whole_table(wholes), _family_table(wholes)]) + "\n"


def _loss_table(losses: Sequence[Loss]) -> str:
    lines = ["| scale | scan noise | " + " | ".join(NAMES) + " |", "|---" * 5 + "|"]
    for scale, decision in product(SCALES, ("remove", "keep")):
        cells = []
        for name in NAMES:
            mine = [
                one.loss
                for one in losses
                if (one.scale, one.decision, one.method) == (scale, decision, name)
            ]
            cells.append(
                f"{np.mean(mine):.2f} / {np.percentile(mine, 95):.2f} / {np.max(mine):.2f}"
                if mine
                else ""
            )
        lines.append(f"| {scale} | {decision} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _whole_table(wholes: Sequence[Whole]) -> str:
    heads = [f"lattice {one}, recovery {other}" for one, other in COMBINATIONS]
    lines = [f"| noise | e/A^2 | {' | '.join(heads)} |", "|---" * (2 + len(heads)) + "|"]
    for noise, dose in product(SPECTRA, DOSES):
        here = [one for one in wholes if (one.noise, one.dose) == (noise, dose)]
        lines.append(f"| {noise} | {dose} | {' | '.join(_cells(here))} |")
    lines.append(f"| all | | {' | '.join(_cells(wholes))} |")
    return "\n".join(lines)


def _family_table(wholes: Sequence[Whole]) -> str:
    heads = [f"lattice {one}, recovery {other}" for one, other in COMBINATIONS]
    lines = [f"| material | {' | '.join(heads)} |", "|---" * (1 + len(heads)) + "|"]
    for material in sorted({one.material for one in wholes}):
        cells = _cells([one for one in wholes if one.material == material])
        lines.append(f"| {material} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cells(wholes: Sequence[Whole]) -> Iterator[str]:
    for combination in COMBINATIONS:
        mine = [one for one in wholes if (one.lattice, one.recovery) == combination]
        yield (
            f"{np.mean([one.psnr for one in mine]):.2f}, "
            f"{np.mean([one.contrast for one in mine]):.2f}"
        )
