"""A store that is a part of a bucket, with copies on this machine.

In the bucket the names are those of a folder::

    identity, images/<id>/original, images/<id>/pixels.npy, jobs/<id>/attempts/<n>/result.npy, ...

On this machine, in the data folder::

    uploads/<id>/               being received and decoded
    attempts/<job>-<n>/         being written by a job
    cache/<sha256>/<name>       copies of objects
    renditions/<kind>-<id>/     pictures that this machine has drawn
    trash/<id>/                 whatever is being deleted
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path

from worker.contract import Artifact, ImageRecord, JobRecord, Reduced
from worker.pyramid.layout import beside
from worker.pyramid.reading import Find
from worker.store.address import Bucket
from worker.store.cache import Cache
from worker.store.errors import DamagedError
from worker.store.files import age, made, sha256_of
from worker.store.interface import Made, Store, in_attempt
from worker.store.names import (
    COMPANION,
    ID,
    IDENTITY,
    ORIGINAL,
    checked,
    companions_in,
    interim_name,
    pixels_name,
)
from worker.store.objects import MissingError, Objects

REMAINS = 6 * 3600.0  # s after which a folder of this machine is what a crash has left


class BucketStore(Store):
    """Objects in a bucket, and a folder of this machine to work in.

    Parameters
    ----------
    root : Path
    bucket : Bucket
    cache : int
        Bytes of this machine's disk that copies may take.
    """

    def __init__(self, root: Path, bucket: Bucket, cache: int) -> None:
        super().__init__(root)
        self._bucket = bucket
        self._objects = Objects(bucket)
        self._asking = Objects(bucket, patient=False)
        self._cache = Cache(root / "cache", cache, self._pictures)
        self._objects.prepare()
        self.tidy()

    def folders(self) -> tuple[str, ...]:
        return ("uploads", "attempts", "cache", "renditions", "trash")

    def ping(self) -> None:
        self.discard(self.new_upload())
        self._asking.exists(IDENTITY)

    @property
    def address(self) -> str:
        return str(self._bucket)

    def identity(self) -> str | None:
        try:
            return self._asking.read(IDENTITY).decode().strip()
        except MissingError:
            return None

    def take(self, identity: str) -> str:
        self._asking.put_new(IDENTITY, f"{identity}\n".encode())
        return self.identity() or ""

    def tidy(self) -> None:
        """Remove what crashes have left on this machine, and copies beyond the bound."""
        for kind in ("uploads", "attempts", "trash"):
            for folder in (self.root / kind).iterdir():
                if age(folder) > REMAINS:
                    self.discard(folder)
        self._cache.tidy()

    # --- images ---

    def accept(self, upload: Path, folder: str) -> None:
        where = f"images/{checked(folder)}"
        paths = [upload / ORIGINAL, *companions_in(upload), *sorted(upload.glob("pixels*"))]
        for path in paths:
            self._objects.put(f"{where}/{path.name}", path)
        self.discard(upload)

    def pixels(self, image: ImageRecord, signal: int = 0) -> Path:
        key, digest = f"images/{checked(image.folder)}", image.contents.digests[signal]
        return self._held(key, digest, pixels_name(signal))

    def levels(self, image: ImageRecord, signal: int, reduced: Reduced) -> tuple[Find, Find]:
        key = f"images/{checked(image.folder)}"
        levels, tiles = (path.name for path in beside(Path(pixels_name(signal))))
        return (
            partial(self._held, key, reduced.levels, levels),
            partial(self._held, key, reduced.tiles, tiles),
        )

    def sent_files(self, image: ImageRecord) -> list[Path]:
        where = f"images/{checked(image.folder)}"
        names = self._sent(where)
        folder = self._hold(where, image.sha256, names)
        if not folder.exists():
            raise DamagedError
        return [folder / name for name in names]

    def is_intact(self, image: ImageRecord) -> bool:
        """As it is in the bucket: a copy here is of no use to other machines."""
        where = f"images/{checked(image.folder)}"
        parts = [(image.sha256, self._sent(where))]
        parts += [(sha, [pixels_name(n)]) for n, sha in enumerate(image.contents.digests)]
        try:
            return all(
                self._cache.renew(sha256, names, partial(self._fetch, where))
                for sha256, names in parts
            )
        except MissingError:
            return False

    def _sent(self, where: str) -> list[str]:
        """The names of the files that were sent as an image."""
        came = sorted(each.key for each in self._objects.listed(f"{where}/{COMPANION}-"))
        return [ORIGINAL, *(key.rpartition("/")[2] for key in came)]

    def has_image(self, folder: str) -> bool:
        return self._asking.exists(f"images/{checked(folder)}/")

    def remove_image(self, folder: str) -> None:
        self._remove(f"images/{checked(folder)}/")
        self.discard(self.renditions_of("images", folder))

    # --- jobs ---

    def attempt(self, job_id: str, attempt: int) -> Path:
        return made(self._attempt(job_id, attempt))

    def leave(self, job_id: str, attempt: int) -> None:
        self.discard(self._attempt(job_id, attempt))

    def publish(self, job_id: str, attempt: int, name: str) -> Artifact:
        (kept,) = self.seal(job_id, attempt, [name])
        return kept

    def seal(self, job_id: str, attempt: int, names: Sequence[str]) -> list[Artifact]:
        folder, kept = self._attempt(job_id, attempt), []
        for name in names:
            path = folder / name
            kept.append(Artifact(name, sha256_of(path), path.stat().st_size))
            self._objects.put(f"{in_attempt(job_id, attempt)}/{name}", path)
        for each in kept:  # when all are there: until then it may be tried again
            self._cache.take(each.sha256, folder / each.name)
        return kept

    def artifact(self, job: Made, name: str) -> Path:
        held = job.artifact(name)
        if held is None:
            raise ValueError(f"got a job without {name}")
        return self._held(in_attempt(job.id, job.attempt), held.sha256, name)

    def interim(self, job: JobRecord, n: int, sha256: str) -> Path:
        return self._held(in_attempt(job.id, job.attempt), sha256, interim_name(n))

    def remove_job(self, job_id: str) -> None:
        self._remove(f"jobs/{checked(job_id)}/")
        self.discard(self.renditions_of("jobs", job_id))

    # --- pictures of both ---

    def image_renditions(self, image: ImageRecord) -> Path:
        return made(self.renditions_of("images", image.folder))

    def renditions(self, job_id: str) -> Path:
        return made(self.renditions_of("jobs", job_id))

    def renditions_of(self, kind: str, name: str) -> Path:
        return self.root / "renditions" / f"{kind}-{checked(name)}"

    # --- what is to go ---

    def walk(self, kind: str, at_once: int) -> Iterator[list[str]]:
        if kind == "uploads":
            yield from self._walk_here(kind, at_once)
            return
        names = (name for name in self._objects.folders(f"{kind}/") if ID.fullmatch(name))
        while some := list(islice(names, at_once)):
            yield some

    def remove_stray(self, kind: str, name: str, *, older_than_s: float) -> None:
        if kind == "uploads":
            self._remove_old(self.root / kind / checked(name), older_than_s)
        else:
            self._remove(f"{kind}/{checked(name)}/", older_than_s)

    def remove_replaced(self, job_id: str, current: int, *, older_than_s: float) -> None:
        for number in range(1, current):
            self._remove(f"{in_attempt(job_id, number)}/", older_than_s)

    def _remove(self, prefix: str, older_than_s: float | None = None) -> None:
        """Delete objects, unless one of them was put there lately."""
        found = list(self._objects.listed(prefix))
        newest = max((each.modified for each in found), default=0.0)
        if older_than_s is None or time.time() - newest > older_than_s:
            self._objects.delete(each.key for each in found)

    def _held(self, where: str, sha256: str, name: str) -> Path:
        return self._hold(where, sha256, [name]) / name

    def _hold(self, where: str, sha256: str, names: list[str]) -> Path:
        """The folder of copies of objects; not there if one is missing or not what it was."""
        with suppress(MissingError):
            return self._cache.hold(sha256, names, partial(self._fetch, where))
        return self._cache.place(sha256)

    def _fetch(self, where: str, name: str, path: Path) -> None:
        self._objects.fetch(f"{where}/{name}", path)

    def _attempt(self, job_id: str, attempt: int) -> Path:
        return self.root / "attempts" / f"{checked(job_id)}-{int(attempt)}"

    def _pictures(self) -> list[Path]:
        return list((self.root / "renditions").iterdir())
