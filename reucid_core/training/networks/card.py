"""The model card: what the weights were made of, for programs and for people."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reucid_core.classifier import PAPER
from reucid_core.eigenpatches import Decomposition
from reucid_core.report import library_versions
from reucid_core.training.labels.examples import Example
from reucid_core.training.labels.survey import SurveyImage
from reucid_core.training.micrographs.crystals import Crystal
from reucid_core.training.micrographs.fields import Field
from reucid_core.training.micrographs.recipes import Recipe
from reucid_core.training.micrographs.scan_spectra import WHITE
from reucid_core.training.networks.fit import Fit, FitOptions
from reucid_core.training.networks.survey_fit import SurveyFit

FOOTNOTE = """
The losses are of specimens seen in training. On specimens never seen, on the limits and on how
they were trained: [docs/classifier.md](../../docs/classifier.md).
"""


def model_card(
    name: str,
    fits: Sequence[Fit],
    training: Sequence[Example],
    validation: Sequence[Example],
    *,
    options: FitOptions,
    command: str,
    survey: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What a reader of the weights wants to know of their making, ready for JSON.

    `reucid_core.training.networks.fit.write` adds the format, the architecture and the thresholds.
    """
    everything = [*training, *validation]
    return _card(name, fits, options, command, survey) | {
        "data": simulated_data([example.recipe for example in everything]),
        "specimens": sorted({example.recipe.specimen.name for example in everything}),
        "labels": f"{options.oracle} oracle" + (" and a survey" if survey else ""),
        "images": {"training": len(training), "validation": len(validation)},
        "datapoints": sum(len(each.decomposition.eigenpatches) for each in everything),
        "validation_loss_db": {each.scan_noise: _spread(each) for each in fits},
        "limits": _limits([example.decomposition for example in everything], survey),
    }


def survey_model_card(
    name: str,
    fits: Sequence[SurveyFit],
    images: Sequence[SurveyImage],
    *,
    options: FitOptions,
    command: str,
    survey: Mapping[str, Any],
) -> dict[str, Any]:
    """The same of weights that were trained on a survey alone."""
    folds = fits[0].folds
    held = len(fits[0].misses)
    how = (
        f"{held} of {len(images)} images held back"
        if folds == 1
        else f"cross-validation in {folds} parts, then all {len(images)} images"
    )
    return _card(name, fits, options, command, survey) | {
        "data": f"{len(images)} images of a survey; nothing was simulated",
        "specimens": sorted({each.image for each in images}),
        "labels": "a survey",
        "images": {
            "training": len(images) - held if folds == 1 else len(images),
            "validation": held,
        },
        "datapoints": sum(len(each.labels) for each in images),
        "validation": how,
        "eigenpatches_missed": {
            each.scan_noise: {
                "mean": round(float(np.abs(each.misses).mean()), 2),
                "worst": round(float(np.abs(each.misses).max()), 2),
            }
            for each in fits
        },
        "limits": _limits([each.decomposition for each in images], survey, simulated=False),
    }


def simulated_data(recipes: Sequence[Recipe]) -> str:
    """In words, what was simulated, and which noise it had."""
    kinds = [
        kind
        for kind, specimen in (("incoherent", Crystal), ("by multislice", Field))
        if any(isinstance(recipe.specimen, specimen) for recipe in recipes)
    ]
    noises = ["Poisson and Gaussian noise"]
    if any(recipe.spectrum != WHITE for recipe in recipes):
        noises.append("noise correlated along the scan")
    if any(recipe.rows.offset for recipe in recipes):
        noises.append("row offsets")
    if any(recipe.rows.jitter for recipe in recipes):
        noises.append("row jitter")
    last = f" and {noises[-1]}" if len(noises) > 1 else ""
    listed = ", ".join(noises[:-1]) if last else noises[0]
    return f"simulated HAADF micrographs, {' and '.join(kinds)}, with {listed}{last}"


