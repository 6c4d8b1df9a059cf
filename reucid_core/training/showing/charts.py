"""Charts of how well eigenpatches are chosen, as PNG files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reucid_core.eigenpatches import Decomposition
from reucid_core.training.labels.oracle import Kept
from reucid_core.training.labels.respondents import EXPERT, OTHER, Group
from reucid_core.training.showing.figures import (
    BLACK,
    BLUE,
    COLOURS,
    GREEN,
    GREY,
    ORANGE,
    RED,
    figure,
)

BINS = 10  # of utilities
RANKS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)  # of the eigenpatches that are shown
LINEAR = 0.1  # dB: up to there a loss is drawn to scale, beyond it logarithmically
LOSS_TICKS = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
JITTER = 0.25  # of the space a method has among the others


def scree(
    decomposition: Decomposition,
    network: Kept,
    oracle: Kept,
    path: Path,
    *,
    noise: float | None = None,
) -> None:
    """Singular values, and where the network's verdicts differ from the oracle's.

    Parameters
    ----------
    decomposition : Decomposition
    network, oracle : ndarray, shape (k,), bool
        What each keeps.
    path : Path
    noise : float, optional
        Variance of the noise in a pixel, intensity squared; drawn is what it makes of a singular
        value.
    """
    values = decomposition.relative_singular_values
    rank = np.arange(1, len(values) + 1)
    verdicts = (
        ("kept by both", network & oracle, "o", BLUE, BLUE),
        ("left out by both", ~network & ~oracle, "o", "none", GREY),
        ("kept by the network alone", network & ~oracle, "^", ORANGE, ORANGE),
        ("kept by the oracle alone", ~network & oracle, "v", RED, RED),
    )
    with figure(path, 5.5, width=9) as drawn:
        axes = drawn.subplots()
        axes.plot(rank, values, color=GREY, linewidth=0.8, zorder=0)
        for name, where, marker, face, edge in verdicts:
            axes.scatter(
                rank[where], values[where], s=36, marker=marker, facecolor=face, edgecolor=edge,
                label=f"{name}: {np.count_nonzero(where)}",
            )  # fmt: skip
        if noise is not None:
            level = np.sqrt(noise * decomposition.n_patches) / decomposition.singular_values[0]
            axes.axhline(level, color=BLACK, linewidth=0.8, linestyle="--", label="noise alone")
        axes.set_yscale("log")
        axes.set_xlabel("eigenpatch $k$")
        axes.set_ylabel("singular value $s_k / s_0$")
        axes.legend()


def verdicts(
    stacks: Sequence[tuple[NDArray[np.floating], Kept]], path: Path, *, title: str
) -> None:
    """Singular values of every stack, relative to its first, and which of them are kept.

    Parameters
    ----------
    stacks : sequence of (ndarray, ndarray)
        Values and verdicts, shape (k,) each.
    path : Path
    title : str
    """
    with figure(path, 4.5, width=8) as drawn:
        axes = drawn.subplots()
        for values, kept in stacks:
            rank = np.arange(1, len(values) + 1)
            axes.plot(rank, values, color=GREY, linewidth=0.8, zorder=1)
            axes.scatter(rank[kept], values[kept], color=GREEN, s=22, zorder=3)
            axes.scatter(rank[~kept], values[~kept], color=GREY, s=12, zorder=2)
        axes.scatter([], [], color=GREEN, s=22, label="kept")
        axes.scatter([], [], color=GREY, s=12, label="dropped")
        axes.set(yscale="log", xlabel="eigenpatch", ylabel="singular value / largest", title=title)
        axes.legend()


def eigenpatches(decomposition: Decomposition, path: Path) -> None:
    """Eigenpatches by rank, ever more apart, each on a grey scale of its own."""
    ranks = [rank for rank in RANKS if rank <= len(decomposition.eigenpatches)]
    with figure(path, 1.7, width=9) as drawn:
        for axes, rank in zip(drawn.subplots(1, len(ranks)), ranks, strict=True):
            patch = decomposition.eigenpatches[rank - 1]
            reach = float(np.abs(patch).max())
            axes.imshow(patch, cmap="gray", vmin=-reach, vmax=reach)
            axes.set_title(f"{rank}")
            axes.set_axis_off()


def reliability(
    verdicts: Mapping[str, tuple[NDArray[np.floating], Kept]], path: Path, *, bins: int = BINS
) -> None:
    """Of the eigenpatches a network calls useful with a probability, how many are.

    Parameters
    ----------
    verdicts : mapping
        Utilities in [0, 1], shape (k,), and the oracle's labels, shape (k,), of each network.
    path : Path
    bins : int
        Of equal width, between 0 and 1.
    """
    edges = np.linspace(0, 1, bins + 1)
    with figure(path, 6.5, width=8) as drawn:
        curve, counts = drawn.subplots(2, sharex=True, height_ratios=(4, 1))
        curve.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, label="calibrated")
        for number, (name, (utilities, useful)) in enumerate(verdicts.items()):
            colour = COLOURS[number % len(COLOURS)]
            index = np.clip(np.digitize(utilities, edges) - 1, 0, bins - 1)
            found = np.bincount(index, minlength=bins)
            filled = found > 0
            total = found[filled]
            mean = np.bincount(index, utilities, bins)[filled] / total
            share = np.bincount(index, useful, bins)[filled] / total
            curve.errorbar(
                mean, share, yerr=_wilson(share, total), color=colour, marker="o", capsize=2,
                linewidth=1.2, elinewidth=0.8, label=name,
            )  # fmt: skip
            counts.stairs(found, edges, color=colour)
        curve.set_ylabel("share that the oracle keeps\n(bars: 95 %)")
        curve.legend()
        counts.set_yscale("log")
        counts.set_ylabel("eigenpatches")
        counts.set_xlabel("utility by the network")


def losses(by_method: Mapping[str, Mapping[str, Sequence[float]]], path: Path) -> None:
    """PSNR lost against the image oracle, each micrograph a dot, the medians as bars.

    Parameters
    ----------
    by_method : mapping
        Losses in dB by method and material; methods need not have the same materials.
    path : Path
    """
    materials = list(dict.fromkeys(name for found in by_method.values() for name in found))
    share = 0.8 / len(by_method)
    rng = np.random.default_rng(0)  # of the jitter alone
    with figure(path, 5.5) as drawn:
        axes = drawn.subplots()
        for number, (method, found) in enumerate(by_method.items()):
            colour = COLOURS[number % len(COLOURS)]
            offset = (number - (len(by_method) - 1) / 2) * share
            for material, values in found.items():
                place = materials.index(material) + offset
                around = place + rng.uniform(-JITTER, JITTER, len(values)) * share
                axes.scatter(around, values, s=14, color=colour, alpha=0.5, linewidth=0)
                axes.hlines(
                    np.median(values), place - 0.45 * share, place + 0.45 * share,
                    color=colour, linewidth=2.5,
                )  # fmt: skip
            axes.scatter([], [], s=30, color=colour, label=f"{method} ({_summary(found)})")
        for border in np.arange(len(materials) - 1) + 0.5:
            axes.axvline(border, color=GREY, linewidth=0.4)
        axes.set_yscale("symlog", linthresh=LINEAR, linscale=0.4)
        axes.set_yticks(LOSS_TICKS, [f"{tick:g}" for tick in LOSS_TICKS])
        axes.minorticks_off()
        every = [value for found in by_method.values() for some in found.values() for value in some]
        axes.set_ylim(min(-0.02, 1.2 * min(every)), max(LINEAR, 1.2 * max(every)))
        crowded = len(materials) > 6
        axes.set_xticks(range(len(materials)), materials)
        axes.tick_params("x", rotation=45 if crowded else 0, length=0)
        axes.set_xlim(-0.5, len(materials) - 0.5)
        axes.set_ylabel("PSNR lost against the image oracle / dB")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(by_method))


def violins(groups: Sequence[Group], path: Path, *, across: str = "") -> None:
    """How experts and others chose, as the paper's Fig. 4: halves of a violin, and the means.

    A violin is a kernel estimate of the distribution, with Scott's rule; answers that are all alike
    are a line.

    Parameters
    ----------
    groups : sequence of Group
        From left to right.
    path : Path
    across : str
        What tells the groups apart: the label of the horizontal axis.
    """
    sides: dict[str, tuple[Literal["low", "high"], str]] = {
        EXPERT: ("low", BLUE),
        OTHER: ("high", ORANGE),
    }
    with figure(path, 5.5, width=9) as drawn:
        axes = drawn.subplots()
        for kind, (side, colour) in sides.items():
            alphas = [np.asarray(group.alphas(kind), dtype=np.float64) for group in groups]
            means = [found.mean() if len(found) else np.nan for found in alphas]
            spread = {n: found for n, found in enumerate(alphas) if len(set(found.tolist())) > 1}
            if spread:
                bodies = axes.violinplot(
                    list(spread.values()), list(spread), side=side, widths=0.8, showextrema=False
                )["bodies"]
                for body in bodies if isinstance(bodies, list) else [bodies]:
                    body.set(facecolor=colour, alpha=0.45)
            count = sum(map(len, alphas))
            shift = -0.04 if side == "low" else 0.04
            axes.plot(
                np.arange(len(groups)) + shift, means, "o-", color=colour, linewidth=1.2,
                label=f"{kind}s: {count} answers, and their means",
            )  # fmt: skip
        axes.set_xticks(range(len(groups)), [group.name for group in groups])
        axes.tick_params("x", rotation=45 if len(groups) > 6 else 0)
        axes.set_xlabel(across)
        axes.set_ylabel("eigenpatches chosen")
        axes.set_ylim(bottom=0)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def _wilson(share: NDArray[np.float64], total: NDArray[np.int64]) -> NDArray[np.float64]:
    """Distances to Wilson's 95 % bounds of a binomial share, below and above, shape (2, b)."""
    z = 1.96
    centre = (share + z**2 / 2 / total) / (1 + z**2 / total)
    reach = z * np.sqrt(share * (1 - share) / total + (z / 2 / total) ** 2) / (1 + z**2 / total)
    bounds: NDArray[np.float64] = np.maximum([share - (centre - reach), centre + reach - share], 0)
    return bounds


def _summary(found: Mapping[str, Sequence[float]]) -> str:
    every = np.concatenate([np.asarray(values) for values in found.values()])
    return f"mean {every.mean():.2f}, worst {every.max():.2f} dB"
