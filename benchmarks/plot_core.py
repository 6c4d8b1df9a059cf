"""Draw what `bench_core.py --growth --json FILE` has measured."""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

STAGES = {
    "transform": "transforms and PSF",
    "decompose": "Gram matrix and eigenpatches",
    "classify": "classifier",
    "fuse": "filter",
}
OURS = {"exact": "C3", "stacked": "C1", "literal": "0.2"}
PEERS = ("C0", "C2", "C4", "C5", "C6", "C7", "C8", "C9")


def draw_methods(axes: Axes, sizes: dict[str, Any]) -> None:
    """Seconds of each method over the number of pixels."""
    names = list(dict.fromkeys(name for size in sizes.values() for name in size))
    colours = iter(PEERS)
    for name in names:
        sides = [side for side in sizes if name in sizes[side]]
        pixels = [int(side) ** 2 for side in sides]
        seconds = [statistics.median(sizes[side][name]["seconds"]) for side in sides]
        style: dict[str, Any] = (
            {"color": OURS[name], "linewidth": 2.5} if name in OURS else {"color": next(colours)}
        )
        (line,) = axes.loglog(pixels, seconds, ".-", **style)
        axes.annotate(
            name,
            (pixels[-1], seconds[-1]),
            xytext=(5, {"wavelet": 6, "stacked": 7}.get(name, 0)),
            textcoords="offset points",
            va="center",
            fontsize=7.5,
            color=line.get_color(),
        )
    sides = [int(side) for side in sizes]
    axes.set_xticks([side**2 for side in sides], ["" if s == 890 else f"{s}²" for s in sides])
    axes.minorticks_off()
    axes.set_xlim(right=(6 * max(sides)) ** 2)
    axes.set_xlabel("pixels (p = 11 up to 512², 19 at 890², 23 beyond)")
    axes.set_ylabel("s, one thread")
    axes.set_title("Denoising one image")


def draw_stages(axes: Axes, growth: dict[str, dict[str, float]], side: int) -> None:
    """Seconds of each stage of the exact engine over the patch size."""
    cases = sorted(
        (int(key.split()[1]), s) for key, s in growth.items() if key.startswith(str(side))
    )
    sizes = [p for p, _ in cases]
    for stage, label in STAGES.items():
        seconds = [s[stage] + (s["psf"] if stage == "transform" else 0) for _, s in cases]
        axes.loglog(sizes, seconds, ".-", label=label)
    axes.loglog(sizes, [sum(s.values()) for _, s in cases], "k-", linewidth=2.5, label="all")
    axes.set_xticks(sizes, [str(p) for p in sizes])
    axes.minorticks_off()
    axes.set_xlabel(f"patch size p in px, at {side}²")
    axes.set_title("Engine exact, by stage")
    axes.legend(frameon=False, fontsize=8)


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("json", type=Path)
    parser.add_argument("picture", type=Path)
    options = parser.parse_args()
    results = json.loads(options.json.read_text())
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5.2), layout="constrained")
    draw_methods(left, results["sizes"])
    draw_stages(right, results["growth"], 1024)
    for axes in (left, right):
        axes.grid(alpha=0.25)
    figure.savefig(options.picture, dpi=110)


if __name__ == "__main__":
    main()