def _limits(
    decompositions: Sequence[Decomposition],
    survey: Mapping[str, Any] | None,
    *,
    simulated: bool = True,
) -> str:
    """For what the weights were made, by what has taken part."""
    sizes = [each.patch_size for each in decompositions]
    parts = ["Simulated micrographs of crystals at atomic resolution"] if simulated else []
    if survey:
        parts.append(f"{survey['images']} images of a survey")
    taken = " and ".join(parts)
    alone = "" if survey else "; no experimental image has taken part"
    return f"{taken}{alone}. Patch sizes {min(sizes)} to {max(sizes)} px. See docs/classifier.md."


def _card(
    name: str,
    fits: Sequence[Fit] | Sequence[SurveyFit],
    options: FitOptions,
    command: str,
    survey: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What all cards have."""
    architecture = options.architecture
    return {
        "name": name,
        "architecture": architecture.to_dict(),
        "thresholds": {each.scan_noise: each.threshold for each in fits},
        "paper_network": architecture == PAPER,
        "survey": dict(survey) if survey else None,
        "options": asdict(options),
        "seed": options.seed,
        "command": command,
        "epochs": {each.scan_noise: len(each.epochs) for each in fits},
        "versions": {
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "reucid": library_versions()["reucid"],
        },
    }


def survey_card(path: Path, images: Sequence[SurveyImage]) -> dict[str, Any]:
    """What a card says of the survey whose labels were learned."""
    return {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "images": len(images),
        "answers": sum(each.respondents for each in images),
        "labelled_by_metric": sum(each.respondents == 0 for each in images),
        "datapoints": sum(len(each.labels) for each in images),
    }


def readable(digests: Mapping[str, str], cards: Mapping[str, Mapping[str, Any]]) -> str:
    """The cards of some models as one Markdown page.

    Parameters
    ----------
    digests : mapping of str to str
        SHA-256 of the files, by their names.
    cards : mapping of str to mapping
        Model cards, by the same names.
    """
    return (
        "# Weights\n\n"
        + "\n".join(_readable(name, digests[name], card) for name, card in cards.items())
        + (FOOTNOTE if any("validation_loss_db" in card for card in cards.values()) else "")
    )


def _readable(name: str, digest: str, card: Mapping[str, Any]) -> str:
    architecture, images = card["architecture"], card["images"]
    kind = "the network of Fig. 3 of the paper" if card["paper_network"] else "found by search"
    losses = "".join(
        f"| loss on validation images, scan noise: {decision} | mean {loss['mean']:.2f} dB, "
        f"95 % below {loss['p95']:.2f} dB, worst {loss['worst']:.2f} dB |\n"
        for decision, loss in card.get("validation_loss_db", {}).items()
    ) + "".join(
        f"| kept beside people's mean answer, scan noise: {decision} | {missed['mean']:.1f} "
        f"eigenpatches apart, worst {missed['worst']:.1f}; {card['validation']} |\n"
        for decision, missed in card.get("eigenpatches_missed", {}).items()
    )
    of = "specimens" if "validation_loss_db" in card else "names"
    thresholds = ", ".join(f"{name} {value:g}" for name, value in card["thresholds"].items())
    return f"""\
## {name}

Written by `{card["command"]}`; the card is in the file's metadata, too, key `card`.

| | |
|---|---|
| SHA-256 | `{digest}` |
| network | {kind}: channels {architecture["channels"]}, widths {architecture["widths"]} |
| inputs beside the eigenpatch | {", ".join(architecture["inputs"])} |
| output | calibrated probability of being useful, the mean over both signs of the eigenpatch |
| thresholds | {thresholds} |
| data | {card["data"]} |
| {of} | {", ".join(card["specimens"])} |
| labels | {card["labels"]} |
| images | {images["training"]} for training, {images["validation"]} for validation |
| eigenpatches | {card["datapoints"]}, each in 8 variants (4 where scan noise is removed) and \
both signs |
{losses}| seed | {card["seed"]} |
| limits | {card["limits"]} |
"""


def _spread(fitted: Fit) -> dict[str, float]:
    """PSNR lost against the image oracle on the validation images, in dB."""
    losses = fitted.losses
    values = {
        "median": np.median(losses),
        "mean": np.mean(losses),
        "p95": np.percentile(losses, 95),
        "worst": np.max(losses),
    }
    return {name: round(float(value), 3) for name, value in values.items()}
