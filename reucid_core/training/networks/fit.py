"""Training of a network, its calibration, and the weights file that comes of it."""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import scipy.optimize
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional

from reucid_core.classifier import FORMAT, PAPER, Architecture, Classifier, EigenpatchNet
from reucid_core.params import ScanNoise
from reucid_core.training.labels.examples import Example
from reucid_core.training.networks.dataset import N_AUGMENTED, UPRIGHT, Batch, datapoints

THRESHOLDS = np.arange(0.02, 0.985, 0.01).round(2)
DECISIONS: tuple[ScanNoise, ...] = ("keep", "remove")


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """How a network is trained.

    Parameters
    ----------
    architecture : Architecture
    oracle : {"image", "patch"}
        Whose verdict is learned.
    weight_cap, weight_floor : float
        A datapoint weighs what a mistake on it costs, in dB, between these two.
    epochs : int
        At most.
    epoch_size : int
        Datapoints drawn in an epoch, with probabilities proportional to their weights, each in
        one of its variants.
    patience : int
        Epochs without a lower validation loss after which to stop.
    batch_size : int
    learning_rate : float
        Of Adam at first; falls to zero as a half cosine.
    seed : int
        Of the first weights, the order of the datapoints and their variants.
    """

    architecture: Architecture = field(default_factory=lambda: PAPER)
    oracle: str = "image"
    weight_cap: float = 1.0
    weight_floor: float = 0.01
    epochs: int = 45
    epoch_size: int = 8192
    patience: int = 15
    batch_size: int = 128
    learning_rate: float = 6e-3
    seed: int = 0


@dataclass(frozen=True)
class Epoch:
    """Mean weighted cross-entropy after an epoch."""

    number: int  # from 1
    training_loss: float
    validation_loss: float


@dataclass(frozen=True)
class Fit:
    """A trained network and how it came to be."""

    network: EigenpatchNet
    scan_noise: ScanNoise
    threshold: float
    losses: NDArray[np.float64]  # PSNR in dB lost on each validation image at the threshold
    epochs: list[Epoch]


def fit(
    training: Sequence[Example],
    validation: Sequence[Example],
    options: FitOptions | None = None,
    *,
    scan_noise: ScanNoise = "keep",
    people: Batch | None = None,
    progress: Callable[[Epoch], None] | None = None,
) -> Fit:
    """Train a network on some micrographs; stop and calibrate it on others.

    The same examples and options give the same weights on one machine and number of threads.

    Parameters
    ----------
    training, validation : sequence of Example
    options : FitOptions, optional
    scan_noise : {"keep", "remove"}
    people : Batch, optional
        Datapoints labelled by people, learned beside those of `training`.
    progress : callable, optional
        Called after each epoch.
    """
    options = options or FitOptions()
    names = options.architecture.inputs
    learned, judged = (
        with_limited_costs(
            datapoints(examples, names, scan_noise=scan_noise, oracle=options.oracle), options
        )
        for examples in (training, validation)
    )
    if people is not None:  # whose costs are as stated
        learned = learned.joined(people)
    network, epochs = train(
        learned, judged, options, variants=variants_of(scan_noise), progress=progress
    )
    calibrate(network, judged)
    threshold, losses = best_threshold(network, validation, scan_noise)
    return Fit(network, scan_noise, threshold, losses, epochs)


def train(
    training: Batch,
    validation: Batch,
    options: FitOptions,
    *,
    variants: int = N_AUGMENTED,
    progress: Callable[[Epoch], None] | None = None,
) -> tuple[EigenpatchNet, list[Epoch]]:
    """The network of the epoch with the lowest validation loss, and all epochs.

    A datapoint is drawn, and in validation weighed, by its cost.
    """
    network = new_network(options.architecture, options.seed)
    if options.architecture != PAPER:  # the paper's sees its input as it is
        network.centre.copy_(training.inputs.mean(dim=0))
        network.scale.copy_(training.inputs.std(dim=0).clamp_min(1e-3))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast
    generator = torch.Generator().manual_seed(options.seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=options.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.epochs)
    best, epochs = copy.deepcopy(network), list[Epoch]()
    lowest, lowest_at = float("inf"), 0
    for number in range(1, options.epochs + 1):
        training_loss = _one_epoch(network, optimizer, training, options, variants, generator)
        schedule.step()
        with torch.inference_mode():
            entropy = cross_entropy(network, validation)
            validation_loss = float((entropy * validation.costs).sum() / validation.costs.sum())
        epochs.append(Epoch(number, training_loss, validation_loss))
        if progress is not None:
            progress(epochs[-1])
        if validation_loss < lowest:
            best, lowest, lowest_at = copy.deepcopy(network), validation_loss, number
        if number - lowest_at >= options.patience:
            break
    return best.eval(), epochs


