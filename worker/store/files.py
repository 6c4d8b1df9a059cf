"""Files on a disk: written so that they outlast a power cut, told by their digests."""

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

AT_ONCE = 4  # files on their way to disk


@contextmanager
def write_atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place, on disk, when the block succeeds."""
    temporary = path.with_name(f".{uuid4().hex}.tmp")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of(*paths: Path) -> str:
    """SHA-256 of a file, or of several one after another, in hex."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


def sync(path: Path) -> None:
    """Bring a file, or the entries of a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def syncing(paths: Sequence[Path]) -> Iterator[None]:
    """Bring files to disk, all at once, beside what the block does; they are there at its end.

    At once, a journal takes several of them in one go.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        done = [pool.submit(sync, path) for path in paths]
        yield
        for each in done:
            each.result()


def made(folder: Path) -> Path:
    """A folder, made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def size_of_files(folder: Path) -> int:
    """Bytes of the files in a folder, without those in folders of it."""
    size = 0
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                size += entry.stat(follow_symlinks=False).st_size
    return size


def age(folder: Path) -> float:
    """Seconds since something was written into a folder; 0 when it is gone."""
    try:
        newest = max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
    except FileNotFoundError:
        return 0.0
    return time.time() - newest


def age_of_file(path: Path) -> float:
    """Seconds since a file was written or asked for; 0 when it is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
