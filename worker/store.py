"""The files of images and jobs, and the only owner of their paths.

::

    uploads/<id>/original, pixels.npy, ...      being received and decoded
    images/<id>/original, pixels.npy, ...       accepted
    images/<id>/renditions/                     pictures of it
    jobs/<id>/attempts/<n>/result.npy, ...      served once the ledger vouches for them
    jobs/<id>/renditions/                       what clients have asked for, in their formats
    trash/<id>/                                 whatever is being deleted

A folder is removed by moving it to the trash, in one step, and deleting it there: nobody meets half
of it, and no transaction has to wait for the disk.
"""

import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from worker.contract import Artifact, FileInfo, ImageRecord

ID = re.compile(r"[0-9a-f]{32}")
ORIGINAL, PIXELS = "original", "pixels.npy"  # of an upload and of an image
COMPANION = "companion"  # the files that came with it


class DamagedError(Exception):
    """A file of the store is not there, or not what was put there."""

    def __init__(self) -> None:
        super().__init__("this image is missing or damaged in the store: upload it again")


class Store:
    """Files under one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self._uploads, self._images, self._jobs, self._trash):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def ping(self) -> None:
        """Raise OSError when nothing can be written."""
        self.discard(self.new_upload())

    def free(self) -> int:
        """Bytes that are free where the files lie."""
        return self.space().free

    def space(self) -> "shutil._ntuple_diskusage":
        """Bytes in all and free where the files lie."""
        return shutil.disk_usage(self._root)

    # --- images ---

    def new_upload(self) -> Path:
        """A fresh folder for one upload."""
        folder = self._uploads / uuid4().hex
        folder.mkdir(mode=0o700)
        return folder

    def accept(self, upload: Path, image_id: str) -> None:
        """Make an upload an image, on disk before this returns."""
        self.sync(upload)
        os.utime(upload)  # from now on it may wait for its row as long as any other
        _sync(upload)
        upload.rename(self._images / _checked(image_id))
        _sync(self._images)

    def sync(self, upload: Path) -> None:
        """Bring the files of an upload to disk; done once, it takes no time again."""
        for path in upload.iterdir():
            _sync(path)

    def with_digests(self, upload: Path, info: FileInfo) -> FileInfo:
        """What decoding found in an upload, and the digests of what it made of it."""
        decoded = [upload / pixels_name(index) for index in range(len(info.signals))]
        return replace(info, digests=tuple(sha256_of(path) for path in decoded))

    def size_of_upload(self, upload: Path) -> int:
        """Bytes that the files of an upload take."""
        return _size_of_files(upload)

    def discard(self, upload: Path) -> None:
        """Delete the folder of an upload that was not accepted, or one in the trash."""
        shutil.rmtree(upload, ignore_errors=True)

    def pixels(self, image_id: str, signal: int = 0) -> Path:
        """A decoded image signal, a C-ordered .npy file."""
        return self._images / _checked(image_id) / pixels_name(signal)

    def load_pixels(self, image: ImageRecord, signal: int) -> NDArray[Any]:
        """A decoded image signal, mapped into memory, after its bytes were checked.

        Raises
        ------
        DamagedError
        """
        path, digests = self.pixels(image.id, signal), image.contents.digests
        if not path.exists() or sha256_of(path) != digests[signal]:
            raise DamagedError
        pixels: NDArray[Any] = np.load(path, mmap_mode="r")
        return pixels

    def sent_files(self, image: ImageRecord) -> list[Path]:
        """The file as it was sent, and those that came with it, after their bytes were checked.

        Raises
        ------
        DamagedError
        """
        paths = [self.original(image.id), *self.companions(image.id)]
        if not paths[0].exists() or sha256_of(*paths) != image.sha256:
            raise DamagedError
        return paths

    def is_intact(self, image: ImageRecord) -> bool:
        """Whether all files of an image are what was put there."""
        try:
            self.sent_files(image)
            for signal in range(len(image.contents.signals)):
                self.load_pixels(image, signal)
        except DamagedError:
            return False
        return True

    def original(self, image_id: str) -> Path:
        """The file as it was sent."""
        return self._images / _checked(image_id) / ORIGINAL

    def image_renditions(self, image_id: str) -> Path:
        """The folder of pictures of an image, made if need be."""
        return _made(self._images / _checked(image_id) / "renditions")

    def size_of_image(self, image_id: str) -> int:
        """Bytes that an image's files take."""
        folder = self._images / _checked(image_id)
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

    def companions(self, image_id: str) -> list[Path]:
        """The files that were sent with it, in order."""
        return companions_in(self._images / _checked(image_id))

    def remove_image(self, image_id: str) -> None:
        """Remove an image's files."""
        self.discard(self.put_away(image_id))

    def put_away(self, image_id: str) -> Path:
        """Move an image's files into the trash, where they lie until somebody deletes them."""
        return self._throw_away(self._images / _checked(image_id))

    # --- jobs ---

    def attempt(self, job_id: str, attempt: int) -> Path:
        """The folder of an attempt, made if need be."""
        return _made(self._jobs / _checked(job_id) / "attempts" / str(int(attempt)))

    def artifact(self, job_id: str, attempt: int, name: str) -> Path:
        """A file of an attempt."""
        return self._jobs / _checked(job_id) / "attempts" / str(int(attempt)) / name

    def interim(self, job_id: str, attempt: int, n: int) -> Path:
        """The interim result after n stacks."""
        return self.artifact(job_id, attempt, f"interim-{n:04d}.npy")

    def seal(self, job_id: str, attempt: int, names: Sequence[str]) -> list[Artifact]:
        """Bring an attempt's files to disk and say what they are."""
        folder = self.attempt(job_id, attempt)
        for name in names:
            _sync(folder / name)
        for made in (folder, folder.parent, folder.parent.parent, self._jobs):
            _sync(made)  # a file outlasts a power cut only with every folder above it
        return [
            Artifact(name, sha256_of(folder / name), (folder / name).stat().st_size)
            for name in names
        ]

    def renditions(self, job_id: str) -> Path:
        """The folder of a job's renditions, made if need be."""
        return _made(self._jobs / _checked(job_id) / "renditions")

    def remove_job(self, job_id: str) -> None:
        """Remove all files of a job."""
        self.discard(self._throw_away(self._jobs / _checked(job_id)))

    # --- what is to go ---

    def trash(self) -> list[Path]:
        """Folders that are to be deleted."""
        return list(self._trash.iterdir())

    def walk(self, kind: str, at_once: int) -> Iterator[list[str]]:
        """The folders of `uploads`, `images` or `jobs` by name, so many at a time."""
        with os.scandir(self._root / kind) as entries:
            names = (entry.name for entry in entries if ID.fullmatch(entry.name))
            while some := list(islice(names, at_once)):
                yield some

    def remove_stray(self, kind: str, name: str, *, older_than_s: float) -> None:
        """Remove a folder that no row knows, unless something was written into it lately."""
        folder = self._root / kind / _checked(name)
        if _age(folder) > older_than_s:
            self.discard(self._throw_away(folder))

    def remove_replaced(self, job_id: str, current: int, *, older_than_s: float) -> None:
        """Remove the attempts before the current one, unless somebody still writes to them."""
        for number in range(1, current):
            attempt = self._jobs / _checked(job_id) / "attempts" / str(number)
            if _age(attempt) > older_than_s:
                self.discard(self._throw_away(attempt))

    def size_of_renditions(self, images: Iterable[str], jobs: Iterable[str]) -> int:
        """Bytes that the renditions of some images and jobs take."""
        folders = [self._images / _checked(name) for name in images]
        folders += [self._jobs / _checked(name) for name in jobs]
        return sum(_size_of_files(folder / "renditions") for folder in folders)

    def remove_renditions(self, kind: str, name: str, *, older_than_s: float) -> None:
        """Remove the renditions of an image or a job that nobody has asked for lately."""
        with suppress(FileNotFoundError):
            for rendition in (self._root / kind / _checked(name) / "renditions").iterdir():
                if _file_age(rendition) > older_than_s:
                    rendition.unlink(missing_ok=True)

    def _throw_away(self, folder: Path) -> Path:
        """Move a folder into the trash, if it is there; where it lies then."""
        place = self._trash / uuid4().hex
        with suppress(FileNotFoundError):
            folder.rename(place)
        return place

    @property
    def _uploads(self) -> Path:
        return self._root / "uploads"

    @property
    def _images(self) -> Path:
        return self._root / "images"

    @property
    def _jobs(self) -> Path:
        return self._root / "jobs"

    @property
    def _trash(self) -> Path:
        return self._root / "trash"


@contextmanager
def write_atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place, on disk, when the block succeeds."""
    temporary = path.with_name(f".{uuid4().hex}.tmp")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def pixels_name(signal: int) -> str:
    """The name of a decoded image signal's file."""
    return f"pixels-{int(signal)}.npy" if signal else PIXELS


def companion_name(n: int) -> str:
    """The name of a file that comes with the original; n is its own number, of at most 4 digits."""
    return f"{COMPANION}-{n:04d}"


def companions_in(folder: Path) -> list[Path]:
    """The files beside an original, in order."""
    return sorted(folder.glob(f"{COMPANION}-*"))


def sha256_of(*paths: Path) -> str:
    """SHA-256 of a file, or of several one after another, in hex."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size_of_files(folder: Path) -> int:
    size = 0
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                size += entry.stat(follow_symlinks=False).st_size
    return size


def _age(folder: Path) -> float:
    """Seconds since something was written into a folder; 0 when it is gone."""
    try:
        newest = max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
    except FileNotFoundError:
        return 0.0
    return time.time() - newest


def _file_age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _checked(id_: str) -> str:
    if not ID.fullmatch(id_):
        raise ValueError(f"got the id {id_!r}, expected 32 hexadecimal digits")
    return id_