def new_network(architecture: Architecture, seed: int) -> EigenpatchNet:
    """An untrained network; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return EigenpatchNet(architecture)


def with_limited_costs(batch: Batch, options: FitOptions) -> Batch:
    """The datapoints at costs that are neither nothing nor everything."""
    return replace(batch, costs=batch.costs.clamp(options.weight_floor, options.weight_cap))


def cross_entropy(network: EigenpatchNet, batch: Batch) -> Tensor:
    """Of each datapoint, shape (n,)."""
    logits = network(batch.eigenpatches, batch.inputs)
    return functional.binary_cross_entropy_with_logits(logits, batch.labels, reduction="none")


def variants_of(scan_noise: ScanNoise) -> int:
    """How many of the eight may be drawn: a quarter turn would make a row's streak a column."""
    return N_AUGMENTED if scan_noise == "keep" else len(UPRIGHT)


def _one_epoch(
    network: EigenpatchNet,
    optimizer: torch.optim.Optimizer,
    training: Batch,
    options: FitOptions,
    variants: int,
    generator: torch.Generator,
) -> float:
    """Draw and learn an epoch's datapoints; the mean loss on the way."""
    drawn = torch.multinomial(
        training.costs, options.epoch_size, replacement=True, generator=generator
    )
    losses = []
    for index in torch.split(drawn, options.batch_size):
        batch = training.take(index)
        batch = batch.augmented(torch.randint(variants, (len(index),), generator=generator))
        # The sign of an eigenpatch is arbitrary: another one each time.
        signs = 2.0 * torch.randint(2, (len(index), 1, 1, 1), generator=generator) - 1.0
        logits = network(signs * batch.eigenpatches, batch.inputs)
        value = functional.binary_cross_entropy_with_logits(logits, batch.labels)
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(value.detach()))
    return float(np.mean(losses))


@torch.inference_mode()
def calibrate(network: EigenpatchNet, validation: Batch) -> None:
    """Make the network's utilities probabilities, by Platt scaling of its logits.

    Training draws datapoints by what they cost; this takes all of them alike, as they come.
    """
    slope, intercept = platt(logits_of(network, validation), validation.labels.double().numpy())
    network.calibration.copy_(torch.tensor([slope, intercept]))


@torch.inference_mode()
def logits_of(network: EigenpatchNet, batch: Batch) -> NDArray[np.float64]:
    """Of the datapoints with either sign, shape (2, n)."""
    signs = [network(sign * batch.eigenpatches, batch.inputs) for sign in (1, -1)]
    return np.asarray(torch.stack(signs).double().numpy())


def platt(logits: NDArray[np.float64], labels: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and intercept that make probabilities of logits (2, n), by maximum likelihood."""

    def surprise(calibration: NDArray[np.float64]) -> float:
        slope, intercept = np.exp(calibration[0]), calibration[1]
        useful = np.clip(probability(logits, slope, intercept), 1e-12, 1 - 1e-12)
        return float(-np.mean(labels * np.log(useful) + (1 - labels) * np.log1p(-useful)))

    found = scipy.optimize.minimize(surprise, np.zeros(2), method="Nelder-Mead").x
    return float(np.exp(found[0])), float(found[1])


def probability(logits: NDArray[np.float64], slope: float, intercept: float) -> NDArray[np.float64]:
    """Of being useful, the mean over both signs, shape (n,)."""
    scaled = np.clip(slope * logits + intercept, -500, 500)
    return np.asarray((1 / (1 + np.exp(-scaled))).mean(axis=0))


def best_threshold(
    network: EigenpatchNet, validation: Sequence[Example], scan_noise: ScanNoise
) -> tuple[float, NDArray[np.float64]]:
    """Threshold of the least mean PSNR loss, and each image's loss there in dB, shape (images,).

    Of equally good ones, the lowest: structure that is removed is a graver mistake than noise that
    stays.
    """
    classify = as_classifier(network)
    found = [(classify(e.decomposition), e.labels(scan_noise)) for e in validation]
    losses = np.array(
        [[labels.loss(u >= threshold) for u, labels in found] for threshold in THRESHOLDS]
    )  # (thresholds, images)
    chosen = int(losses.mean(axis=1).argmin())
    return float(THRESHOLDS[chosen]), losses[chosen]


def as_classifier(network: EigenpatchNet, threshold: float = 0.5) -> Classifier:
    """A network as the pipeline sees it."""
    return Classifier(network, threshold=threshold, identity="in training", card={})


class Trained(Protocol):
    """What is written of a network that was trained, whatever it learned from."""

    @property
    def network(self) -> EigenpatchNet: ...

    @property
    def scan_noise(self) -> ScanNoise: ...

    @property
    def threshold(self) -> float: ...


def write(fits: Sequence[Trained], path: Path, card: Mapping[str, Any]) -> None:
    """Write weights that `load_classifier` reads; the card becomes JSON in their metadata.

    Parameters
    ----------
    fits : sequence of Trained
        One for each decision about scan noise, of one architecture.
    path : Path
    card : mapping
    """
    tensors = {
        f"{each.scan_noise}.{name}": tensor.contiguous()
        for each in fits
        for name, tensor in each.network.state_dict().items()
    }
    needed = {
        "format": FORMAT,
        "architecture": fits[0].network.architecture.to_dict(),
        "thresholds": {each.scan_noise: each.threshold for each in fits},
    }
    content = json.dumps({**card, **needed}, sort_keys=True)
    # Not save_file, whose file nobody but its maker may read.
    path.write_bytes(save(tensors, metadata={"card": content}))
