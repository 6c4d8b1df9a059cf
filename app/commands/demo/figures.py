"""The demo's pictures."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

mpl.use("Agg")

DPI = 150
KEPT, DROPPED = "#1a7f37", "#b0b0b0"


def draw_scree(report: dict[str, Any], path: Path) -> None:
    """Singular values of every stack over their index, with the classifier's verdicts."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for stack in report["stack_reports"]:
        values = np.array(stack["relative_singular_values"])
        index = np.arange(1, len(values) + 1)
        kept = np.array(stack["kept"])
        axes.plot(index, values, color="#d8dee4", zorder=1, linewidth=1)
        axes.scatter(index[kept], values[kept], color=KEPT, s=22, zorder=3)
        axes.scatter(index[~kept], values[~kept], color=DROPPED, s=12, zorder=2)
    axes.scatter([], [], color=KEPT, s=22, label="kept")
    axes.scatter([], [], color=DROPPED, s=12, label="dropped")
    axes.set(
        yscale="log",
        xlabel="eigenpatch",
        ylabel="singular value / largest",
        title=f"Scree plot, method {report['method']}, patches of {report['patch_size']} px",
    )
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=DPI)


def draw_comparison(
    truth: NDArray[Any], noisy: NDArray[Any], result: NDArray[Any], path: Path
) -> None:
    """Truth, noisy, denoised and residual; the first three in the same grays."""
    figure = Figure(figsize=(10, 10.4), layout="constrained")
    low, high = np.percentile(truth, (0, 99.8))  # a bright dopant must not darken the rest
    residual = noisy - result
    spread = np.percentile(np.abs(residual), 99.5)
    panels = [
        ("truth (simulated)", truth, low, high),
        ("noisy input", noisy, low, high),
        ("denoised", result, low, high),
        ("residual: noisy - denoised", residual, -spread, spread),
    ]
    for axes, (title, image, bottom, top) in zip(figure.subplots(2, 2).flat, panels, strict=True):
        axes.imshow(image, cmap="gray", vmin=bottom, vmax=top, interpolation="nearest")
        axes.set_title(title)
        axes.set_axis_off()
    figure.savefig(path, dpi=DPI)
