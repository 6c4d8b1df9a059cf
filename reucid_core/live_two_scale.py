"""Live frames at two scales: noise and lattice of the frames before, and what departs from them.

The first whole frame is denoised as `two_scale` does it. From then on noise, patch size and
whitening are held, the Gram matrix of the lattice's patches adds up over the frames, and a frame is
filtered by what all have shown; the lattice is decomposed anew when enough has been added. A small
first frame tells less: when several are there, noise and patch size are chosen once more, as of
that stack.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reucid_core.departures import mask_of
from reucid_core.eigenpatches import Classify, FloatArray
from reucid_core.fir import project_and_fuse
from reucid_core.grids import Frames, WhitenedFrames
from reucid_core.lattice import lattice_of
from reucid_core.live_known import Known
from reucid_core.live_memory import KEPT_FRAMES, Kept, Patches
from reucid_core.live_scene import Lags, Residual
from reucid_core.live_state import LiveState
from reucid_core.live_terms import Decision, constant, longest_run, near, runs_of_rows
from reucid_core.outcome import Outcome, Task
from reucid_core.outliers import put_back
from reucid_core.params import DenoiseParams
from reucid_core.recovery import PATTERN
from reucid_core.scales import Scales, find_scales
from reucid_core.two_scale import denoise_frame

Mask = NDArray[np.bool_]

FEWEST_ROWS = 64  # of a frame with none before it, from which its noise is measured
GROWN = 2.0  # times as many rows: then they are looked at anew
ADDED = 0.25  # of the patches that are known: then they are decomposed anew
ENOUGH = 2**18  # pixels, from which noise and patch size are chosen well
PART = 4  # of a frame at least that can tell whether the scene has changed


class LiveScales(LiveState):
    """With noise, lattice and details of the frames before, and the patches of all of them."""

    method = "two-scale"

    def __init__(
        self, shape: tuple[int, int], params: DenoiseParams, forgetting: float, classify: Classify
    ) -> None:
        super().__init__(shape, params, forgetting, classify)
        self._scales: Scales | Outcome | None = None
        self._known: Known | None = None  # the filters of those
        self._settled = False  # noise and patch size, on a sample of frames
        self._patches: Patches | None = None  # of the frame, once it is whole
        self._departs = np.zeros((0, 0), dtype=bool)  # where the frame is not its lattice
        self._expected: Residual | None = None  # what the last frame's lattice has left
        self._since = 0.0  # patches that have come since the lattice was found
        self._decided_here = False

    @property
    def decision(self) -> Decision | None:
        """What the frame is filtered by; None while there are too few rows."""
        scales = self._scales
        if scales is None:
            return None
        if isinstance(scales, Outcome):  # no noise can be told
            (found,), (verdict,) = scales.eigenpatches, scales.verdicts
            return Decision(scales.plan.p, 1, found.astype(np.float64), verdict, 0.0, scales.noise)
        lattice, noise = scales.lattice, scales.noise
        return Decision(
            lattice.patch_size,
            lattice.spacing,
            lattice.decomposition.eigenpatches.astype(np.float64),
            lattice.verdict,
            noise.variance,
            noise,
        )

    def begin(self, image: FloatArray) -> None:
        """A frame begins whose rows will be written into an image, shape (m, n)."""
        super().begin(image)
        self._departs = np.zeros(image.shape, dtype=bool)
        self._patches = None
        self._decided_here = False
        if self._memory.frames == 0.0:
            self._hold(None)

    def discount(self, _first: int, _stop: int) -> None:
        """Rows are about to be written again."""
        self._patches = None

    def remember(self, scanned: Mask) -> None:
        """The frame is over; its image is the memory's from now on."""
        if self._memory.forgets_all or constant(self._image, scanned):
            return
        if scanned.all() and self._scales is None:
            self._settle()
        if not isinstance(self._scales, Scales):
            return
        if self._memory.frames == 0.0 and not scanned.all():
            return  # what a part has shown is too little to hold on to
        kept = Kept(self._image, scanned.copy())
        patches = self._patches or self._patches_of(kept)
        if patches[1] == 0:
            return
        self._memory.add(patches, kept)
        self._since = 0.0 if self._decided_here else self._since + patches[1]
        self._settle_on_sample()

    def show(self, scanned: Mask, stale: Mask, out: FloatArray) -> None:
        """Bring the image shown so far, shape (m, n), up to date."""
        if scanned.all():
            out[:] = self._settle()
            return
        out[stale] = self._image[stale]
        if self._decide_early(scanned):
            stale = scanned
        self._filter(scanned, stale, out)
        if self._memory.frames > 0.0 and self._departs_early(scanned):
            self._drop_memory()
            self._decide_early(scanned)
            out[scanned] = self._image[scanned]
            self._filter(scanned, scanned, out)

    def outcome(self, _shown: FloatArray) -> tuple[Outcome, Task]:
        """Of the whole frame that has been shown, with an assessment."""
        task, frames = self._task(), Frames([self._image], self._params)
        scales = self._scales
        assert scales is not None  # noqa: S101  (it has been shown)
        if isinstance(scales, Scales):
            scales = self._for(frames, scales)
        return denoise_frame(frames, 0, scales, task), task

    def _settle(self) -> FloatArray:
        """The whole frame by what all have shown; by itself where there is nothing else."""
        if self._known is not None and self._memory.frames > 0.0:
            image = self._by_all(self._known)
            if image is not None:
                return image
            self._drop_memory()
        return self._by_itself()

    def _by_itself(self) -> FloatArray:
        self._ask_rule()
        frames, task = Frames([self._image], self._params), self._task()
        scales = find_scales(frames, task)
        outcome = denoise_frame(frames, 0, scales, task, assessed=False)
        self._hold(scales)
        self._patches = None
        self._decided_here, self._settled = True, False
        if isinstance(scales, Scales):
            assert outcome.recovery is not None  # noqa: S101  (nothing stops a live frame)
            self._departs = mask_of(outcome.recovery.runs, self._shape)
            residual = scales.whitening.whiten(self._image - outcome.image)
            self._expected = Residual.of(residual, self._departs)
        return outcome.image

    def _by_all(self, known: Known) -> FloatArray | None:
        """By what all frames have shown; None where this one shows something else."""
        frames = Frames([self._image], self._params)
        found = known.coefficients(frames[0])
        self._patches = known.patches(found)
        if self._memory.matrix is not None:
            before = Lags.of_patches(self._memory.matrix, self._memory.n_patches)
            if Lags.of_patches(*self._patches).unlike(before):
                return None
        G, n_patches = self._memory.together(self._patches)
        self._decided_here = self._since + self._patches[1] >= ADDED * n_patches
        if self._decided_here:
            p, spacing = known.lattice.patch_size, known.lattice.spacing
            known = known.of(lattice_of(G, round(n_patches), p, spacing, self._task()))
        seen = known.denoise(found)
        residual = Residual.of(seen.residual, seen.departs)
        if self._expected is not None and residual.unlike(self._expected):
            return None
        self._known, self._scales = known, known.scales
        self._departs, self._expected = seen.departs, residual
        put_back(seen.image, self._image, frames.outliers(0))
        return seen.image

    def _settle_on_sample(self) -> None:
        """Choose noise and patch size once more, as soon as a sample of frames is there."""
        if self._settled:
            return
        whole = [kept.image for kept in self._memory.kept if kept.whole]
        wanted = min(KEPT_FRAMES, ENOUGH // self._image.size)
        if len(whole) < max(2, wanted):
            self._settled = wanted < 2
            return
        scales = find_scales(Frames(whole, self._params), self._task())
        self._settled = True
        if isinstance(scales, Scales):
            self._hold(scales)
            self._memory.remake(self._patches_of)

    def _drop_memory(self) -> None:
        self._memory.clear()
        self._hold(None)
        self._looked_at = 0
        self.scene_changed = True

    def _hold(self, scales: Scales | Outcome | None) -> None:
        """Filter by these from now on."""
        self._scales, self._known, self._expected = scales, None, None
        if isinstance(scales, Scales):
            self._known = Known(scales, self._image.dtype, self._params.threads)

    def _for(self, frames: Frames, scales: Scales) -> Scales:
        """What is held, for other frames, of any height."""
        whitening = scales.whitening.of_height(frames.shape[0])
        p = scales.lattice.patch_size
        lags = max(p, PATTERN) - 1, p - 1
        whitened = WhitenedFrames(frames, whitening, lags=lags)
        return replace(scales, whitening=whitening, whitened=whitened)

    def _patches_of(self, kept: Kept) -> Patches:
        """Of a frame, as far as it is there."""
        known = self._known
        assert known is not None  # noqa: S101  (callers have looked)
        p, spacing = known.lattice.patch_size, known.lattice.spacing
        G, n_patches = np.zeros((p**2, p**2)), 0
        for run in runs_of_rows(kept.scanned):
            if run.stop - run.start < p * spacing + 1:
                continue
            frames = Frames([kept.image[run]], self._params)
            found = known.patches(known.coefficients(frames[0]))
            G += found[0]
            n_patches += found[1]
        return G, n_patches

    def _decide_early(self, scanned: Mask) -> bool:
        """Without memory, look at the longest run of rows whenever it has doubled."""
        if self._memory.frames > 0.0:
            return False
        longest = longest_run(scanned)
        rows = longest.stop - longest.start
        fewest = max(FEWEST_ROWS, 3 * (self._params.stated_patch_size or 0))
        if rows < max(fewest, GROWN * self._looked_at):
            return False
        self._looked_at = rows
        self._hold(find_scales(Frames([self._image[longest]], self._params), self._task()))
        return True

    def _departs_early(self, scanned: Mask) -> bool:
        """Whether rows that are most likely enough depart from what the memory has shown."""
        if self._expected is None or PART * np.count_nonzero(scanned) < len(scanned):
            return False
        return self._expected.exceeded_by(float(self._departs[scanned].mean()))

    def _filter(self, scanned: Mask, stale: Mask, out: FloatArray) -> None:
        """Bring those rows up to date that new ones have a say in."""
        known = self._known
        if known is None:
            return  # no noise can be told, or not yet: the raw values stay
        p, spacing = known.lattice.patch_size, known.lattice.spacing
        reach = (p - 1) * spacing
        for run in runs_of_rows(scanned):
            large = run.stop - run.start > p * spacing
            for rows in runs_of_rows(near(stale[run], reach)):
                start = run.start + max(0, rows.start - reach)
                stop = min(run.stop, run.start + rows.stop + reach)
                part = self._image[start:stop]
                first, last = run.start + rows.start, run.start + rows.stop
                filtered = self._window if large else self._narrow
                inside = slice(first - start, last - start)
                out[first:last], self._departs[first:last] = (
                    each[inside] for each in filtered(part, known)
                )

    def _window(self, part: FloatArray, known: Known) -> tuple[FloatArray, Mask]:
        """Some rows, denoised by what is held, and where they depart from the lattice."""
        frames = Frames([part], self._params)
        found = known.coefficients(frames[0])
        seen = known.denoise(found)
        put_back(seen.image, part, frames.outliers(0))
        return seen.image, seen.departs

    def _narrow(self, part: FloatArray, known: Known) -> tuple[FloatArray, Mask]:
        """Fewer rows than a patch of the lattice has: at the probe's scale alone."""
        nowhere = np.zeros(part.shape, dtype=bool)
        useful = known.scales.details.useful.astype(part.dtype)
        if min(part.shape) < useful.shape[-1]:
            return part, nowhere
        whitening = known.scales.whitening.of_height(len(part))
        fused = project_and_fuse(whitening.whiten(part), useful, threads=self._params.threads)
        return whitening.colour(fused, out=fused), nowhere
