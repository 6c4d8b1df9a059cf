"""Inputs as the field has them, of kinds that were read wrong once, and what is right of each.

Every case writes a file, reads it and asserts what came out. Tests run them all, and the table in
docs/formats.md says for which kinds and formats there are some.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.contract import ImageInfo
from worker.formats import reading
from worker.formats.reading import Decoded

MOST_PIXELS = 2**22
KINDS = {
    "units": "each axis by its own unit",
    "parts": "each page or image by its own metadata",
    "roles": "axes by what the file says; spectra skipped",
    "order": "series by number",
    "offsets": "offsets of axes kept",
    "unknown": "what says unknown is unknown",
    "unreadable": "unreadable metadata: the image, with a note",
    "wild": "as it is in the wild",
    "written": "written with offsets and units, read back",
}


@dataclass(frozen=True)
class Case:
    """One input of a kind, in a format of the catalogue."""

    kind: str
    format: str
    name: str
    run: Callable[[Path], None]


CASES: list[Case] = []


def case(kind: str, format_: str) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    """Register a function that writes into a folder, reads, and asserts."""
    assert kind in KINDS

    def register(run: Callable[[Path], None]) -> Callable[[Path], None]:
        CASES.append(Case(kind, format_, run.__name__, run))
        return run

    return register


def read(path: Path, companions: Sequence[Path] = ()) -> Decoded:
    return reading.read(path, max_pixels=MOST_PIXELS, companions=companions)


def only(path: Path) -> ImageInfo:
    """The one signal of a file."""
    (info,) = read(path).info.signals
    return info
