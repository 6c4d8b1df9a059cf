"""What is told of each file at the end: a table, and `summary.csv`."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from worker.denoising.reports import frame_reports
from worker.formats.text import cell, printable
from worker.store import write_atomic

SUMMARY = "summary.csv"
TEXTS = ("file", "result", "warnings", "error")  # columns of what others have written
LONGEST = 60  # characters of an error in the table


@dataclass(frozen=True)
class Row:
    """One file, and what came of it.

    Parameters
    ----------
    file, result : str
        Below the folders of inputs and of results.
    shape, patch_size, kept : str
        Of a stack, the ranges over its frames.
    noise_removed : float or None
        Share of the noise that is gone, in [0, 1], where the method measures it; mean of frames.
    removed : float or None
        Standard deviation of what was taken from the image, in its units.
    warnings : tuple of str
    seconds : float or None
        Of denoising.
    error : str
        Why there is no result; else empty.
    ours : bool
        Whether the error is no fault of the file: a full disk, a process that was killed.
    """

    file: str
    result: str = ""
    shape: str = ""
    patch_size: str = ""
    kept: str = ""
    noise_removed: float | None = None
    removed: float | None = None
    warnings: tuple[str, ...] = ()
    seconds: float | None = None
    error: str = ""
    ours: bool = False

    def cells(self) -> dict[str, str]:
        """As text, by column; without line breaks, which only few readers of CSV take."""
        return {
            "file": printable(self.file),
            "result": printable(self.result),
            "shape": self.shape,
            "patch size": self.patch_size,
            "kept": self.kept,
            "noise removed": "" if self.noise_removed is None else f"{self.noise_removed:.3f}",
            "removed": "" if self.removed is None else f"{self.removed:.4g}",
            "warnings": "; ".join(self.warnings),
            "seconds": "" if self.seconds is None else f"{self.seconds:.2f}",
            "error": " ".join(self.error.split()),
        }


def told(
    file: str, result: str, report: dict[str, Any], shape: Iterable[int], residual: Any
) -> Row:
    """The row of a result."""
    reports = frame_reports(report)
    kept = [sum(map(sum, (stack["kept"] for stack in each["stack_reports"]))) for each in reports]
    shares = [each["assessment"]["noise_removed"] for each in reports if each.get("assessment")]
    return Row(
        file,
        result,
        shape="x".join(map(str, shape)),
        patch_size=_range([each["patch_size"] for each in reports]),
        kept=f"{_range(kept)} of {_range([each['components'] for each in reports])}",
        noise_removed=float(np.mean(shares)) if shares else None,
        removed=float(np.std(residual)),
        warnings=tuple(report["warnings"]),
        seconds=sum(report["seconds"].values()),
    )


def _range(numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low}-{high}"


def write_summary(folder: Path, rows: Iterable[Row]) -> None:
    """Write `summary.csv`, whole."""
    cells = [
        {name: cell(text) if name in TEXTS else text for name, text in row.cells().items()}
        for row in rows
    ]
    with (
        write_atomic(folder / SUMMARY) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, list(Row("").cells()))
        writer.writeheader()
        writer.writerows(cells)


def as_table(rows: Iterable[Row]) -> Table:
    """What fits into a line of each."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in ("file", "patch size", "kept", "noise removed", "seconds", "warnings", "error"):
        table.add_column(name, overflow="fold", justify="left")
    for row in rows:
        cells = row.cells()
        share = "" if row.noise_removed is None else f"{row.noise_removed:.0%}"
        count = str(len(row.warnings)) if row.warnings else ""
        few = (cells["patch size"], cells["kept"], share, cells["seconds"], count)
        table.add_row(*map(escape, (cells["file"], *few, cells["error"][:LONGEST])))
    return table


def from_dict(values: dict[str, Any]) -> Row:
    """Of JSON."""
    return Row(**(values | {"warnings": tuple(values["warnings"])}))
