"""The model card: what the weights were made of, for programs and for people."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from reucid_core.classifier import ARCHITECTURE
from reucid_core.training.dataset import Example
from reucid_core.training.fit import Fit, FitOptions, as_classifier


def model_card(
    fitted: Fit,
    training: Sequence[Example],
    validation: Sequence[Example],
    *,
    options: FitOptions,
    command: str,
) -> dict[str, Any]:
    """What a reader of the weights wants to know of their making, ready for JSON."""
    everything = [*training, *validation]
    return {
        "architecture": ARCHITECTURE,
        "threshold": fitted.threshold,
        "name": "paper",
        "inputs": "eigenpatch, 25 x 25 px, unit largest magnitude; s_k / s_0",
        "data": "simulated HAADF micrographs with Poisson and Gaussian noise, no scan noise",
        "crystals": sorted({example.recipe.crystal.name for example in everything}),
        "labels": f"{options.labels} oracle",
        "images": {"training": len(training), "validation": len(validation)},
        "datapoints": sum(len(example.image_labels) for example in everything),
        "options": asdict(options),
        "seed": options.seed,
        "command": command,
        "epochs": len(fitted.epochs),
        "validation_loss_db": _losses(validation, fitted),
        "versions": {"torch": str(torch.__version__), "numpy": np.__version__},
    }


def readable(file_name: str, card: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    losses, images = card["validation_loss_db"], card["images"]
    return f"""\
# {file_name}

Written by `{card["command"]}`; the same text is in the file's metadata, key `card`.

| | |
|---|---|
| architecture | `{card["architecture"]}`: Fig. 3 of Mitchell, Sanvito, Jones, Sci. Rep. (2025) |
| inputs | {card["inputs"]} |
| output | utility in [0, 1], the mean over both signs of the eigenpatch |
| threshold | {card["threshold"]:g}: the lowest whose PSNR loss on the validation images cannot be \
told from the least |
| data | {card["data"]} |
| crystals | {", ".join(card["crystals"])} |
| labels | {card["labels"]} |
| images | {images["training"]} for training, {images["validation"]} for validation |
| eigenpatches | {card["datapoints"]}, each in 8 variants |
| loss on validation images, against the image oracle | median {losses["median"]:.2f} dB, \
mean {losses["mean"]:.2f} dB, worst {losses["worst"]:.2f} dB |
| seed | {card["seed"]} |

These figures are of crystals seen in training. On crystals never seen, on its limits and on how it
was trained: [docs/classifier.md](../../docs/classifier.md).
"""


def _losses(validation: Sequence[Example], fitted: Fit) -> dict[str, float]:
    """PSNR lost against the image oracle on the validation images, in dB."""
    classify = as_classifier(fitted.network)
    losses = [e.loss(classify(e.decomposition) >= fitted.threshold) for e in validation]
    values = {"median": np.median(losses), "mean": np.mean(losses), "worst": np.max(losses)}
    return {name: round(float(value), 3) for name, value in values.items()}
