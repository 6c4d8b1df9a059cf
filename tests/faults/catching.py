"""Catching a process at a named point (`worker.faultpoints`)."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.support.waiting import until

Find = Callable[[], psutil.Process]


class Catcher:
    """Has processes stop at named points, and finds them.

    Parameters
    ----------
    folder : Path
        Where points are armed; processes that are started with `environment` look there.
    roots : callable
        The processes, beside their descendants, among which to look.
    """

    def __init__(
        self, folder: Path, roots: Callable[[], Sequence["subprocess.Popen[bytes]"]]
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._roots = roots
        self.held: set[int] = set()  # stopped processes that a test keeps

    @property
    def environment(self) -> dict[str, str]:
        """Of processes that may be caught."""
        return {"REUCID_STOP_AT": str(self._folder)}

    @contextmanager
    def stopped_at(self, point: str) -> Iterator[Find]:
        """Have the next process that comes to a named point stop there; find it."""
        armed = self._folder / point
        armed.touch()

        def find() -> psutil.Process:
            until(lambda: self.is_reached(point), f"{point} is reached")
            found: list[psutil.Process] = []

            def is_caught() -> bool:  # one look: whoever it is may be killed before another one
                found[:] = self.stopped()
                return bool(found)

            until(is_caught, f"somebody has stopped at {point}")
            return found[0]

        try:
            yield find
        finally:
            armed.unlink(missing_ok=True)

    def is_reached(self, point: str) -> bool:
        """Whether somebody has come to a point that was armed."""
        return not (self._folder / point).exists()

    def stopped(self) -> list[psutil.Process]:
        """Processes that were stopped, but for those that a test keeps so."""
        found = []
        roots = [psutil.Process(each.pid) for each in self._roots()]
        for process in [*roots, *(each for root in roots for each in root.children(True))]:
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.status() == psutil.STATUS_STOPPED and process.pid not in self.held:
                    found.append(process)
        return found
