"""What expires, and when: inputs, results, records.

The ledger says first that something is gone, then its files go; so a crash in between leaves files
that the next sweep removes, and never a record without its files. No transaction waits for files.
"""

from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, func, insert, or_, select, update

from worker.contract import Topic
from worker.ledger.database import Database
from worker.ledger.images import folder_in
from worker.ledger.jobs import ACTIVE
from worker.ledger.outbox import tell
from worker.ledger.tables import ID_LENGTH, Now, images, jobs, parts, tombstones

AT_ONCE = 100  # objects that one step looks for


class Retention:
    """The expired parts of a ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def expire_images(self, *, unused_s: float) -> int:
        """Mark some images that nobody has used for so long, and that no live job needs."""
        needed = or_(
            jobs.c.state.in_(ACTIVE), jobs.c.expires_at.is_not(None) & jobs.c.purged.is_(False)
        )
        stale = (
            images.c.expired_at.is_(None),
            images.c.used_at + unused_s < Now(),
            ~exists().where(jobs.c.image_id == images.c.id, needed),
        )
        found = self._ids(images.c.id, *stale)
        if found:
            with self._database.writing() as connection:
                gone = connection.execute(
                    update(images)
                    .where(images.c.id.in_(found), *stale)
                    .values(expired_at=Now())
                    .returning(images.c.id, images.c.owner, images.c.name)
                ).all()
                for image_id, owner, name in gone:
                    told = {"image_id": image_id, "name": name}
                    tell(connection, owner, Topic.IMAGE_EXPIRED, image_id, told)
        return len(found)

    def purge_images(self, remove: Callable[[str], object]) -> int:
        """Give up the files of some expired images; `remove` is told the folder of each.

        The same file, sent again at this moment, is put into a folder of its own.
        """
        found = self._ids(images.c.id, *GONE)
        for image_id in found:
            with self._database.writing() as connection:
                info = connection.execute(
                    update(images)
                    .where(images.c.id == image_id, *GONE)
                    .values(purged=True, stored=0)
                    .returning(images.c.info)
                ).scalar_one_or_none()
            if info is not None:
                remove(folder_in(info, image_id))
        return len(found)

    def expired_results(self, *, remains_s: float) -> list[str]:
        """Ended jobs whose files are to go: results expired, remains of others after a while."""
        until = func.coalesce(jobs.c.expires_at, jobs.c.finished_at + remains_s)
        ended = (jobs.c.state.not_in(ACTIVE), jobs.c.purged.is_(False))
        return self._ids(jobs.c.id, *ended, until < Now())

    def mark_purged(self, job_id: str) -> None:
        """Note that a job's files are gone; its record stays."""
        with self._database.writing() as connection:
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(purged=True))

    def expire_jobs(self, *, after_s: float) -> int:
        """Forget some jobs that ended so long ago."""
        old = (jobs.c.purged, jobs.c.finished_at + after_s < Now())
        found = self._ids(jobs.c.id, *old)
        for job_id in found:
            self._bury(jobs, job_id, *old)
        return len(found)

    def expire_free_images(self) -> int:
        """Forget some images that have expired and are no job's any more."""
        free = (
            images.c.expired_at.is_not(None),
            images.c.purged,
            ~exists().where(jobs.c.image_id == images.c.id),
        )
        found = self._ids(images.c.id, *free)
        for image_id in found:
            self._bury(images, image_id, *free)
        return len(found)

    def forget_expired(self, *, after_s: float) -> int:
        """Forget also that some objects were ever here."""
        long_gone = tombstones.c.expired_at + after_s < Now()
        found = self._ids(tombstones.c.id, long_gone)
        if found:
            with self._database.writing() as connection:
                connection.execute(delete(tombstones).where(tombstones.c.id.in_(found), long_gone))
        return len(found)

    def images_with_files(self, folders: Collection[str]) -> set[str]:
        """Which of these are folders of images whose files are to stay."""
        ids = {folder[:ID_LENGTH] for folder in folders}
        here = (images.c.id.in_(ids), images.c.purged.is_(False))
        with self._database.reading() as connection:
            rows = connection.execute(select(images.c.id, images.c.info).where(*here))
            return {folder_in(row.info, row.id) for row in rows}.intersection(folders)

    def attempts_with_files(self, ids: Collection[str]) -> dict[str, int]:
        """Which of these are jobs or parts whose files are to stay, and their current attempts."""
        of_jobs = select(jobs.c.id, jobs.c.attempt).where(
            jobs.c.id.in_(ids), jobs.c.purged.is_(False)
        )
        of_parts = select(parts.c.id, parts.c.attempt).where(parts.c.id.in_(ids))
        with self._database.reading() as connection:
            rows = [*connection.execute(of_jobs), *connection.execute(of_parts)]
            return {row.id: row.attempt for row in rows}

    def _bury(self, table: Any, id_: str, *still: ColumnElement[bool]) -> None:
        with self._database.writing() as connection:
            gone = connection.execute(
                delete(table).where(table.c.id == id_, *still).returning(table.c.owner)
            ).scalar_one_or_none()
            if gone is not None:
                connection.execute(insert(tombstones).values(id=id_, owner=gone, expired_at=Now()))

    def _ids(self, column: Any, *where: ColumnElement[bool]) -> list[str]:
        with self._database.reading() as connection:
            return list(connection.execute(select(column).where(*where).limit(AT_ONCE)).scalars())


GONE = (images.c.expired_at.is_not(None), images.c.purged.is_(False))
