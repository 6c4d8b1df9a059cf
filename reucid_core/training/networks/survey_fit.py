"""Training on people's answers alone (paper, "Dataset creation"): no simulation, no truth.

Four in five images train; the fifth stops the training, makes probabilities of the logits and sets
the threshold at which as many eigenpatches are kept as people chose. Where that fifth is too small
to tell, each image is held back in turn, and the network that is kept has seen all of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from reucid_core.classifier import EigenpatchNet
from reucid_core.errors import SurveyError
from reucid_core.params import ScanNoise
from reucid_core.training.labels.survey import SurveyImage
from reucid_core.training.networks.dataset import Batch, surveyed_datapoints
from reucid_core.training.networks.fit import (
    THRESHOLDS,
    Epoch,
    FitOptions,
    logits_of,
    platt,
    probability,
    train,
    variants_of,
)

FEW = 15  # images: below it a fifth of them is too little to calibrate by
FOLDS = 5
SEEN_EACH_EPOCH = 2  # times that a datapoint is drawn, in any of its variants
LEAST_EPOCH = 1024  # datapoints drawn in an epoch, however few there are

Float64 = NDArray[np.float64]
Groups = list[tuple[list[int], list[int]]]


@dataclass(frozen=True)
class SurveyFit:
    """A network trained on a survey, and how it came to be.

    Parameters
    ----------
    network : EigenpatchNet
    scan_noise : {"keep", "remove"}
    threshold : float
    misses : ndarray, shape (images,)
        Eigenpatches kept less people's mean answer, of each image while it was held back.
    epochs : list of Epoch
        Of the network itself.
    folds : int
        1 where a fifth of the images was held back; else of the cross-validation.
    """

    network: EigenpatchNet
    scan_noise: ScanNoise
    threshold: float
    misses: Float64
    epochs: list[Epoch]
    folds: int


def check_survey(images: Sequence[SurveyImage]) -> None:
    """Refuse what no network can be trained on alone.

    Raises
    ------
    SurveyError
    """
    beside = "or learn them beside simulated micrographs (--each, --invented, --multislice)"
    if len(images) < 2:
        raise SurveyError(
            f"got labels of {len(images)} image{'s' * (len(images) != 1)}, expected at least 2, "
            f"for one is held back: survey more images, {beside}"
        )
    if max(each.respondents for each in images) < 2:
        raise SurveyError(
            "got one answer for each image, expected several for one of them at least: ask more "
            f"people, {beside}"
        )
    answers = {round(each.alpha, 6) for each in images}
    if len(answers) == 1:
        raise SurveyError(
            f"got the same mean answer, {answers.pop():g}, for all {len(images)} images, expected "
            f"different ones: nothing tells which eigenpatches are useful; survey images of other "
            f"doses and specimens, {beside}"
        )


def fit_survey(
    images: Sequence[SurveyImage],
    options: FitOptions,
    *,
    scan_noise: ScanNoise,
    progress: Callable[[Epoch], None] | None = None,
) -> SurveyFit:
    """Train a network on a survey's labels alone.

    The same images and options give the same weights on one machine and number of threads.

    Parameters
    ----------
    images : sequence of SurveyImage
    options : FitOptions
    scan_noise : {"keep", "remove"}
        Which symmetries the datapoints are drawn in: people's answers are the same.
    progress : callable, optional
        Called after each epoch.

    Raises
    ------
    SurveyError
        As `check_survey`.
    """
    check_survey(images)
    groups = held_back(len(images), seed=options.seed)
    points = [_datapoints([each], options) for each in images]
    found = dict[int, Float64]()  # logits of each image by a network that has not seen it
    ends = []
    for seen, unseen in groups:
        network, epochs = _train(
            _joined(points, seen), _joined(points, unseen), options, scan_noise, progress
        )
        ends.append(min(epochs, key=lambda each: each.validation_loss).number)
        found |= {n: logits_of(network, points[n]) for n in unseen}
    if len(groups) > 1:
        whole = _joined(points, range(len(images)))
        last = replace(options, epochs=round(float(np.median(ends))), patience=options.epochs)
        network, epochs = _train(whole, whole, last, scan_noise, progress)
    labels = np.concatenate([images[n].labels for n in found]).astype(np.float64)
    slope, intercept = platt(np.concatenate(list(found.values()), axis=1), labels)
    with torch.inference_mode():
        network.calibration.copy_(torch.tensor([slope, intercept]))
    utilities = [probability(found[n], slope, intercept) for n in found]
    threshold, misses = threshold_of(utilities, np.array([images[n].alpha for n in found]))
    return SurveyFit(
        network, scan_noise, threshold, misses, epochs, 1 if len(groups) == 1 else len(groups)
    )


def held_back(n_images: int, *, seed: int) -> Groups:
    """Images that train and images that are held back: once, or each image in turn."""
    order = np.random.default_rng([seed, 9]).permutation(n_images).tolist()
    if n_images >= FEW:
        border = round(0.8 * n_images)
        return [(sorted(order[:border]), sorted(order[border:]))]
    folds = [sorted(order[start :: min(FOLDS, n_images)]) for start in range(min(FOLDS, n_images))]
    return [(sorted(set(order) - set(fold)), fold) for fold in folds]


def threshold_of(utilities: Sequence[Float64], alphas: Float64) -> tuple[float, Float64]:
    """Threshold at which the kept are as many as people chose, and by how many they miss.

    The least mean distance between both; of equally good ones the lowest, since structure that is
    removed is a graver mistake than noise that stays.

    Parameters
    ----------
    utilities : sequence of ndarray, shape (k,)
        Of each image's eigenpatches.
    alphas : ndarray, shape (images,)
        People's mean answers.
    """
    kept = np.array(
        [[max(1, int((each >= t).sum())) for each in utilities] for t in THRESHOLDS],
        dtype=np.float64,
    )
    misses = kept - alphas
    chosen = int(np.abs(misses).mean(axis=1).argmin())
    return float(THRESHOLDS[chosen]), misses[chosen]


def _train(
    training: Batch,
    validation: Batch,
    options: FitOptions,
    scan_noise: ScanNoise,
    progress: Callable[[Epoch], None] | None,
) -> tuple[EigenpatchNet, list[Epoch]]:
    size = min(options.epoch_size, max(LEAST_EPOCH, SEEN_EACH_EPOCH * len(training)))
    return train(
        training,
        validation,
        replace(options, epoch_size=size),
        variants=variants_of(scan_noise),
        progress=progress,
    )


def _datapoints(images: Sequence[SurveyImage], options: FitOptions) -> Batch:
    found = surveyed_datapoints(images, options.architecture.inputs, cost=1.0)
    assert found is not None  # noqa: S101  (there is an image)
    return found


def _joined(points: Sequence[Batch], numbers: Sequence[int]) -> Batch:
    first, *others = (points[n] for n in numbers)
    for each in others:
        first = first.joined(each)
    return first
