"""What nobody will ask for again goes: step by step, beside the dispatcher.

A walk over a hundred thousand jobs takes a while, and nobody may have to wait for it. So it runs in
a thread of its own, the ledger is asked about many folders at once, a job's folder is looked into
only where there may be something to remove, and between two steps it stands back and can be
stopped. What was begun is never half done: a crash leaves what the next sweep finds.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import Event

import structlog
from sqlalchemy.exc import SQLAlchemyError

from worker.ledger.database import Database
from worker.ledger.parts import Parts
from worker.ledger.retention import AT_ONCE, Retention
from worker.ledger.sessions import Sessions
from worker.ledger.webhooks import KEPT_DAYS, Webhooks
from worker.processes.beside import beside
from worker.settings import DAY, Settings
from worker.store import Store

INTERVAL = 600.0  # s
PAUSE = 0.02  # s between two steps, for everybody else
FOLDERS = 200  # that one step looks at
STRAY_AGE = 6 * 3600.0  # s; more than a clock is likely to jump: an upload may be on its way
PATIENCE = 5.0  # s that a step may still take when it is told to stop

log = structlog.get_logger()

Steps = Iterator[None]


@dataclass(frozen=True)
class Sweeper:
    """Keeps ledger and store free of what has expired, and of what crashes left behind."""

    database: Database
    store: Store
    settings: Settings

    def beside(self) -> AbstractContextManager[None]:
        """Sweep in a thread of its own while the block lasts."""
        return beside(self.run, "sweeper", patience=PATIENCE)

    def run(self, stop: Event) -> None:
        """Sweep again and again until told to stop, whatever happens to ledger and disk."""
        while not stop.is_set():
            self.sweep(stop)
            stop.wait(INTERVAL)

    def sweep(self, stop: Event | None = None) -> None:
        """Remove all that is to go now; what fails is left to the next sweep."""
        stop = stop or Event()
        for clear in (
            self._trash,
            self._parts,
            self._results,
            self._inputs,
            self._records,
            self._folders,
        ):
            try:
                for _ in clear():
                    if stop.wait(PAUSE):
                        return
            except (SQLAlchemyError, OSError) as error:
                log.warning(
                    "sweep_broken_off",
                    part=clear.__name__.strip("_"),
                    error=type(error).__name__,
                    detail=str(error)[:200],
                )

    def _trash(self) -> Steps:
        for folder in self.store.trash():
            self.store.discard(folder)
            yield

    def _parts(self) -> Steps:
        """Of jobs that have ended otherwise than by success, whose worker removes them."""
        parts = Parts(self.database)
        while remains := parts.remains(AT_ONCE):
            for part_id in remains:
                self.store.remove_job(part_id)
                parts.forget(part_id)
                yield

    def _results(self) -> Steps:
        retention, remains_s = Retention(self.database), self.settings.result_days * DAY
        while expired := retention.expired_results(remains_s=remains_s):
            for job_id in expired:
                self.store.remove_job(job_id)
                retention.mark_purged(job_id)
                yield

    def _inputs(self) -> Steps:
        retention, unused_s = Retention(self.database), self.settings.input_days * DAY
        yield from _until_done(lambda: retention.expire_images(unused_s=unused_s))
        yield from _until_done(lambda: retention.purge_images(self.store.remove_image))

    def _records(self) -> Steps:
        retention, settings = Retention(self.database), self.settings
        yield from _until_done(lambda: retention.expire_jobs(after_s=settings.job_days * DAY))
        yield from _until_done(retention.expire_free_images)
        forgotten_s = settings.tombstone_days * DAY
        yield from _until_done(lambda: retention.forget_expired(after_s=forgotten_s))
        sessions, ended_s = Sessions(self.database), settings.job_days * DAY
        yield from _until_done(lambda: sessions.forget(after_s=ended_s, limit=AT_ONCE))
        hooks, told_s = Webhooks(self.database), KEPT_DAYS * DAY
        yield from _until_done(lambda: hooks.forget(after_s=told_s, limit=AT_ONCE))

    def _folders(self) -> Steps:
        """Strays, attempts that others have replaced, renditions nobody has asked for lately."""
        retention, store = Retention(self.database), self.store
        unwanted_s = self.settings.rendition_days * DAY
        for names in store.walk("uploads", FOLDERS):
            self._strays("uploads", set(names))
            yield
        for names in store.walk("images", FOLDERS):
            kept = retention.images_with_files(names)
            self._strays("images", set(names) - kept)
            for name in kept:
                store.remove_renditions("images", name, older_than_s=unwanted_s)
            yield
        for names in store.walk("jobs", FOLDERS):
            attempts = retention.attempts_with_files(names)
            self._strays("jobs", set(names) - attempts.keys())
            for name, attempt in attempts.items():
                store.remove_replaced(name, attempt, older_than_s=STRAY_AGE)
                store.remove_renditions("jobs", name, older_than_s=unwanted_s)
            yield

    def _strays(self, kind: str, names: set[str]) -> None:
        for name in names:
            self.store.remove_stray(kind, name, older_than_s=STRAY_AGE)


def _until_done(some: Callable[[], int]) -> Steps:
    """Do some and again some, until there are fewer than a step can do."""
    while some() >= AT_ONCE:
        yield
    yield
