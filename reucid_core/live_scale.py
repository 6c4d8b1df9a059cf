"""Live frames at the scale of the probe: one patch size, found in all frames that count."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reucid_core.clock import Clock
from reucid_core.eigenpatches import Classify, Decomposition, FloatArray
from reucid_core.errors import MemoryBudgetError, ParameterError
from reucid_core.exact import Transform, reconstruct
from reucid_core.features import noise_level
from reucid_core.fir import project_and_fuse
from reucid_core.live_memory import Memory
from reucid_core.memory import available_memory
from reucid_core.outcome import Task
from reucid_core.params import MIN_PATCH_SIZE, DenoiseParams
from reucid_core.patch_size_rules import check_name, resolved
from reucid_core.plan import Plan, check_fits, lags_needed, plan_exact
from reucid_core.report import StackReport
from reucid_core.running_gram import RunningGram, runs_of_rows
from reucid_core.workload import band_height

Mask = NDArray[np.bool_]
Float64 = NDArray[np.float64]

GROWN = 2.0  # times the patches of a decision: then it is made anew
FEWEST_ROWS = 32  # of a frame without any before it, from which its patch size is sought


@dataclass(frozen=True)
class Decision:
    """What frames are filtered by.

    Parameters
    ----------
    patch_size : int
        In px.
    eigenpatches : ndarray, shape (k, p, p), float64
        All that were offered.
    verdict : StackReport
    noise_variance : float
        Of a pixel, intensity squared.
    """

    patch_size: int
    eigenpatches: Float64
    verdict: StackReport
    noise_variance: float

    @property
    def useful(self) -> Float64:
        """Eigenpatches that are kept, shape (k, p, p)."""
        useful: Float64 = self.eigenpatches[np.array(self.verdict.kept, dtype=bool)]
        return useful


class LiveScale:
    """The state between rows: memory of the frames before, Gram matrix of this, and a decision.

    Parameters
    ----------
    shape : (int, int)
        Of a frame, (m, n).
    params : DenoiseParams
    forgetting : float
        As of `live_memory.Memory`.
    classify : callable
    """

    method = "paper"

    def __init__(
        self, shape: tuple[int, int], params: DenoiseParams, forgetting: float, classify: Classify
    ) -> None:
        self._shape = shape
        self._asked = replace(params, method="paper")
        self._params = replace(
            self._asked, patch_size=params.stated_patch_size, patch_size_from=None
        )  # until a rule has seen a whole frame
        _check(self._params, shape)
        check_name(params.patch_size_from)
        self._task = Task(self._params, classify, None, Clock())
        self._memory = Memory(forgetting)
        self._image: FloatArray = np.empty((0, 0))
        self._gram: RunningGram | None = None
        self._transform: Transform | None = None  # of the whole frame, once it is
        self._plan: Plan | None = None
        self._decided_on = 0.0  # patches
        self.decision: Decision | None = None
        self.scene_changed = False
        self.blank = False

    @property
    def memory_weight(self) -> float:
        """Of the frames before, in whole frames."""
        return self._memory.frames

    def begin(self, image: FloatArray) -> None:
        """A frame begins whose rows will be written into an image, shape (m, n)."""
        self._image = image
        self._gram = None if self._plan is None else self._running(self._plan.p)
        self._transform = None
        self.scene_changed = self.blank = False

    def discount(self, first: int, stop: int) -> None:
        """Rows are about to be written again."""
        self._transform = None
        if self._gram is not None:
            self._gram.discount(first, stop)

    def remember(self, scanned: Mask) -> None:
        """The frame is over; the image is the memory's from now on."""
        if _constant(self._image, scanned):
            return
        if scanned.all() and self._transform is None:
            self._settle()
        elif self._gram is not None:
            self._count(scanned)
        if self._gram is None:
            return  # too few rows for anything
        correlation = None if self._transform is None else self._transform.correlation
        self._memory.add(self._gram, self._image, correlation)
        if self._memory.frames == 0.0:
            self._plan = self.decision = None
            self._decided_on = 0.0

    def show(self, scanned: Mask, stale: Mask, out: FloatArray) -> None:
        """Filter what is new.

        Parameters
        ----------
        scanned : ndarray of bool, shape (m,)
            Rows that are there.
        stale : ndarray of bool, shape (m,)
            Those that came since.
        out : ndarray, shape (m, n)
            The image shown so far, to be brought up to date.
        """
        self.blank = _constant(self._image, scanned)
        if self.blank:
            out[scanned] = self._image[scanned]
            return
        if scanned.all():
            transform = self._settle()
            assert self.decision is not None  # noqa: S101  (just made)
            out[:] = reconstruct(transform, self.decision.useful, threads=self._params.threads)
            return
        if self._decide_early(scanned):
            stale = scanned
        self._filter(scanned, stale, out)

    def _settle(self) -> Transform:
        """Decide by the whole frame and the memory."""
        if self._memory.correlation is None:
            self._params, _ = resolved(self._asked, self._image)
        params = self._params
        transform = Transform.of(
            self._image, lags=lags_needed(self._shape, params), threads=params.threads
        )
        self._transform = transform
        correlation = transform.correlation
        if self._memory.correlation is not None:
            correlation = self._memory.correlation + correlation
        self._adopt(plan_exact(correlation, self._shape, params))
        assert self._gram is not None  # noqa: S101  (adopted)
        if not self._gram.counted.any():
            self._gram.count(0, self._shape[0], transform=transform)
        self._count(np.ones(self._shape[0], dtype=bool))
        self._decide()
        return transform

    def _decide_early(self, scanned: Mask) -> bool:
        """Decide before the frame is whole, if there is no decision yet or far more is known."""
        if self._plan is None:
            longest = max(runs_of_rows(scanned), key=lambda run: run.stop - run.start)
            if longest.stop - longest.start < min(FEWEST_ROWS, self._shape[0]):
                return False
            self._adopt(self._plan_of(self._image[longest]))
        assert self._gram is not None  # noqa: S101  (there is a plan)
        self._count(scanned)
        known = self._memory.n_patches + self._gram.n_patches
        if known == 0 or (self.decision is not None and known < GROWN * self._decided_on):
            return False
        if self._memory.n_patches == 0:  # the patch size, too, is that of few rows
            longest = max(runs_of_rows(scanned), key=lambda run: run.stop - run.start)
            self._adopt(self._plan_of(self._image[longest]))
            self._count(scanned)
        self._decide()
        return True

    def _plan_of(self, rows: FloatArray) -> Plan:
        lags = lags_needed(rows.shape, self._params)
        transform = Transform.of(rows, lags=lags, threads=self._params.threads)
        return plan_exact(transform.correlation, rows.shape, self._params)

    def _adopt(self, plan: Plan) -> None:
        """Go on with patches of this size."""
        if self._plan is None or self._plan.p != plan.p:
            if self._memory.matrix is not None:
                self._memory.remake(plan.p, self._params.threads)
            self._gram = None
        self._plan = plan
        if self._gram is None:
            self._gram = self._running(plan.p)

    def _running(self, p: int) -> RunningGram:
        return RunningGram(self._image, p, threads=self._params.threads)

    def _count(self, scanned: Mask) -> None:
        assert self._gram is not None  # noqa: S101  (callers made one)
        for rows in self._gram.missing(scanned):
            self._gram.count(rows.start, rows.stop)

    def _decide(self) -> None:
        """Decompose all patches that count, and judge."""
        assert self._plan is not None  # noqa: S101  (callers made both)
        assert self._gram is not None  # noqa: S101
        G = self._gram.matrix.copy()
        n_patches: float = self._gram.n_patches
        if self._memory.matrix is not None:
            G += self._memory.matrix
            n_patches += self._memory.n_patches
        found = Decomposition.of_gram_matrix(G, self._plan.components, n_patches=round(n_patches))
        verdict = self._task.judge(found, stack=1)
        self.decision = Decision(
            self._plan.p, found.eigenpatches.astype(np.float64), verdict, noise_level(found)
        )
        self._decided_on = n_patches

    def _filter(self, scanned: Mask, stale: Mask, out: FloatArray) -> None:
        """Bring those rows up to date that new ones have a say in."""
        out[stale] = self._image[stale]
        if self.decision is None:
            return
        q = self.decision.patch_size - 1
        for run in runs_of_rows(scanned):
            if run.stop - run.start <= q:
                continue  # no patch fits: the raw values stay
            for rows in runs_of_rows(_near(stale[run], q)):
                # Rows q farther away hold all patches of these; from 4q on it is one filter.
                more = max(q, 2 * q - (rows.stop - rows.start) // 2)
                start = run.start + max(0, rows.start - more)
                stop = min(run.stop, run.start + rows.stop + more)
                fused = project_and_fuse(
                    self._image[start:stop], self.decision.useful, threads=self._params.threads
                )
                first, last = run.start + rows.start, run.start + rows.stop
                out[first:last] = fused[first - start : last - start]


def _near(chosen: Mask, distance: int) -> Mask:
    """Rows at most so far from chosen ones."""
    steps = np.concatenate([[0], np.cumsum(chosen)])
    rows = np.arange(len(chosen))
    first, stop = np.maximum(rows - distance, 0), np.minimum(rows + distance + 1, len(chosen))
    return np.asarray(steps[stop] > steps[first])


def _constant(image: FloatArray, scanned: Mask) -> bool:
    """Whether all rows that are there have one value."""
    rows = image[scanned]
    return bool((rows == rows.flat[0]).all())


def _check(params: DenoiseParams, shape: tuple[int, int]) -> None:
    """Refuse what live frames cannot have, and frames that are too large.

    Raises
    ------
    ParameterError, MemoryBudgetError
    """
    if params.engine == "stacked" or params.stacks is not None:
        raise ParameterError(
            "engine",
            "got engine stacked or a number of stacks, expected neither: live frames "
            "are denoised by engine exact, which has one stack",
        )
    if params.deadline is not None or params.bias:
        raise ParameterError(
            "deadline" if params.deadline is not None else "bias",
            "got one, expected none: a live frame is shown as far as it has come",
        )
    check_fits(params, shape)
    lags = lags_needed(shape, params)
    p = params.stated_patch_size or MIN_PATCH_SIZE
    budget = params.memory_budget or available_memory()
    if band_height(shape, p, lags, budget) < shape[0]:
        raise MemoryBudgetError(
            f"{math.prod(shape)} px a frame do not fit into the {budget} bytes that may be used: "
            "raise the memory budget, or scan fewer pixels"
        )
