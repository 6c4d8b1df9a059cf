"""A job whose frames are spread: its own worker does parts of it and makes the result of them all.

The result is made in the order of the frames, while others still work on later ones. It ends with
the first part that was stopped early, by request or deadline: what is denoised beyond is left out,
so that the frames of a result have no gap.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import structlog

from reucid_core.report import library_versions
from worker.contract import PartRecord, PartState, Work
from worker.denoising.artifacts import PartFiles, ResultFiles
from worker.denoising.run import Step
from worker.denoising.selection import as_stack
from worker.ledger.attempt import Attempt
from worker.ledger.parts import Doing, Parts
from worker.processes.material import Material
from worker.processes.part import Maker, Overtaken
from worker.processes.patience import patiently
from worker.store import Store, sha256_of

LOOK = 0.1  # s between looks at parts that others do

log = structlog.get_logger()


def ranges_of(material: Material, part_pixels: int) -> list[tuple[int, int]]:
    """First frame and the one after the last of each part; one range of what is not divided."""
    frames, m, n = as_stack(material.noisy).shape
    if material.judge is None or material.params.selection.frames == "joint":
        return [(0, frames)]
    number = -(-frames // max(1, part_pixels // (m * n)))
    edges = [frames * k // number for k in range(number + 1)]
    return list(pairwise(edges))


class Spread:
    """A claimed attempt at a job that is divided.

    Parameters
    ----------
    attempt : Attempt
    material : Material
    store : Store
    maker : Maker
    lease_s : float
    show : callable
        Told of each frame of the result.
    """

    def __init__(
        self,
        attempt: Attempt,
        material: Material,
        store: Store,
        maker: Maker,
        lease_s: float,
        show: Callable[[Step], None],
    ) -> None:
        self._attempt = attempt
        self._material = material
        self._store = store
        self._maker = maker
        self._lease_s = lease_s
        self._show = show
        self._parts = Parts(attempt.database)
        self._taken: list[PartRecord] = []  # into the result

    def denoise(self, ranges: list[tuple[int, int]]) -> dict[str, Any]:
        """Write all artifacts; returns the report.

        Raises
        ------
        Overtaken
        """
        attempt, noisy = self._attempt, self._material.noisy
        if not self._parts.spread(attempt, Work.FRAMES, ranges, len(noisy)):
            raise Overtaken
        self._maker.tell()  # that help is wanted
        folder = self._store.attempt(attempt.job_id, attempt.number)
        with ResultFiles(folder, noisy, self._material.chosen, self._material.params) as files:
            stopped_by = None
            while files.done < files.frames and stopped_by is None:
                stopped_by = self._go_on(files)
            return files.finish(stopped_by, [_told(part) for part in self._taken])

    def remove_parts(self) -> None:
        """Remove what the result was made of, which has been committed."""
        for part in self._parts.of_job(self._attempt.job_id, Work.FRAMES):
            self._store.remove_job(part.id)
            self._parts.forget(part.id)

    def _go_on(self, files: ResultFiles) -> str | None:
        """Take what is next, or do a part, or wait; who stopped it, if anybody did."""
        if not self._attempt.stands():
            raise Overtaken
        head = self._parts.of_job(self._attempt.job_id, Work.FRAMES)[len(self._taken)]
        if head.state is PartState.DONE:
            return self._take(head, files)
        if self._attempt.finish_requested():
            if head.state is PartState.OPEN and files.done:
                return "request"
            wanted = head.state is PartState.OPEN  # the first frame is always done
        else:
            wanted = True
        part = self._take_part() if wanted else None
        if part is None:
            time.sleep(LOOK)
        else:
            self._maker.make(Doing(self._attempt.database, part))
        return None

    def _take_part(self) -> PartRecord | None:
        return self._parts.take(self._attempt, Work.FRAMES, self._lease_s)

    def _take(self, part: PartRecord, files: ResultFiles) -> str | None:
        """Append a part that is done; who stopped it, if anybody did."""
        frames = part.stop - part.first
        if not part.artifacts:  # it was not begun before the deadline
            return "deadline"
        with self._files_of(part) as held:
            if held is None:
                log.warning("part_damaged", part=part.number)
                self._parts.again(part)
                return None
            before = files.done
            files.add_part(held)
            self._taken.append(part)
            for n, report in enumerate(held.reports):
                kept = sum(sum(each["kept"]) for each in report["stack_reports"])
                info, of = self._material.chosen.info, files.frames
                self._show(Step(before + n + 1, of, "frames", kept, held.images[n], info))
            return None if len(held.reports) == frames else held.stopped_by

    @contextmanager
    def _files_of(self, part: PartRecord) -> Iterator[PartFiles | None]:
        """The files of a part; None where they are not what a worker like this one has made."""
        held = {each.name: each.sha256 for each in part.artifacts}
        paths: Mapping[str, Path] = {
            name: patiently(partial(self._store.artifact, part, name)) for name in held
        }
        intact = (path.exists() and sha256_of(path) == held[name] for name, path in paths.items())
        if not all(intact):
            yield None
            return
        with PartFiles.opened(paths) as files:
            own = part.worker == self._attempt.worker
            yield files if own or all(map(self._is_alike, files.reports)) else None

    def _is_alike(self, report: Mapping[str, Any]) -> bool:
        """Whether a frame was made by the same libraries and classifier as all others."""
        model = getattr(self._material.judge, "identity", None)
        return (report["versions"], report["model"]) == (library_versions(), model)


def _told(part: PartRecord) -> dict[str, Any]:
    """Of a part, for the report."""
    return {
        "first_frame": part.first,
        "frames": part.frames_done,
        "worker": part.worker,
        "attempt": part.attempt,
        "seconds": part.seconds,
    }
