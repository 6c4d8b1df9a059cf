"""Live frames at the scale of the probe: one patch size, found in all frames that count."""

import numpy as np

from reucid_core.eigenpatches import Classify, Decomposition, FloatArray
from reucid_core.exact import Transform, reconstruct
from reucid_core.features import noise_level
from reucid_core.fir import project_and_fuse
from reucid_core.live_memory import Kept, Patches
from reucid_core.live_scene import LAGS, Lags
from reucid_core.live_state import LiveState
from reucid_core.live_terms import (
    Decision,
    Mask,
    constant,
    longest_run,
    near,
    runs_of_rows,
)
from reucid_core.outcome import Outcome, Task
from reucid_core.params import DenoiseParams
from reucid_core.plan import Plan, lags_needed, plan_exact
from reucid_core.running_gram import RunningGram

GROWN = 2.0  # times the patches of a decision: then it is made anew within a frame
FEWEST_ROWS = 32  # of a frame with none before it, from which its patch size is sought
AGAIN = 3  # frames in a row that want another patch size than that of many before
PART = 4  # of the rows: so far reach the lags at which a part of a frame is compared


class LiveScale(LiveState):
    """With a Gram matrix that grows with the rows of the frame, and a decision on all patches."""

    method = "paper"

    def __init__(
        self, shape: tuple[int, int], params: DenoiseParams, forgetting: float, classify: Classify
    ) -> None:
        super().__init__(shape, params, forgetting, classify)
        self._gram: RunningGram | None = None
        self._transform: Transform | None = None  # of the whole frame, once it is
        self._plan: Plan | None = None
        self._wanted = 0  # frames in a row that wanted another patch size
        self._decision: Decision | None = None

    @property
    def decision(self) -> Decision | None:
        """What the frame is filtered by; None while there are too few rows."""
        return self._decision

    def begin(self, image: FloatArray) -> None:
        """A frame begins whose rows will be written into an image, shape (m, n)."""
        super().begin(image)
        self._gram = None if self._plan is None else self._running(image, self._plan.p)
        self._transform = None
        if self._memory.frames == 0.0:
            self._plan = self._gram = self._decision = None

    def discount(self, first: int, stop: int) -> None:
        """Rows are about to be written again."""
        self._transform = None
        if self._gram is not None:
            self._gram.discount(first, stop)

    def remember(self, scanned: Mask) -> None:
        """The frame is over; its image is the memory's from now on."""
        if constant(self._image, scanned):
            return
        if scanned.all() and self._transform is None:
            self._settle()
        elif self._gram is None:
            self._decide_early(scanned)
        if self._gram is None:
            return  # too few rows for anything
        self._count(scanned)
        patches = self._gram.matrix, self._gram.n_patches
        correlation = None if self._transform is None else self._transform.correlation
        self._memory.add(patches, Kept(self._image, scanned.copy()), correlation)

    def show(self, scanned: Mask, stale: Mask, out: FloatArray) -> None:
        """Bring the image shown so far, shape (m, n), up to date."""
        if scanned.all():
            self._settle()
            assert self._transform is not None  # noqa: S101  (just made)
            assert self._decision is not None  # noqa: S101
            out[:] = reconstruct(
                self._transform, self._decision.useful, threads=self._params.threads
            )
            return
        if self._decide_early(scanned):
            stale = scanned
        self._filter(scanned, stale, out)

    def outcome(self, shown: FloatArray) -> tuple[Outcome, Task]:
        """Of the whole frame that has been shown."""
        assert self._plan is not None  # noqa: S101  (it has been shown)
        assert self._decision is not None  # noqa: S101
        decision = self._decision
        task = self._task()
        return (
            Outcome(self._plan, shown, None, [decision.eigenpatches], [decision.verdict]),
            task,
        )

    def _settle(self) -> None:
        """Decide by the whole frame and the memory."""
        if self._memory.correlation is None:
            self._ask_rule()
        transform = self._transformed(self._image)
        correlation = transform.correlation
        if self._memory.correlation is not None:
            if self._dropped(transform):
                self._settle()
                return
            correlation = self._memory.correlation + correlation
        self._adopt(self._unless_by_chance(plan_exact(correlation, self._shape, self._params)))
        assert self._gram is not None  # noqa: S101  (adopted)
        if not self._gram.counted.any():
            self._gram.count(0, self._shape[0], transform=transform)
        self._count(np.ones(self._shape[0], dtype=bool))
        self._decide()
        self._transform = transform

    def _dropped(self, transform: Transform) -> bool:
        """Drop the memory if it is of another scene than the rows transformed."""
        before = self._memory.correlation
        assert before is not None  # noqa: S101  (callers have looked)
        longest = min(len(each) for each in (transform.correlation, before)) - 1
        reach = min(LAGS, len(transform.image) // PART, longest)
        if reach < 1:
            return False
        m, n = self._shape
        new = Lags.of_correlation(transform.correlation, reach, transform.image.size)
        if not new.unlike(Lags.of_correlation(before, reach, self._memory.whole * m * n)):
            return False
        self._memory.clear()
        self.scene_changed = True
        return True

    def _decide_early(self, scanned: Mask) -> bool:
        """Decide before the frame is whole, whenever its longest run of rows has doubled."""
        longest = longest_run(scanned)
        rows = longest.stop - longest.start
        fewest = max(FEWEST_ROWS, self._params.stated_patch_size or 0)
        if rows < max(min(fewest, self._shape[0]), GROWN * self._looked_at):
            return False
        self._looked_at = rows
        transform = self._transformed(self._image[longest])
        if self._memory.correlation is not None:
            self._dropped(transform)
        if self._memory.frames == 0.0 or self._plan is None:
            shape = transform.image.shape
            self._adopt(plan_exact(transform.correlation, shape, self._params))
        self._count(scanned)
        self._decide()
        return True

    def _adopt(self, plan: Plan) -> None:
        """Go on with patches of this size."""
        if self._plan is not None and self._plan.p != plan.p:
            self._gram = None
            if self._memory.frames > 0.0:
                self._memory.remake(lambda kept: self._patches_of(kept, plan.p))
        self._plan = plan
        if self._gram is None:
            self._gram = self._running(self._image, plan.p)

    def _unless_by_chance(self, plan: Plan) -> Plan:
        """A plan of another patch size only if it lasts, once frames would be lost by it."""
        if self._plan is None or self._plan.p == plan.p or self._memory.all_kept:
            self._wanted = 0
            return plan
        self._wanted += 1
        if self._wanted < AGAIN:
            return self._plan
        self._wanted = 0
        return plan

    def _patches_of(self, kept: Kept, p: int) -> Patches:
        gram = self._running(kept.image, p)
        for rows in runs_of_rows(kept.scanned):
            gram.count(rows.start, rows.stop)
        return gram.matrix, gram.n_patches

    def _running(self, image: FloatArray, p: int) -> RunningGram:
        return RunningGram(image, p, threads=self._params.threads)

    def _transformed(self, rows: FloatArray) -> Transform:
        lags = lags_needed(rows.shape, self._params)
        return Transform.of(rows, lags=lags, threads=self._params.threads)

    def _count(self, scanned: Mask) -> None:
        assert self._gram is not None  # noqa: S101  (callers made one)
        for rows in self._gram.missing(scanned):
            self._gram.count(rows.start, rows.stop)

    def _decide(self) -> None:
        """Decompose all patches that count, and judge."""
        assert self._plan is not None  # noqa: S101  (callers made both)
        assert self._gram is not None  # noqa: S101
        G, n_patches = self._memory.together((self._gram.matrix, self._gram.n_patches))
        found = Decomposition.of_gram_matrix(G, self._plan.components, n_patches=round(n_patches))
        self._decision = Decision(
            self._plan.p,
            1,
            found.eigenpatches.astype(np.float64),
            self._task().judge(found, stack=1),
            noise_level(found),
        )

    def _filter(self, scanned: Mask, stale: Mask, out: FloatArray) -> None:
        """Bring those rows up to date that new ones have a say in."""
        out[stale] = self._image[stale]
        if self._decision is None:
            return
        q = self._decision.patch_size - 1
        for run in runs_of_rows(scanned):
            if run.stop - run.start <= q:
                continue  # no patch fits: the raw values stay
            for rows in runs_of_rows(near(stale[run], q)):
                # Rows q farther away hold all patches of these; from 4q on it is one filter.
                more = max(q, 2 * q - (rows.stop - rows.start) // 2)
                start = run.start + max(0, rows.start - more)
                stop = min(run.stop, run.start + rows.stop + more)
                fused = project_and_fuse(
                    self._image[start:stop], self._decision.useful, threads=self._params.threads
                )
                first, last = run.start + rows.start, run.start + rows.stop
                out[first:last] = fused[first - start : last - start]
