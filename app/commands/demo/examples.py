"""Good and bad results of the bundled micrograph, for the help of the page.

`python -m app.commands.demo.examples` draws them anew.
"""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from app.commands.demo import NOISY
from reucid_core import DenoiseParams, denoise
from reucid_core.eigenpatches import Classify, Decomposition
from worker.denoising.model_choice import ModelChoice
from worker.denoising.model_files import Models
from worker.denoising.model_loading import chosen_classifier

FOLDER = Path(__file__).parents[2] / "page" / "static" / "help"
SIDE = 160  # px of the part that is shown
GAP = 6
ROW_JITTER = 0.06  # of the image's range, standard deviation
SEED = 1


def keeping(count: int) -> Classify:
    """A judge that keeps the first eigenpatches, whatever they hold."""

    def classify(found: Decomposition) -> NDArray[np.float64]:
        return (np.arange(len(found.singular_values)) < count).astype(np.float64)

    return classify


def run(folder: Path) -> None:
    """Write raw, denoised and residual of each case side by side."""
    folder.mkdir(exist_ok=True)
    noisy = tifffile.imread(NOISY).astype(np.float32)
    rows = np.random.default_rng(SEED).normal(0, ROW_JITTER * np.ptp(noisy), (len(noisy), 1))
    streaked = noisy + rows.astype(np.float32)
    network = chosen_classifier(Models(), ModelChoice())
    two_scale = DenoiseParams(method="two-scale", scan_noise="remove")
    results = {
        "good": (noisy, denoise(noisy, classify=network).image),
        "too-little": (noisy, denoise(noisy, classify=keeping(50)).image),
        "too-much": (noisy, denoise(noisy, classify=keeping(3)).image),
        "streaks-kept": (streaked, denoise(streaked, classify=network).image),
        "streaks-removed": (streaked, denoise(streaked, two_scale).image),
    }
    for name, (before, after) in results.items():
        _draw(before, after, folder / f"{name}.png")


def _draw(noisy: NDArray[Any], result: NDArray[Any], path: Path) -> None:
    low, high = np.percentile(noisy, (0.5, 99.5))
    half = (high - low) / 2
    panels = [(noisy, low, high), (result, low, high), (noisy - result, -half, half)]
    sheet = np.zeros((SIDE, 3 * SIDE + 2 * GAP), np.uint8)
    for number, (image, bottom, top) in enumerate(panels):
        shown = np.clip((image[:SIDE, :SIDE] - bottom) / (top - bottom), 0, 1)
        start = number * (SIDE + GAP)
        sheet[:, start : start + SIDE] = np.rint(63 * shown) * 4  # six bits: small files
    Image.fromarray(sheet).save(path, optimize=True)


if __name__ == "__main__":
    run(FOLDER)
