"""A store that is a folder, of this machine or shared by several.

::

    identity                                    whose store this is
    uploads/<id>/original, pixels.npy, ...      being received and decoded
    images/<id>/original, pixels.npy, ...       accepted
    images/<id>/renditions/                     pictures of it
    jobs/<id>/attempts/<n>/result.npy, ...      served once the ledger vouches for them
    jobs/<id>/renditions/                       what clients have asked for, in their formats
    trash/<id>/                                 whatever is being deleted

A folder is removed by moving it to the trash, in one step, and deleting it there: nobody meets half
of it.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

from worker.contract import Artifact, ImageRecord, JobRecord, Reduced
from worker.pyramid.layout import beside
from worker.pyramid.reading import Find
from worker.store.errors import DamagedError
from worker.store.files import made, sha256_of, sync, syncing
from worker.store.interface import Made, Store, in_attempt
from worker.store.names import (
    IDENTITY,
    ORIGINAL,
    checked,
    companions_in,
    interim_name,
    pixels_name,
)


class FolderStore(Store):
    """Files under one folder."""

    def folders(self) -> tuple[str, ...]:
        return ("uploads", "images", "jobs", "trash")

    def ping(self) -> None:
        self.discard(self.new_upload())

    @property
    def address(self) -> str:
        return f"the folder {self.root}"

    def identity(self) -> str | None:
        try:
            return (self.root / IDENTITY).read_text().strip()
        except FileNotFoundError:
            return None

    def take(self, identity: str) -> str:
        temporary = self.root / f".{uuid4().hex}.tmp"
        try:
            temporary.write_text(f"{identity}\n")
            sync(temporary)
            (self.root / IDENTITY).hardlink_to(temporary)  # whole, and only if none is there
            sync(self.root)
        except FileExistsError:
            pass
        finally:
            temporary.unlink(missing_ok=True)
        return self.identity() or ""

    # --- images ---

    def accept(self, upload: Path, folder: str) -> None:
        with syncing(list(upload.iterdir())):
            os.utime(upload)  # from now on it may wait for its row as long as any other
        accepted = upload.rename(self.image(folder))
        for above in (accepted, accepted.parent):  # now, as that takes the new name, too
            sync(above)

    def image(self, folder: str) -> Path:
        """Where the files of an image are."""
        return self.root / "images" / checked(folder)

    def pixels(self, image: ImageRecord, signal: int = 0) -> Path:
        return self.image(image.folder) / pixels_name(signal)

    def levels(
        self,
        image: ImageRecord,
        signal: int,
        reduced: Reduced,  # noqa: ARG002  (of a cache)
    ) -> tuple[Find, Find]:
        levels, tiles = beside(self.pixels(image, signal))
        return lambda: levels, lambda: tiles

    def sent_files(self, image: ImageRecord) -> list[Path]:
        folder = self.image(image.folder)
        paths = [folder / ORIGINAL, *companions_in(folder)]
        if not paths[0].exists() or sha256_of(*paths) != image.sha256:
            raise DamagedError
        return paths

    def has_image(self, folder: str) -> bool:
        return self.image(folder).is_dir()

    def remove_image(self, folder: str) -> None:
        self._throw_away(self.image(folder))

    # --- jobs ---

    def attempt(self, job_id: str, attempt: int) -> Path:
        return made(self.root / in_attempt(job_id, attempt))

    def leave(self, job_id: str, attempt: int) -> None:
        """Nothing to do: an attempt is written where it is kept."""

    def publish(self, job_id: str, attempt: int, name: str) -> Artifact:
        path = self.root / in_attempt(job_id, attempt) / name
        with syncing([path]):
            artifact = _artifact(path)
        sync(path.parent)
        return artifact

    def seal(self, job_id: str, attempt: int, names: Sequence[str]) -> list[Artifact]:
        folder = self.attempt(job_id, attempt)
        paths = [folder / name for name in names]
        with syncing(paths):
            artifacts = [_artifact(path) for path in paths]
        for above in (folder, folder.parent, folder.parent.parent, self.root / "jobs"):
            sync(above)  # a file outlasts a power cut only with every folder above it
        return artifacts

    def artifact(self, job: Made, name: str) -> Path:
        return self.root / in_attempt(job.id, job.attempt) / name

    def interim(self, job: JobRecord, n: int, sha256: str) -> Path:  # noqa: ARG002  (of a cache)
        return self.root / in_attempt(job.id, job.attempt) / interim_name(n)

    def remove_job(self, job_id: str) -> None:
        self._throw_away(self.root / "jobs" / checked(job_id))

    # --- pictures of both ---

    def image_renditions(self, image: ImageRecord) -> Path:
        return made(self.renditions_of("images", image.folder))

    def renditions(self, job_id: str) -> Path:
        return made(self.renditions_of("jobs", job_id))

    def renditions_of(self, kind: str, name: str) -> Path:
        return self.root / kind / checked(name) / "renditions"

    # --- what is to go ---

    def walk(self, kind: str, at_once: int) -> Iterator[list[str]]:
        return self._walk_here(kind, at_once)

    def remove_stray(self, kind: str, name: str, *, older_than_s: float) -> None:
        self._remove_old(self.root / kind / checked(name), older_than_s)

    def remove_replaced(self, job_id: str, current: int, *, older_than_s: float) -> None:
        for number in range(1, current):
            self._remove_old(self.root / in_attempt(job_id, number), older_than_s)


def _artifact(path: Path) -> Artifact:
    return Artifact(path.name, sha256_of(path), path.stat().st_size)
