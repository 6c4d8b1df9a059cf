"""Digests of files that are asked for again and again, as ranges of a large one are."""

import threading
import time
from collections import OrderedDict
from pathlib import Path

from worker.store.files import sha256_of

CHECKED_FOR = 60.0  # s that a file is not read again, unless it was written
SETTLED = 2.0  # s after which a further write to a file shows in its times, on any file system
MOST = 1024  # files that are remembered

Marks = tuple[tuple[str, int, int, int, int], ...]


class Checked:
    """Digests of files, which are read once and then, while they are as they were, each minute.

    A file that was written since has another inode, size or time of change, which no program can
    set; a disk that damages a file by itself is noticed after a minute.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._known: OrderedDict[Marks, tuple[str, float]] = OrderedDict()

    def sha256_of(self, *paths: Path) -> str:
        """As `worker.store.sha256_of`."""
        marks = tuple(map(_mark, paths))
        with self._guard:
            digest, until = self._known.get(marks, ("", 0.0))
        if time.monotonic() < until:
            return digest
        is_settled = all(time.time() - mark[-1] * 1e-9 > SETTLED for mark in marks)
        digest = sha256_of(*paths)
        if is_settled and tuple(map(_mark, paths)) == marks:
            self._note(marks, digest)
        return digest

    def _note(self, marks: Marks, digest: str) -> None:
        with self._guard:
            self._known[marks] = digest, time.monotonic() + CHECKED_FOR
            self._known.move_to_end(marks)
            if len(self._known) > MOST:
                self._known.popitem(last=False)


CHECKED = Checked()  # of this process


def _mark(path: Path) -> tuple[str, int, int, int, int]:
    """What another file, or other bytes, at this path differ in."""
    found = path.stat()
    return str(path), found.st_dev, found.st_ino, found.st_size, found.st_ctime_ns
