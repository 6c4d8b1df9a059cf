"""Doing a part of a job: some frames of its stack, denoised as a stack of their own."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from worker.contract import PartRecord
from worker.denoising.artifacts import names
from worker.denoising.run import Step, denoise_signal
from worker.faultpoints import reached
from worker.ledger.parts import Doing
from worker.processes.material import Material
from worker.processes.patience import patiently
from worker.store import Store

log = structlog.get_logger()


class Overtaken(Exception):  # noqa: N818  (not an error: somebody else has the job now)
    """The job was canceled or given to another worker while this one was at it."""


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
            if not self._is_late(part):
                self._denoise(doing)
            elif not doing.commit([], 0):
                raise Overtaken
        finally:
            self.store.leave(part.id, part.attempt)
        self.tell()

    def _denoise(self, doing: Doing) -> None:
        part, material = doing.part, self.material
        assert material.judge is not None  # noqa: S101  (a revision is no stack of parts)

        def note(step: Step) -> None:
            if step.what == "frames":
                if not doing.progress(step.n):
                    raise Overtaken
                self.tell()

        report = denoise_signal(
            material.noisy[part.first : part.stop],
            material.chosen,
            material.until(self._left(part)),
            self.store.attempt(part.id, part.attempt),
            classify=material.judge,
            on_step=note,
            goes_on=lambda: not doing.finish_requested(),
        )
        reached("part.written")
        made = patiently(lambda: self.store.seal(part.id, part.attempt, names(report)))
        reached("part.sealed")
        if not doing.commit(made, report["frames_done"]):
            raise Overtaken
        reached("part.committed")
        log.info("part_done", part=part.number, frames=report["frames_done"])

    def _left(self, part: PartRecord) -> float | None:
        """Seconds until the job's deadline."""
        deadline = self.material.params.denoising.deadline
        return None if deadline is None else max(0.0, deadline - part.age)

    def _is_late(self, part: PartRecord) -> bool:
        """Whether no further frame may be begun; the job's first always is."""
        return part.first > 0 and self._left(part) == 0.0
