"""A micrograph whose truth nobody knows: what the classifiers make of it, and what others do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from reucid_core import DenoiseParams, denoise
from reucid_core.classifier import WEIGHTS, load_classifier
from reucid_core.eigenpatches import FloatArray
from reucid_core.metrics import whiteness
from reucid_core.params import ScanNoise
from reucid_core.training.judging.rivals import BM3D, Noise
from reucid_core.training.judging.scores import row_step
from reucid_core.training.showing import pictures

SHOWN: tuple[tuple[str, ScanNoise], ...] = (
    ("tuned", "keep"),
    ("tuned", "remove"),
    ("paper", "keep"),
    ("paper", "remove"),
)
PICTURED = ("tuned, keep", "tuned, remove")


@dataclass(frozen=True)
class Experiment:
    """An experimental micrograph.

    Parameters
    ----------
    name : str
    raw : ndarray, shape (m, n)
    beside : mapping
        What other programs made of it, shape (m, n), by their names.
    """

    name: str
    raw: FloatArray
    beside: Mapping[str, FloatArray] = field(default_factory=dict)


@dataclass(frozen=True)
class Restored:
    """An image of a method; how many eigenpatches it is made of, if it is."""

    image: FloatArray
    kept: str = ""


def restore(experiment: Experiment, *, patch_size: int | None) -> dict[str, Restored]:
    """By the bundled classifiers with either decision, BM3D if it is installed, and others.

    BM3D is told the noise level that the largest frequencies show, and no gain: the counts of an
    unknown detector cannot be stabilised.
    """
    raw = experiment.raw.astype(np.float64)
    found = {}
    for model, decision in SHOWN:
        classify = load_classifier(WEIGHTS / f"{model}.safetensors", scan_noise=decision)
        result = denoise(
            raw, DenoiseParams(method="paper", patch_size=patch_size), classify=classify
        )
        (stack,) = result.report.stack_reports
        kept = f"{stack.n_kept} of {len(stack.kept)}, p = {result.report.patch_size}"
        found[f"{model}, {decision}"] = Restored(result.image, kept)
    noise = Noise(gain=0.0, read=gaussian_noise(raw))
    if BM3D.installed and noise.read > 0:  # few counts: most differences are none
        found["BM3D"] = Restored(BM3D(raw, noise, 0))
    return found | {name: Restored(image) for name, image in experiment.beside.items()}


def gaussian_noise(image: FloatArray) -> float:
    """Standard deviation of white noise, from the diagonal differences of neighbours.

    Of four neighbours (+1, -1, -1, +1) / 2, which no smooth image has; median absolute value as
    Donoho, Johnstone, Biometrika 81, 425 (1994), DOI 10.1093/biomet/81.3.425.
    """
    diagonal = np.diff(np.diff(image.astype(np.float64), axis=0), axis=1) / 2
    return float(np.median(np.abs(diagonal)) / 0.6745)


def table(experiment: Experiment, restored: Mapping[str, Restored]) -> str:
    """Markdown: eigenpatches kept, the step from row to row, the residual's whiteness."""
    lines = [
        f"**{experiment.name}**\n",
        "| method | eigenpatches kept | step between rows | correlation of the residual, over its "
        "bound |",
        "|---|---|---|---|",
        f"| raw | | {row_step(experiment.raw):.3g} | |",
    ]
    for name, each in restored.items():
        found = whiteness(experiment.raw - each.image.astype(np.float64))
        correlation = f"{found.largest / found.bound:.1f}"
        lines.append(f"| {name} | {each.kept} | {row_step(each.image):.3g} | {correlation} |")
    return "\n".join(lines) + "\n"


def show(
    experiments: Sequence[Experiment], folder: Path, *, patch_size: int | None = None
) -> list[str]:
    """A page of pictures of each, and a table."""
    tables = []
    for each in experiments:
        restored = restore(each, patch_size=patch_size)
        shown = [*PICTURED, "BM3D", *each.beside]
        images = {name: restored[name].image for name in shown if name in restored}
        pictures.experiment(each.raw, images, folder / f"experiment-{Path(each.name).stem}.png")
        tables.append(table(each, restored))
    return tables
