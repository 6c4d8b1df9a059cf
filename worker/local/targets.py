"""What is written of one input, where, and in which form."""

from dataclasses import dataclass
from pathlib import Path

from worker.formats import Look


@dataclass(frozen=True)
class Targets:
    """Where everything goes that is written of one input.

    Parameters
    ----------
    result, residual, departures : Path
        Their suffixes say the format.
    report : Path
        JSON.
    bundle : Path
        A zip, for `reucid verify`.
    interims : Path
        A folder that is there, for the result after each stack of patches, or each frame.
    """

    result: Path
    residual: Path | None = None
    departures: Path | None = None
    report: Path | None = None
    bundle: Path | None = None
    interims: Path | None = None

    @property
    def files(self) -> list[Path]:
        """All but the interim results."""
        every = (*self.images, self.report, self.bundle)
        return [path for path in every if path is not None]

    def make_folders(self) -> None:
        """Make those that everything goes into."""
        for path in self.files:
            path.parent.mkdir(parents=True, exist_ok=True)
        if self.interims is not None:
            self.interims.mkdir(parents=True, exist_ok=True)

    @property
    def images(self) -> list[Path]:
        """Those whose format their suffix says."""
        return [path for path in (self.result, self.residual, self.departures) if path is not None]


@dataclass(frozen=True)
class Form:
    """How images are written: in the type of their source or not, and how a .png looks."""

    source: bool = False
    look: Look | None = None
