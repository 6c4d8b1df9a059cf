"""Renditions: files that are drawn once, when first asked for, and kept beside what they show.

Each has a digest of its own, checked whenever it is served: what was drawn from intact files is
served as it was drawn, and what is damaged since then is drawn again.
"""

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

from fastapi import Request
from starlette.responses import Response

from app.api.drawing import check_place
from app.http.files import send_file
from app.http.problems import Problem
from worker.store import CHECKED, DamagedError, sha256_of, write_atomic

MOST_RENDITIONS = 64  # of one image or job
CLIPPED = "Reucid-Clipped-Pixels"


@dataclass(frozen=True)
class Rendition:
    """A file to serve and what it is called."""

    path: Path
    sha256: str
    media_type: str
    filename: str
    clipped: int | None = None  # pixels out of the range of the source's type

    def response(self, request: Request, told: Mapping[str, str] | None = None) -> Response:
        """The file, a range of it, or 304 for a client that has it, with what is told of it."""
        more = dict(told or {}) | ({} if self.clipped is None else {CLIPPED: str(self.clipped)})
        return send_file(
            request,
            self.path,
            self.sha256,
            media_type=self.media_type,
            filename=self.filename,
            vary="Accept",
            more=more,
        )


def cached(
    path: Path,
    media_type: str,
    draw: Callable[[Path], int | None],
    of: str,
    digest: Callable[[Path], str] | None = None,
) -> Rendition:
    """A rendition, drawn if it was not yet or is damaged; `draw` gives the clipped pixels.

    What `draw` reads it has to check: nothing else does so, and not before it is called. `digest`
    is of the part of the file that vouches for all of it; by default that is the whole.
    """
    digest = digest or sha256_of
    known = path.with_name(f"{path.name}.json")
    for each in (path, known):  # first: somebody asks for it, so no sweep takes it meanwhile
        with contextlib.suppress(FileNotFoundError):
            os.utime(each)
    if not _is_intact(path, known, digest):
        check_place()  # who may not draw does not wait for who does, either
        with _alone_at(path):
            if not _is_intact(path, known, digest):
                _fill(path, known, draw, digest)
    facts = json.loads(known.read_text())
    return Rendition(path, facts["sha256"], media_type, f"{of[:8]}-{path.name}", facts["clipped"])


def discard(path: Path) -> None:
    """Have a rendition drawn again, when it is next asked for."""
    path.with_name(f"{path.name}.json").unlink(missing_ok=True)


def _fill(
    path: Path, known: Path, draw: Callable[[Path], int | None], digest: Callable[[Path], str]
) -> None:
    make_room(path.parent)
    with write_atomic(path) as temporary:
        clipped = draw(temporary)
    with write_atomic(known) as temporary:
        temporary.write_text(json.dumps({"sha256": digest(path), "clipped": clipped}))


def make_room(folder: Path) -> None:
    """Remove what was asked for longest ago, where a folder holds as many renditions as may be."""
    held = sorted(folder.glob("[!.]*"), key=_last_used)
    for path in held[: max(0, len(held) - 2 * (MOST_RENDITIONS - 1))]:  # each with its facts
        path.unlink(missing_ok=True)


def _last_used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def matches(path: Path, sha256: str) -> bool:
    """Whether a file is there and is what it was."""
    try:
        return CHECKED.sha256_of(path) == sha256
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def removal_told_by(check: Callable[[], object]) -> Iterator[None]:
    """Ask, where reading or writing files fails, whether their owner was removed meanwhile.

    `check` raises what is to be said of that; if it does not, the failure was one.
    """
    try:
        yield
    except (OSError, DamagedError, Problem):
        check()
        raise


_drawing: WeakValueDictionary[Path, threading.Lock] = WeakValueDictionary()
_drawing_guard = threading.Lock()


def _alone_at(path: Path) -> threading.Lock:
    """Held while a rendition is drawn: many who ask for it at once cost the memory of one."""
    with _drawing_guard:
        return _drawing.setdefault(path, threading.Lock())


def _is_intact(path: Path, known: Path, digest: Callable[[Path], str]) -> bool:
    try:
        return bool(digest(path) == json.loads(known.read_text())["sha256"])
    except (OSError, ValueError, TypeError, KeyError):
        return False
