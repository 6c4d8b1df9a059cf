"""Copies on this machine of what is kept elsewhere, by digest, bounded in bytes.

::

    cache/<sha256>/<name>

A copy is checked when it comes and again after some minutes of use, so that a disk that damages it
is found out. Whoever has one open keeps it when it goes.
"""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from worker.store.files import made, sha256_of, size_of_files

CHECKED_FOR = 600.0  # s
IN_USE = 900.0  # s since somebody asked for it, in which nothing goes
SHARE = 20  # of the bound: so much may come before it is looked at again


class Cache:
    """A folder of copies.

    Parameters
    ----------
    root : Path
    bound : int
        Bytes; only what was asked for within the last minutes goes beyond it.
    beside : callable
        Gives further folders that count, and that go when nobody has used them for long.
    """

    def __init__(self, root: Path, bound: int, beside: Callable[[], list[Path]]) -> None:
        self._root = root
        self._bound = bound
        self._beside = beside
        self._checked: dict[str, float] = {}
        self._come = 0  # bytes since the bound was looked at

    def place(self, sha256: str) -> Path:
        """The folder of the copies with this digest, which need not be there."""
        if len(sha256) != 64 or not sha256.isalnum():
            raise ValueError(f"got {sha256!r}, expected a SHA-256 in hex")
        return self._root / sha256

    def hold(self, sha256: str, names: list[str], fetch: Callable[[str, Path], object]) -> Path:
        """The folder of files that have this digest together, fetched if need be.

        What is fetched and has another digest is thrown away; the folder then is not there.

        Parameters
        ----------
        sha256 : str
        names : list of str
        fetch : callable
            Brings the file of a name to a path.
        """
        folder = self.place(sha256)
        if not self._is_good(folder, sha256, names):
            self.renew(sha256, names, fetch)
        return folder

    def renew(self, sha256: str, names: list[str], fetch: Callable[[str, Path], object]) -> bool:
        """Fetch files whether there are copies or not; whether they have this digest together."""
        coming = made(self._root / f".{uuid4().hex}")
        try:
            for name in names:
                fetch(name, coming / name)
            is_right = sha256_of(*(coming / name for name in names)) == sha256
            if is_right:
                self._keep(sha256, coming)
        finally:
            shutil.rmtree(coming, ignore_errors=True)
        return is_right

    def take(self, sha256: str, path: Path) -> None:
        """Have a file for a copy that is known to have this digest; it is moved."""
        coming = made(self._root / f".{uuid4().hex}")
        try:
            path.rename(coming / path.name)
            self._keep(sha256, coming)
        finally:
            shutil.rmtree(coming, ignore_errors=True)

    def _keep(self, sha256: str, folder: Path) -> None:
        size = size_of_files(folder)
        place = self.place(sha256)
        try:
            folder.rename(place)
        except OSError:  # there are such bytes by another name, or somebody else was as quick
            for path in folder.iterdir():
                path.replace(made(place) / path.name)
        self._checked[sha256] = time.monotonic()
        self._come += size
        if self._come > self._bound // SHARE:
            self.tidy()

    def forget(self, sha256: str) -> None:
        """Throw a copy away."""
        shutil.rmtree(self.place(sha256), ignore_errors=True)
        self._checked.pop(sha256, None)

    def tidy(self) -> None:
        """Let what was asked for longest ago go, until the rest is within the bound."""
        self._come, held = 0, []
        for folder in [*self._root.glob("[!.]*"), *self._beside()]:
            with suppress(FileNotFoundError):
                held.append((folder.stat().st_mtime, size_of_files(folder), folder))
        over = sum(size for _, size, _ in held) - self._bound
        for used, size, folder in sorted(held):
            if over <= 0 or time.time() - used < IN_USE:
                return
            shutil.rmtree(folder, ignore_errors=True)
            self._checked.pop(folder.name, None)
            over -= size

    def _is_good(self, folder: Path, sha256: str, names: list[str]) -> bool:
        try:
            os.utime(folder)
            checked = self._checked.get(sha256)
            if checked is not None and time.monotonic() - checked < CHECKED_FOR:
                return all((folder / name).exists() for name in names)
            if sha256_of(*(folder / name for name in names)) == sha256:
                self._checked[sha256] = time.monotonic()
                return True
        except FileNotFoundError:
            return False
        self.forget(sha256)
        return False
