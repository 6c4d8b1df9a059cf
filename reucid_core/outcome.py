"""What engines are given beside the image, and what they yield."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reucid_core.assessment import Assessment
from reucid_core.clock import Clock
from reucid_core.eigenpatches import Classify, Decomposition, FloatArray
from reucid_core.noise import NoiseModel
from reucid_core.params import DenoiseParams
from reucid_core.plan import Plan
from reucid_core.report import OutlierReport, RecoveryReport, StackReport, StoppedBy
from reucid_core.verdict import choose_threshold, judge


@dataclass(frozen=True)
class Progress:
    """Where a denoising stands after a stack, or after one of two scales.

    Parameters
    ----------
    stack, stacks : int
        Stacks or scales finished, and in all.
    image : ndarray, shape (m, n)
        The interim result; pixels that no patch has reached yet hold the raw value.
    coverage : ndarray, shape (m, n), int32, or None
        As in `Result`; None from the exact engine, which has all patches at once.
    report : StackReport
        Of the stack just finished.
    what : {"stacks", "scales"}
    """

    stack: int
    stacks: int
    image: FloatArray
    coverage: NDArray[np.int32] | None
    report: StackReport
    what: Literal["stacks", "scales"] = "stacks"


OnStack = Callable[[Progress], bool | None]


@dataclass(frozen=True)
class Task:
    """A denoising as an engine is asked for it."""

    params: DenoiseParams
    classify: Classify
    on_stack: OnStack | None
    clock: Clock

    @property
    def threshold(self) -> float:
        """Utility from which an eigenpatch is kept."""
        return choose_threshold(self.params.threshold, self.classify)

    def judge(self, decomposition: Decomposition, *, stack: int) -> StackReport:
        """The classifier's verdict on a stack."""
        return judge(decomposition, self.classify, self.threshold, stack=stack)


@dataclass(frozen=True)
class Outcome:
    """A reconstruction and how it came about.

    Parameters
    ----------
    plan : Plan
    image : ndarray, shape (m, n)
    coverage : ndarray, shape (m, n), int32, or None
        None when all patches are in.
    eigenpatches : list of ndarray, shape (k, p, p)
        Of each processed stack.
    verdicts : list of StackReport
    stopped_by : {"request", "deadline"} or None
    """

    plan: Plan
    image: FloatArray
    coverage: NDArray[np.int32] | None
    eigenpatches: list[FloatArray]
    verdicts: list[StackReport]
    stopped_by: StoppedBy | None = None
    # Of method two-scale, as in `Report`.
    noise: NoiseModel | None = None
    spacing: int = 1
    weights: list[float] = field(default_factory=list)
    recovery: RecoveryReport | None = None
    assessment: Assessment | None = None
    outliers: OutlierReport | None = None
