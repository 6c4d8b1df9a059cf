"""Drawing, apart from the server: every picture and format is made by a child with limits.

Few at a time, and of all owners who wait each in turn. A request that waits for a place keeps no
thread; one whose file is drawn already does not wait.
"""

import errno
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from shutil import rmtree
from typing import Any, TypeVar

import structlog
from anyio import CapacityLimiter, to_thread
from fastapi.concurrency import run_in_threadpool

from app.api.lanes import step_aside
from app.http.problems import Limit, Problem
from app.http.turns import CrowdedError, Turns
from worker.decoding.apart import run_apart
from worker.decoding.parent import printed
from worker.decoding.sandbox import enter
from worker.decoding.terms import ANSWER, DISK_FULL
from worker.store import DamagedError, sha256_of

PLACES = max(1, min(2, (os.cpu_count() or 1)))  # children at a time
MOST_WAITING = 256  # requests of one owner
SECONDS = 120.0  # of one drawing
DAMAGED = 64  # exit status of a child whose first source is damaged; the second gives one more
DRAWN = "drawn"
BYTES_PER_PIXEL = 12  # the sandbox allows for three times this
LATE = ("mrcfile", "rsciio.hspy")  # what writers import when they are called

Given = TypeVar("Given")
Work = Callable[..., int | None]

log = structlog.get_logger()

_may_draw: ContextVar[bool] = ContextVar("may_draw", default=True)


class NotDrawnError(Exception):
    """The file is not there yet, and this is not the place to draw it."""


@dataclass(frozen=True)
class Source:
    """A file that is drawn from, and what it has to be."""

    path: Path
    sha256: str
    artifact: str = ""  # what it is of a job; nothing if it is an image's


def check_place() -> None:
    """Raise NotDrawnError where nothing is to be drawn."""
    if not _may_draw.get():
        raise NotDrawnError


def draw_apart(
    work: Work,
    sources: Sequence[Source],
    target: Path,
    *arguments: Any,
    pixels: int,
    written: int | None = None,
) -> int | None:
    """Have `work(target, *paths, *arguments)` done by a child; what it gives.

    It may hold so many pixels, and write as many bytes as they take, or the stated ones.

    Raises
    ------
    DamagedError
        When the pixels of an image are not what they were.
    Problem
        When a file of a job is not, or drawing takes too long or too much memory.
    """
    check_place()
    folder = target.with_name(f"{target.name}.drawing")
    folder.mkdir(mode=0o700)
    try:
        task = (work, tuple(sources), folder, arguments, BYTES_PER_PIXEL * pixels, written)
        status = run_apart(_in_child, task, SECONDS)
        answer = _answer(folder, status, sources)
        (folder / DRAWN).replace(target)
        return answer
    finally:
        rmtree(folder, ignore_errors=True)


def _answer(folder: Path, status: int | None, sources: Sequence[Source]) -> int | None:
    if status == 0:
        given = json.loads((folder / ANSWER).read_bytes())
        return None if given is None else int(given)
    if status == DISK_FULL:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if status is not None and 0 <= status - DAMAGED < len(sources):
        artifact = sources[status - DAMAGED].artifact
        if not artifact:
            raise DamagedError
        detail = f"{artifact} of this job is missing or damaged in the store"
        raise Problem(500, "damaged_artifact", detail)
    log.warning("drawing_failed", status=status, printed=printed(folder))
    raise Problem(
        503,
        "too_large_to_draw",
        f"drawing this took more than {SECONDS:g} s, or more memory than such an image should: ask "
        "for a smaller picture, or for one frame",
    )


def _in_child(
    work: Work,
    sources: tuple[Source, ...],
    folder: Path,
    arguments: tuple[Any, ...],
    decoded: int,
    written: int | None,
) -> None:
    for late in LATE:
        import_module(late)
    for index, each in enumerate(sources):
        if not each.path.exists():
            sys.exit(DAMAGED + index)
    enter([each.path for each in sources], folder, SECONDS).admit(decoded, written)
    for index, each in enumerate(sources):
        if sha256_of(each.path) != each.sha256:
            sys.exit(DAMAGED + index)
    try:
        given = work(folder / DRAWN, *(each.path for each in sources), *arguments)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            sys.exit(DISK_FULL)
        raise
    (folder / ANSWER).write_text(json.dumps(given))


class Easel:
    """The places at which an API process draws; of one owner, never all of them."""

    def __init__(
        self, places: int = PLACES + 1, of_one: int = PLACES, most_waiting: int = MOST_WAITING
    ) -> None:
        self.turns = Turns(places, of_one, most_waiting)
        self._threads = CapacityLimiter(places)

    async def drawn(self, owner: str, make: Callable[[], Given]) -> Given:
        """What `make` gives; if it has to be drawn first, when it is the owner's turn."""
        allowed = _may_draw.set(False)
        try:
            return await run_in_threadpool(make)
        except NotDrawnError:
            step_aside()
        finally:
            _may_draw.reset(allowed)
        try:
            async with self.turns.place(owner):
                return await to_thread.run_sync(make, limiter=self._threads)
        except CrowdedError as error:
            raise Problem(
                429,
                "too_many_drawings",
                f"got {error.got} requests of {owner} that wait to be drawn, at most "
                f"{error.most} may",
                headers={"Retry-After": "5"},
                limit=Limit(name="max_drawings", value=error.most, got=error.got),
            ) from None
