"""Training of the network of Fig. 3, and the weights file that comes of it."""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional

from reucid_core.classifier import Classifier, EigenpatchNet
from reucid_core.training.dataset import N_AUGMENTED, Batch, Example, datapoints

THRESHOLDS = np.arange(0.05, 0.96, 0.01).round(2)


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """How the network is trained.

    Parameters
    ----------
    labels : {"image", "patch"}
        Whose verdict is learned.
    weight_cap, weight_floor : float
        A datapoint weighs what a mistake on it costs, in dB, between these two.
    epochs : int
        At most.
    epoch_size : int
        Datapoints drawn in an epoch, with probabilities proportional to their weights, each in
        one of its eight variants.
    patience : int
        Epochs without a lower validation loss after which to stop.
    batch_size : int
    learning_rate : float
        Of Adam at first; falls to zero as a half cosine.
    seed : int
        Of the first weights, the order of the datapoints and their variants.
    """

    labels: str = "image"
    weight_cap: float = 1.0
    weight_floor: float = 0.01
    epochs: int = 70
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
    threshold: float
    validation_loss_db: float  # mean PSNR lost against the image oracle at the threshold
    epochs: list[Epoch]


def fit(
    training: Sequence[Example],
    validation: Sequence[Example],
    options: FitOptions | None = None,
    *,
    progress: Callable[[Epoch], None] | None = None,
) -> Fit:
    """Train a network on some micrographs, stop it and set its threshold on others.

    The same examples and options give the same weights on one machine and number of threads.
    """
    options = options or FitOptions()
    network, epochs = train(
        datapoints(training, labels=options.labels),
        datapoints(validation, labels=options.labels),
        options,
        progress=progress,
    )
    threshold, loss = calibrate(network, validation)
    return Fit(network, threshold, loss, epochs)


def train(
    training: Batch,
    validation: Batch,
    options: FitOptions,
    *,
    progress: Callable[[Epoch], None] | None = None,
) -> tuple[EigenpatchNet, list[Epoch]]:
    """The network of the epoch with the lowest validation loss, and all epochs."""
    network = new_network(options.seed)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast
    importance = weights(validation, options)
    generator = torch.Generator().manual_seed(options.seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=options.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.epochs)
    best, epochs = copy.deepcopy(network), list[Epoch]()
    lowest, lowest_at = float("inf"), 0
    for number in range(1, options.epochs + 1):
        training_loss = _one_epoch(network, optimizer, training, options, generator)
        schedule.step()
        with torch.inference_mode():
            entropy = cross_entropy(network, validation)
            validation_loss = float((entropy * importance).sum() / importance.sum())
        epochs.append(Epoch(number, training_loss, validation_loss))
        if progress is not None:
            progress(epochs[-1])
        if validation_loss < lowest:
            best, lowest, lowest_at = copy.deepcopy(network), validation_loss, number
        if number - lowest_at >= options.patience:
            break
    return best.eval(), epochs


def new_network(seed: int) -> EigenpatchNet:
    """An untrained network; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return EigenpatchNet()


def weights(batch: Batch, options: FitOptions) -> Tensor:
    """What a mistake on each datapoint weighs, shape (n,)."""
    return batch.costs.clamp(options.weight_floor, options.weight_cap)


def cross_entropy(network: EigenpatchNet, batch: Batch) -> Tensor:
    """Of each datapoint, shape (n,)."""
    logits = network(batch.eigenpatches, batch.eigenvalues)
    return functional.binary_cross_entropy_with_logits(logits, batch.labels, reduction="none")


def _one_epoch(
    network: EigenpatchNet,
    optimizer: torch.optim.Optimizer,
    training: Batch,
    options: FitOptions,
    generator: torch.Generator,
) -> float:
    """Draw and learn an epoch's datapoints; the mean loss on the way."""
    drawn = torch.multinomial(
        weights(training, options), options.epoch_size, replacement=True, generator=generator
    )
    losses = []
    for index in torch.split(drawn, options.batch_size):
        variant = torch.randint(N_AUGMENTED, (len(index),), generator=generator)
        value = cross_entropy(network, training.take(index).augmented(variant)).mean()
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(value.detach()))
    return float(np.mean(losses))


def calibrate(network: EigenpatchNet, validation: Sequence[Example]) -> tuple[float, float]:
    """Threshold of the least mean PSNR loss, and its loss in dB against the image oracle.

    Of all thresholds that these micrographs cannot tell from the best, by one standard error, the
    lowest: a crystal never seen makes the network less sure, and structure that is removed is a
    graver mistake than noise that stays.
    """
    classifier = as_classifier(network)
    utilities = [classifier(example.decomposition) for example in validation]
    losses = np.array(
        [
            [e.loss(u >= threshold) for e, u in zip(validation, utilities, strict=True)]
            for threshold in THRESHOLDS
        ]
    )  # (thresholds, micrographs)
    excess = losses - losses[losses.mean(axis=1).argmin()]
    error = excess.std(axis=1) / np.sqrt(len(validation))
    chosen = int(np.argmax(excess.mean(axis=1) <= error))  # the first of them
    return float(THRESHOLDS[chosen]), float(losses[chosen].mean())


def as_classifier(network: EigenpatchNet, threshold: float = 0.5) -> Classifier:
    """A network as the pipeline sees it."""
    return Classifier(network, threshold=threshold, identity="in training", card={})


def write(fitted: Fit, path: Path, card: Mapping[str, Any]) -> None:
    """Write weights that `load_classifier` reads; the card becomes JSON in their metadata."""
    tensors = {name: tensor.contiguous() for name, tensor in fitted.network.state_dict().items()}
    # Not save_file, whose file nobody but its maker may read.
    path.write_bytes(save(tensors, metadata={"card": json.dumps(card, sort_keys=True)}))
