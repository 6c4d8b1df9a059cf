"""What every store can do, whatever keeps its files."""

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from worker.contract import Artifact, FileInfo, ImageRecord, JobRecord, Reduced
from worker.pyramid.layout import beside
from worker.pyramid.reading import Find
from worker.store.errors import DamagedError
from worker.store.files import age, age_of_file, sha256_of, size_of_files
from worker.store.names import ID, checked, pixels_name


class Made(Protocol):
    """A job, or a part of one, whose files the ledger vouches for."""

    @property
    def id(self) -> str:
        """Of its folder."""

    @property
    def attempt(self) -> int:
        """That has made them."""

    def artifact(self, name: str) -> Artifact | None:
        """What the ledger vouches for under this name."""


class Store(ABC):
    """The files of images and jobs.

    What is written once is never written over: an image that is sent again gets a folder of its
    own, an attempt has one anyway. Uploads and attempts are written into folders of this machine;
    `accept`, `publish` and `seal` bring them to where every machine finds them and they outlast
    this one. What is read is given as a path on this machine; where nothing is at the path, there
    is no such file, or not the one that the ledger vouches for.

    Parameters
    ----------
    root : Path
        Folder of this machine, made if need be.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in (root, *(root / name for name in self.folders())):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @abstractmethod
    def folders(self) -> tuple[str, ...]:
        """The folders it has on this machine."""

    @abstractmethod
    def ping(self) -> None:
        """Raise OSError when nothing can be written."""

    @property
    @abstractmethod
    def address(self) -> str:
        """What it is called in settings and messages."""

    @abstractmethod
    def identity(self) -> str | None:
        """Whose store this is; None where nobody has said so yet."""

    @abstractmethod
    def take(self, identity: str) -> str:
        """Make this the store of somebody if it is nobody's yet; whose it is now."""

    def free(self) -> int:
        """Bytes that are free where files are received and written."""
        return self.space().free

    def space(self) -> "shutil._ntuple_diskusage":
        """Bytes in all and free where files are received and written."""
        return shutil.disk_usage(self.root)

    # --- images ---

    def new_upload(self) -> Path:
        """A fresh folder for one upload."""
        folder = self.root / "uploads" / uuid4().hex
        folder.mkdir(mode=0o700)
        return folder

    def with_digests(self, upload: Path, info: FileInfo) -> FileInfo:
        """What decoding found in an upload, and the digests of what it made of it."""
        decoded = [upload / pixels_name(index) for index in range(len(info.signals))]
        return replace(info, digests=tuple(sha256_of(path) for path in decoded))

    def with_reduced(self, upload: Path, info: FileInfo) -> FileInfo:
        """The same with the digests of the levels that were written of some of its signals."""
        written = [beside(upload / pixels_name(index)) for index in range(len(info.signals))]
        reduced = [
            Reduced(*map(sha256_of, paths)) if paths[1].exists() else None for paths in written
        ]
        return replace(info, reduced=tuple(reduced) if any(reduced) else ())

    def size_of_upload(self, upload: Path) -> int:
        """Bytes that the files of an upload take."""
        return size_of_files(upload)

    def discard(self, folder: Path) -> None:
        """Delete the folder of an upload that was not accepted, or one in the trash."""
        shutil.rmtree(folder, ignore_errors=True)

    @abstractmethod
    def accept(self, upload: Path, folder: str) -> None:
        """Make an upload the files of an image, kept before this returns."""

    @abstractmethod
    def pixels(self, image: ImageRecord, signal: int = 0) -> Path:
        """A decoded image signal, a C-ordered .npy file."""

    @abstractmethod
    def levels(self, image: ImageRecord, signal: int, reduced: Reduced) -> tuple[Find, Find]:
        """Find the levels of a decoded image signal, and the digests of their tiles."""

    def load_pixels(self, image: ImageRecord, signal: int) -> NDArray[Any]:
        """A decoded image signal, mapped into memory, after its bytes were checked.

        Raises
        ------
        DamagedError
        """
        path, digests = self.pixels(image, signal), image.contents.digests
        if not path.exists() or sha256_of(path) != digests[signal]:
            raise DamagedError
        pixels: NDArray[Any] = np.load(path, mmap_mode="r")
        return pixels

    @abstractmethod
    def sent_files(self, image: ImageRecord) -> list[Path]:
        """The file as it was sent, and those that came with it, after their bytes were checked.

        Raises
        ------
        DamagedError
        """

    def is_intact(self, image: ImageRecord) -> bool:
        """Whether all files of an image are what was put there."""
        try:
            self.sent_files(image)
            for signal in range(len(image.contents.signals)):
                self.load_pixels(image, signal)
        except DamagedError:
            return False
        return True

    @abstractmethod
    def has_image(self, folder: str) -> bool:
        """Whether there are files of an image under this name."""

    @abstractmethod
    def remove_image(self, folder: str) -> None:
        """Remove the files of an image."""

    # --- jobs ---

    @abstractmethod
    def attempt(self, job_id: str, attempt: int) -> Path:
        """The folder an attempt is written into, made if need be."""

    @abstractmethod
    def leave(self, job_id: str, attempt: int) -> None:
        """Give back what an attempt needed on this machine; it has ended."""

    @abstractmethod
    def publish(self, job_id: str, attempt: int, name: str) -> Artifact:
        """Keep a file of an attempt that goes on, and say what it is."""

    @abstractmethod
    def seal(self, job_id: str, attempt: int, names: Sequence[str]) -> list[Artifact]:
        """Keep an attempt's files and say what they are."""

    @abstractmethod
    def artifact(self, job: Made, name: str) -> Path:
        """A file of the attempt that succeeded."""

    @abstractmethod
    def interim(self, job: JobRecord, n: int, sha256: str) -> Path:
        """The interim result of the current attempt after n stacks."""

    @abstractmethod
    def remove_job(self, job_id: str) -> None:
        """Remove all files of a job."""

    # --- pictures of both, kept on this machine ---

    @abstractmethod
    def image_renditions(self, image: ImageRecord) -> Path:
        """The folder of pictures of an image, made if need be."""

    @abstractmethod
    def renditions(self, job_id: str) -> Path:
        """The folder of a job's renditions, made if need be."""

    @abstractmethod
    def renditions_of(self, kind: str, name: str) -> Path:
        """The folder of renditions of one of `images` or `jobs`, which need not be there."""

    def size_of_renditions(self, images: Iterable[str], jobs: Iterable[str]) -> int:
        """Bytes that the renditions of some images, by their folders, and of some jobs take."""
        folders = [self.renditions_of("images", name) for name in images]
        folders += [self.renditions_of("jobs", name) for name in jobs]
        return sum(size_of_files(folder) for folder in folders)

    def remove_renditions(self, kind: str, name: str, *, older_than_s: float) -> None:
        """Remove the renditions of an image or a job that nobody has asked for lately."""
        folder = self.renditions_of(kind, name)
        if not folder.is_dir():
            return
        for rendition in folder.iterdir():
            if age_of_file(rendition) > older_than_s:
                rendition.unlink(missing_ok=True)

    # --- what is to go ---

    def trash(self) -> list[Path]:
        """Folders of this machine that are to be deleted."""
        return list((self.root / "trash").iterdir())

    @abstractmethod
    def walk(self, kind: str, at_once: int) -> Iterator[list[str]]:
        """The folders of `uploads`, `images` or `jobs` by name, so many at a time."""

    @abstractmethod
    def remove_stray(self, kind: str, name: str, *, older_than_s: float) -> None:
        """Remove a folder that no row knows, unless something was written into it lately."""

    @abstractmethod
    def remove_replaced(self, job_id: str, current: int, *, older_than_s: float) -> None:
        """Remove the attempts before the current one, unless somebody still writes to them."""

    def _walk_here(self, kind: str, at_once: int) -> Iterator[list[str]]:
        with os.scandir(self.root / kind) as entries:
            names = (entry.name for entry in entries if ID.fullmatch(entry.name))
            while some := list(islice(names, at_once)):
                yield some

    def _remove_old(self, folder: Path, older_than_s: float) -> None:
        if age(folder) > older_than_s:
            self._throw_away(folder)

    def _throw_away(self, folder: Path) -> None:
        """Delete a folder by way of the trash: nobody meets half of it."""
        place = self.root / "trash" / uuid4().hex
        try:
            folder.rename(place)
        except FileNotFoundError:
            return
        self.discard(place)


def in_attempt(job_id: str, attempt: int) -> str:
    """Where the files of an attempt are, from the store's beginning."""
    return f"jobs/{checked(job_id)}/attempts/{int(attempt)}"
