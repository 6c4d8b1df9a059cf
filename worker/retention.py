"""What expires, and when: inputs, results, records.

The ledger says first that something is gone, then its files go; so a crash in between leaves files
that the next sweep removes, and never a record without its files.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, func, insert, or_, select, update

from worker.database import reading, writing
from worker.ledger import ACTIVE, Ledger
from worker.tables import Now, images, jobs, tombstones

AT_ONCE = 100  # objects of a kind in one sweep


class Retention:
    """The expired parts of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._engine = ledger.engine

    def expire_images(self, *, unused_s: float) -> None:
        """Mark images that nobody has used for so long, and that no live job needs."""
        needed = or_(
            jobs.c.state.in_(ACTIVE), jobs.c.expires_at.is_not(None) & jobs.c.purged.is_(False)
        )
        stale = (
            images.c.expired_at.is_(None),
            images.c.used_at + unused_s < Now(),
            ~exists().where(jobs.c.image_id == images.c.id, needed),
        )
        for image_id in self._ids(images.c.id, *stale):
            with writing(self._engine) as connection:
                connection.execute(
                    update(images).where(images.c.id == image_id, *stale).values(expired_at=Now())
                )

    def purge_images(self, remove: Callable[[str], None]) -> None:
        """Remove the files of expired images."""
        for image_id in self._ids(images.c.id, *GONE):
            with writing(self._engine) as connection:
                here = (images.c.id == image_id, *GONE)
                # Locked: the same file, sent again at this moment, must not lose its files.
                if connection.execute(select(images.c.id).where(*here).with_for_update()).first():
                    remove(image_id)
                    connection.execute(update(images).where(*here).values(purged=True, stored=0))

    def expired_results(self, *, remains_s: float) -> list[str]:
        """Ended jobs whose files are to go: results expired, remains of others after a while."""
        until = func.coalesce(jobs.c.expires_at, jobs.c.finished_at + remains_s)
        ended = (jobs.c.state.not_in(ACTIVE), jobs.c.purged.is_(False))
        return self._ids(jobs.c.id, *ended, until < Now())

    def mark_purged(self, job_id: str) -> None:
        """Note that a job's files are gone; its record stays."""
        with writing(self._engine) as connection:
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(purged=True))

    def expire_records(self, *, after_s: float) -> None:
        """Forget jobs that ended so long ago, and images that are expired and no job's any more."""
        old = (jobs.c.purged, jobs.c.finished_at + after_s < Now())
        for job_id in self._ids(jobs.c.id, *old):
            self._bury(jobs, job_id, *old)
        free = (
            images.c.expired_at.is_not(None),
            images.c.purged,
            ~exists().where(jobs.c.image_id == images.c.id),
        )
        for image_id in self._ids(images.c.id, *free):
            self._bury(images, image_id, *free)

    def _bury(self, table: Any, id_: str, *still: ColumnElement[bool]) -> None:
        with writing(self._engine) as connection:
            gone = connection.execute(
                delete(table).where(table.c.id == id_, *still).returning(table.c.owner)
            ).scalar_one_or_none()
            if gone is not None:
                connection.execute(insert(tombstones).values(id=id_, owner=gone, expired_at=Now()))

    def _ids(self, column: Any, *where: ColumnElement[bool]) -> list[str]:
        with reading(self._engine) as connection:
            return list(connection.execute(select(column).where(*where).limit(AT_ONCE)).scalars())


GONE = (images.c.expired_at.is_not(None), images.c.purged.is_(False))
