"""What a part of the reproduction is made of, and where its files lie."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

Row = list[str | float]

NAMES = ("fig2", "fig4", "fig5", "fig6", "fig7", "table1")


@dataclass(frozen=True)
class Table:
    """Figures of a part, as CSV and on the page.

    Parameters
    ----------
    name : str
        Of its file, without suffix.
    caption : str
    head : sequence of str
    rows : sequence of sequence
        Text and numbers; a number is written with four digits on the page, whole in the CSV.
    shown : bool
        Whether the page has it: a profile is for a spreadsheet.
    """

    name: str
    caption: str
    head: Sequence[str]
    rows: Sequence[Row]
    shown: bool = True

    def write(self, folder: Path) -> Path:
        """As CSV."""
        path = folder / f"{self.name}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([self.head, *self.rows])
        return path


@dataclass(frozen=True)
class Part:
    """One figure or table of the paper, made anew.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    title : str
    paper : str
        What the paper shows there.
    differs : sequence of str
        What is not as in the paper, and why.
    pictures : mapping
        Captions by the pictures' file names.
    tables : sequence of Table
    files : sequence of str
        What else was written, by name.
    """

    name: str
    title: str
    paper: str
    differs: Sequence[str]
    pictures: dict[str, str] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    files: Sequence[str] = ()
