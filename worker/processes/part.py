"""Doing a part of a job: some frames of its stack, denoised as a stack of their own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from numpy.typing import NDArray

from reucid_core.threads import limited
from worker.contract import Artifact, PartRecord, Work
from worker.denoising import briefs
from worker.denoising.artifacts import names
from worker.denoising.briefs import BRIEF, SUMS
from worker.denoising.run import Step, denoise_signal
from worker.faultpoints import reached
from worker.ledger.parts import Doing, Parts
from worker.processes.material import Material
from worker.processes.patience import patiently
from worker.store import Store, sha256_of

log = structlog.get_logger()


class Overtaken(Exception):  # noqa: N818  (not an error: somebody else has the job now)
    """The job was canceled or given to another worker while this one was at it."""


class DamagedBriefError(Exception):
    """What tells how parts are done is not what it was."""

    code = "damaged_artifact"


class UnlikeError(Exception):
    """Another worker's libraries or classifier are not those of this one."""


@dataclass(frozen=True)
class Maker:
    """Does parts of one job, whether it is this worker's own or another one's."""

    material: Material
    store: Store
    tell: Callable[[], None]

    def make(self, doing: Doing) -> None:
        """Do a part.

        Raises
        ------
        Overtaken
            When it is somebody else's by now.
        """
        part = doing.part
        try:
            if part.work is Work.FRAMES and self._is_late(part):
                self._commit(doing, [], 0)
            elif part.work is Work.FRAMES:
                report = self._denoise(doing)
                self._keep(doing, names(report), report["frames_done"])
            else:
                self._add_up(doing)
                self._keep(doing, [SUMS], 0)
        finally:
            self.store.leave(part.id, part.attempt)
        self.tell()

    def frames_of(self, part: PartRecord) -> NDArray[Any]:
        """Shape (frames, m, n)."""
        frames: NDArray[Any] = self.material.noisy[part.first : part.stop]
        return frames

    def _denoise(self, doing: Doing) -> dict[str, Any]:
        part, material = doing.part, self.material
        assert material.judge is not None  # noqa: S101  (a revision is no stack of parts)

        def note(step: Step) -> None:
            if step.what == "frames":
                if not doing.progress(step.n):
                    raise Overtaken
                self.tell()

        return denoise_signal(
            self.frames_of(part),
            material.chosen,
            material.until(self._left(part)),
            self.store.attempt(part.id, part.attempt),
            classify=material.judge,
            on_step=note,
            goes_on=lambda: not doing.finish_requested(),
            shared=self._brief(doing) if material.is_joint else None,
            first=part.first == 0,
        )

    def _add_up(self, doing: Doing) -> None:
        part, params = doing.part, self.material.params.denoising
        with limited(params.threads):
            sums = self._brief(doing).over(self.frames_of(part), params)
        path = self.store.attempt(part.id, part.attempt) / SUMS
        briefs.write(path, sums, self.material.made_with)

    def _brief(self, doing: Doing) -> Any:
        """What tells how parts of this kind are done."""
        brief = Parts(doing.database).brief(doing.part.job_id, doing.part.work)
        if brief is None:
            raise Overtaken
        path = patiently(lambda: self.store.artifact(brief, BRIEF))
        held = brief.artifact(BRIEF)
        if held is None or not path.exists() or sha256_of(path) != held.sha256:
            raise DamagedBriefError(f"the brief of job {doing.part.job_id} is missing or damaged")
        told, made_with = briefs.read(path)
        if made_with != self.material.made_with:
            raise UnlikeError(f"got a brief made with {made_with}, have {self.material.made_with}")
        return told

    def _keep(self, doing: Doing, made: Sequence[str], frames_done: int) -> None:
        part = doing.part
        reached("part.written")
        kept = patiently(lambda: self.store.seal(part.id, part.attempt, made))
        reached("part.sealed")
        self._commit(doing, kept, frames_done)
        reached("part.committed")
        log.info("part_done", work=part.work, part=part.number, frames=part.stop - part.first)

    def _commit(self, doing: Doing, made: Sequence[Artifact], frames_done: int) -> None:
        if not doing.commit(made, frames_done):
            raise Overtaken

    def _left(self, part: PartRecord) -> float | None:
        """Seconds until the job's deadline."""
        deadline = self.material.params.denoising.deadline
        return None if deadline is None else max(0.0, deadline - part.age)

    def _is_late(self, part: PartRecord) -> bool:
        """Whether no further frame may be begun; the job's first always is."""
        return part.first > 0 and self._left(part) == 0.0
