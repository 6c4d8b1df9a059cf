"""A job whose frames are spread: its own worker does parts of it and makes the result of them all.

The result is made in the order of the frames, while others still work on later ones. It ends with
the first part that was stopped early, by request or deadline: what is denoised beyond is left out,
so that the frames of a result have no gap.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import structlog

from reucid_core.exact import Sums
from reucid_core.joint import Shared, Wanted, find_shared
from worker.contract import PartRecord, PartState, Work
from worker.denoising import briefs
from worker.denoising.artifacts import PartFiles, ResultFiles
from worker.denoising.briefs import BRIEF, SUMS
from worker.denoising.run import Step
from worker.denoising.selection import as_stack
from worker.ledger.attempt import Attempt
from worker.ledger.parts import Doing, Parts
from worker.processes.material import Material
from worker.processes.part import Maker, Overtaken
from worker.processes.patience import patiently
from worker.store import Store, sha256_of

LOOK = 0.1  # s between looks at parts that others do
MOST_MADE = 3  # times that an attempt has a part made anew

log = structlog.get_logger()


class DamagedPartError(Exception):
    """What is written of a part is damaged whenever it is read."""

    code = "damaged_artifact"


def ranges_of(material: Material, part_pixels: int) -> list[tuple[int, int]]:
    """First frame and the one after the last of each part; one range of what is not divided."""
    frames, m, n = as_stack(material.noisy).shape
    if material.judge is None:
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
        self._ranges: list[tuple[int, int]] = []
        self._sums = iter((Work.FIRST_SUMS, Work.SECOND_SUMS))
        self._seconds: dict[str, float] = {}
        self._made_anew: Counter[str] = Counter()

    def denoise(self, ranges: list[tuple[int, int]]) -> dict[str, Any]:
        """Write all artifacts; returns the report.

        Raises
        ------
        Overtaken
        DamagedPartError
        """
        attempt, noisy, params = self._attempt, self._material.noisy, self._material.params
        self._ranges = ranges
        if self._material.is_joint:
            assert self._material.judge is not None  # noqa: S101  (a revision is not spread)
            shared = find_shared(noisy, params.denoising, self._material.judge, self._add_up)
            self._seconds = shared.seconds
            # Without what differs from one time to the next: the same brief is the same file.
            self._spread(Work.FRAMES, replace(shared, seconds={}))
        else:
            self._spread(Work.FRAMES)
        folder = self._store.attempt(attempt.job_id, attempt.number)
        with ResultFiles(folder, noisy, self._material.chosen, params) as files:
            stopped_by = None
            while files.done < files.frames and stopped_by is None:
                stopped_by = self._go_on(files)
            return files.finish(stopped_by, [_told(part) for part in self._taken])

    def _spread(self, work: Work, told: Wanted | Shared | None = None) -> None:
        """Divide the frames, and tell all who work on them how."""
        brief = None
        if told is not None:
            part_id = uuid4().hex
            path = self._store.attempt(part_id, 1) / BRIEF
            briefs.write(path, told, self._material.made_with)
            (made,) = patiently(lambda: self._store.seal(part_id, 1, [BRIEF]))
            self._store.leave(part_id, 1)
            brief = part_id, made
        frames = len(self._material.noisy)
        if not self._parts.spread(self._attempt, work, self._ranges, frames, brief):
            raise Overtaken
        self._maker.tell()  # that help is wanted

    def _add_up(self, wanted: Wanted) -> Sums:
        """What is wanted over all frames, from the sums over those of each part."""
        work = next(self._sums)
        self._spread(work, wanted)
        while True:
            if not self._attempt.stands():
                raise Overtaken
            found = self._parts.of_job(self._attempt.job_id, work)
            if all(part.state is PartState.DONE for part in found):
                sums = [self._sums_of(part) for part in found]
                held = [each for each in sums if each is not None]
                if len(held) == len(sums):
                    return Sums.together(held)
            self._do_one(work)

    def _sums_of(self, part: PartRecord) -> Sums | None:
        """Those of a part that is done; None where a worker like this one has to do it again."""
        paths = self._paths_of(part)
        if paths is not None:
            sums: Sums
            sums, made_with = briefs.read(paths[SUMS])
            if made_with == self._material.made_with:
                return sums
        self._again(part)
        return None

    def _again(self, part: PartRecord) -> None:
        """Have a part done once more, by this worker, as long as that may be of use."""
        self._made_anew[part.id] += 1
        if self._made_anew[part.id] > MOST_MADE:
            raise DamagedPartError(
                f"what was made of frames {part.first + 1} to {part.stop} was damaged each of "
                f"{MOST_MADE + 1} times that it was read: the disk of the store may be failing"
            )
        log.warning("part_made_anew", work=part.work, part=part.number)
        self._parts.again(part)

    def _do_one(self, work: Work) -> None:
        """Do a part, or wait for those that others do."""
        part = self._parts.take(self._attempt, work, self._lease_s)
        if part is None:
            self._wait()
        else:
            self._maker.make(Doing(self._attempt.database, part))

    def remove_parts(self) -> None:
        """Remove what the result was made of, which has been committed."""
        for part_id in self._parts.all_of_job(self._attempt.job_id):
            self._store.remove_job(part_id)
            self._parts.forget(part_id)

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
        if wanted:
            self._do_one(Work.FRAMES)
        else:
            self._wait()
        return None

    def _wait(self) -> None:
        """Wait for those who do parts; one that has died is not waited for, dispatcher or not."""
        if number := self._parts.recover():
            log.warning("part_leases_lost", parts=number)
        time.sleep(LOOK)

    def _take(self, part: PartRecord, files: ResultFiles) -> str | None:
        """Append a part that is done; who stopped it, if anybody did."""
        frames = part.stop - part.first
        if not part.artifacts:  # it was not begun before the deadline
            return "deadline"
        with self._files_of(part) as held:
            if held is None:
                self._again(part)
                return None
            before = files.done
            if not before and self._seconds:  # what all share is in the first frame's report
                first = held.reports[0]
                first["seconds"] = self._seconds | first["seconds"]
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
        paths = self._paths_of(part)
        if paths is None:
            yield None
            return
        with PartFiles.opened(paths) as files:
            own = part.worker == self._attempt.worker
            yield files if own or all(map(self._is_alike, files.reports)) else None

    def _paths_of(self, part: PartRecord) -> dict[str, Path] | None:
        """Where the files of a part are; None if one is not what the ledger vouches for."""
        held = {each.name: each.sha256 for each in part.artifacts}
        paths = {name: patiently(partial(self._store.artifact, part, name)) for name in held}
        intact = (path.exists() and sha256_of(path) == held[name] for name, path in paths.items())
        return paths if all(intact) else None

    def _is_alike(self, report: Mapping[str, Any]) -> bool:
        """Whether a frame was made by the same libraries and classifier as all others."""
        made_with = {"versions": report["versions"], "model": report["model"]}
        return made_with == self._material.made_with


def _told(part: PartRecord) -> dict[str, Any]:
    """Of a part, for the report."""
    return {
        "first_frame": part.first,
        "frames": part.frames_done,
        "worker": part.worker,
        "attempt": part.attempt,
        "seconds": part.seconds,
    }
