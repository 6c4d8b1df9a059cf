"""The evaluation's tables, as Markdown."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from reucid_core.training.judging.evaluate import Score
from reucid_core.training.networks.fit import DECISIONS

PAPER_TABLE_1 = {  # dose in e/A^2: PSNR in dB, SSIM, IEF of Si[110]
    100.0: (23.23, 0.2721, 1.102),
    500.0: (23.43, 0.4124, 1.206),
    1000.0: (25.07, 0.5565, 1.121),
    10000.0: (26.09, 0.7043, 1.210),
}
TABLE_1_METHODS = ("noisy", "paper", "tuned", "image oracle", "BM3D + Anscombe")

Cell = Callable[[Sequence[Score]], str]


def report(scores: Sequence[Score]) -> str:
    """All tables of an evaluation."""
    smallest = min(one.patch_size for one in scores)
    at_smallest = [one for one in scores if one.patch_size == smallest]
    sections = [
        (
            "PSNR lost against the image oracle in dB: mean / 95 % / worst",
            scores,
            "patch_size",
            loss,
        ),
        (f"p = {smallest}: the same by dose in e/A^2", at_smallest, "dose", loss),
        (f"p = {smallest}: mean loss in dB by specimen", at_smallest, "specimen", mean_loss),
        ("Share of the point defects' contrast that is left, mean", scores, "patch_size", contrast),
        (f"p = {smallest}: means over all specimens and doses", at_smallest, None, merits),
    ]
    texts = [
        f"## {title}\n" + "\n".join(by_noise(some, by=by, cell=cell))
        for title, some, by, cell in sections
    ]
    return "\n\n".join([*texts, table_1(at_smallest)]) + "\n"


def by_noise(scores: Sequence[Score], *, by: str | None, cell: Cell) -> Iterator[str]:
    """A table for white noise, and one for each row offset and decision about it."""
    for offset in sorted({one.offset for one in scores}):
        for decision in DECISIONS:
            group = [s for s in scores if (s.offset, s.scan_noise) == (offset, decision)]
            if group:
                noise = f"row offsets of {offset:.0%}" if offset else "white noise"
                yield f"\n**{noise}, scan noise: {decision}**\n"
                yield table(group, by=by, cell=cell)


def table(scores: Sequence[Score], *, by: str | None, cell: Cell) -> str:
    """Methods down, the values of a field of `Score` across; without one, the names of merits."""
    values = _values(scores, by)
    heads = [f"{by.replace('_', ' ')} {_plain(value)}" for value in values] if by else [MERITS]
    lines = [f"| method | {' | '.join(heads)} |"]
    lines.append("|---" * (lines[0].count("|") - 1) + "|")
    for method in dict.fromkeys(one.method for one in scores):
        mine = [one for one in scores if one.method == method]
        groups = [[s for s in mine if by is None or getattr(s, by) == value] for value in values]
        cells = [cell(group) if group else "" for group in groups]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def loss(scores: Sequence[Score]) -> str:
    """Mean, 95th percentile and worst loss in dB."""
    losses = np.array([one.loss for one in scores]).round(9) + 0.0  # no -0.00 of the oracle
    return f"{np.mean(losses):.2f} / {np.percentile(losses, 95):.2f} / {np.max(losses):.2f}"


def mean_loss(scores: Sequence[Score]) -> str:
    """Mean loss in dB."""
    return f"{np.mean([one.loss for one in scores]):.2f}"


def contrast(scores: Sequence[Score]) -> str:
    """Mean share of the defects' contrast."""
    return f"{np.nanmean([one.contrast for one in scores]):.2f}"


MERITS = "PSNR / dB | SSIM | IEF, median | whiteness, median | defect contrast | eigenpatches"


def merits(scores: Sequence[Score]) -> str:
    """Means of all figures, as cells under `MERITS`; ratios by their median."""
    kept = [one.kept for one in scores if one.kept is not None]
    cells = (
        f"{np.mean([one.psnr for one in scores]):.2f}",
        f"{np.mean([one.ssim for one in scores]):.3f}",
        f"{np.median([one.ief for one in scores]):.2f}",
        f"{np.median([one.whiteness for one in scores]):.1f}",
        contrast(scores),
        f"{np.mean(kept):.1f}" if kept else "",
    )
    return " | ".join(cells)


def table_1(scores: Sequence[Score], specimen: str = "Si[110]") -> str:
    """The paper's Table 1 beside the same figures of our micrographs with white noise."""
    mine = [s for s in scores if s.specimen == specimen and not s.offset]
    methods = [name for name in TABLE_1_METHODS if any(s.method == name for s in mine)]
    lines = [
        f"## {specimen}, white noise: PSNR / dB, SSIM, IEF; the paper's Table 1 beside it\n",
        f"| e/A^2 | {' | '.join(methods)} | paper, Table 1 |",
        "|---" * (len(methods) + 2) + "|",
    ]
    for dose, published in PAPER_TABLE_1.items():
        groups = [[s for s in mine if (s.method, s.dose) == (name, dose)] for name in methods]
        cells = [
            ", ".join(
                f"{np.mean([getattr(s, name) for s in group]):.2f}"
                for name in ("psnr", "ssim", "ief")
            )
            if group
            else ""
            for group in groups
        ]
        beside = ", ".join(f"{value:.2f}" for value in published)
        lines.append(f"| {dose:g} | {' | '.join(cells)} | {beside} |")
    return "\n".join(lines)


def _values(scores: Sequence[Score], by: str | None) -> list[Any]:
    return [None] if by is None else sorted({getattr(one, by) for one in scores})


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
