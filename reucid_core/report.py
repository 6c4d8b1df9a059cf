"""The eigenpatch classification report: everything needed to understand and repeat a result."""

import platform
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from reucid_core.assessment import Assessment
from reucid_core.eigenpatches import FoundBy
from reucid_core.noise import NoiseModel
from reucid_core.params import Outliers, Select

NO_NOISE = "no noise could be measured: the image is returned as it is"

StoppedBy = Literal["request", "deadline"]
Judge = Literal["classifier", "person"]


@dataclass(frozen=True)
class StackReport:
    """What the classifier said of one stack. Lists run over the offered eigenpatches."""

    stack: int  # from 1
    n_patches: int
    energy: float  # sum of all squared singular values, intensity squared
    singular_values: list[float]  # intensity
    relative_singular_values: list[float]  # s_k / s_0
    energy_shares: list[float]  # s_k^2 / energy
    utilities: list[float]  # [0, 1]
    kept: list[bool]
    nothing_useful: bool  # no utility reached the threshold, so the first eigenpatch was kept
    judged_by: list[Judge] = field(default_factory=list)  # empty where the classifier judged all
    found_by: FoundBy = "gram matrix"  # how the eigenpatches were found

    @property
    def judges(self) -> list[Judge]:
        """Who judged each eigenpatch."""
        return self.judged_by or ["classifier"] * len(self.kept)

    @property
    def n_kept(self) -> int:
        """Number of eigenpatches kept."""
        return sum(self.kept)


@dataclass(frozen=True)
class RecoveryReport:
    """What of an image departs from its lattice, and how it was recovered."""

    patch_size: int  # px
    stack_report: StackReport  # of the residual's patches; its eigenpatches are the last ones
    share: float  # of the pixels that depart from the lattice
    runs: list[int]  # pixels in row order that do not and do depart, in turn: the map


@dataclass(frozen=True)
class OutlierReport:
    """Pixels that were left out, and what they hold in the result.

    Parameters
    ----------
    rows, columns : list of int
        Of single pixels, from 0.
    treatment : {"keep", "repair"}
        Their raw values, or what the method makes of their neighbours.
    boxes : list of [int, int, int, int]
        First row, first column, last row and last column of what is drawn over the image or
        missing from it: bars, text, rows that were lost.
    runs : list of int
        Pixels in row order that are not and are in one of them, in turn; empty if there is none.
    """

    rows: list[int]
    columns: list[int]
    treatment: Outliers
    boxes: list[list[int]]
    runs: list[int]

    @property
    def positions(self) -> tuple[list[int], list[int]]:
        """Of the single pixels, for indexing an image."""
        return self.rows, self.columns

    @property
    def none(self) -> bool:
        """Whether there is nothing to leave out."""
        return not self.rows and not self.runs


@dataclass(frozen=True)
class MemoryReport:
    """Bytes of a patch matrix as the paper counts them, and what the number of stacks is from.

    Parameters
    ----------
    formula : int
        The paper's m n p^2 numbers, for one stack.
    planned : int or None
        The peak beside the input, with the stacks that were made; None where there is no patch
        matrix, as in engine exact.
    """

    formula: int
    planned: int | None


@dataclass(frozen=True)
class Report:
    """The whole of a denoising but its pixels.

    The same image, `seed`, `patch_size`, `stacks`, `components`, `threshold`, `precision`,
    model and decision about scan noise give the same result.
    """

    engine: str
    engine_reason: str
    shape: tuple[int, int]  # rows, columns
    input_dtype: str
    precision: str
    patch_size: int  # px
    patch_size_origin: str  # as of `psf.PatchSize`, or the name of the rule that gave it
    psf_radius: int | None  # px
    psf_profile: list[float]  # radial mean of the autocorrelation at lags 0, 1, ... px
    stacks: int
    stacks_origin: str
    stacks_done: int
    stopped_by: StoppedBy | None
    uncovered_pixels: int  # they hold the raw value
    components: int  # offered per stack
    threshold: float
    model: str | None
    scan_noise: str | None  # the classifier's decision; None by one that has none
    method: str
    method_reason: str
    noise: NoiseModel | None  # as measured in the image; None with method paper
    spacing: int  # px between neighbouring pixels of a patch
    weights: list[float]  # of the lattice's eigenpatches; empty with method paper
    recovery: RecoveryReport | None
    assessment: Assessment | None
    outliers: OutlierReport | None  # None with method paper
    seed: int
    seconds: dict[str, float]
    stack_reports: list[StackReport]
    warnings: list[str]
    versions: dict[str, str]
    select: Select = "any"
    memory: MemoryReport | None = None

    @property
    def decompositions(self) -> list[tuple[StackReport, int]]:
        """Verdicts and patch sizes of all decompositions, in the order of their eigenpatches."""
        found = [(stack, self.patch_size) for stack in self.stack_reports]
        if self.recovery is not None:
            found.append((self.recovery.stack_report, self.recovery.patch_size))
        return found

    @property
    def complete(self) -> bool:
        """Whether every patch of the image is in the result, at every scale."""
        return self.stopped_by is None

    def to_dict(self) -> dict[str, Any]:
        """As dicts, lists, strings and finite numbers, ready for JSON."""
        told = asdict(self) | {"complete": self.complete}
        return told | {"verdict": self.verdict}

    @property
    def verdict(self) -> list[str]:
        """What the result says of itself, in sentences; none if it was stopped early."""
        if self.assessment is not None:
            return self.assessment.sentences
        return [NO_NOISE] if self.noise is not None and self.noise.kind == "none" else []


@cache
def library_versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    return {"python": platform.python_version()} | {
        name: _version(name) for name in ("reucid", "numpy", "scipy", "torch")
    }


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
