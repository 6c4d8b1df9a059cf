"""What one caller may take: places in the queue, space on the disk."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from anyio import CancelScope
from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import SQLAlchemyError

from app.api.services import Services
from app.http.problems import Limit, Problem
from worker.contract import Room
from worker.ledger.reservations import LEASE, QuotaError, Reservation
from worker.settings import MIB

FORM_LINES = MIB  # of a multipart body, beside its file


def room(services: Services) -> Room:
    """How many jobs may be queued."""
    return Room(services.settings.max_queued_per_owner, services.settings.max_queued)


def check_size(services: Services, request: Request) -> int:
    """Refuse a body that says that it is too large; how large it says it is."""
    declared = request.headers.get("content-length", "")
    size = int(declared) if re.fullmatch("[0-9]{1,20}", declared) else 0
    if size > services.settings.max_upload + FORM_LINES:
        raise too_large(size, services.settings.max_upload)
    return size


def is_repetition(services: Services, owner: str, key: str | None) -> bool:
    """Whether a submission's key was used before: it takes no more than that has taken."""
    return key is not None and services.jobs.has_key(owner, key)


def check_space(services: Services, owner: str, more: int) -> None:
    """Refuse what would fill the disk or the owner's share of it."""
    check_free(services, more)
    quota = services.settings.owner_quota
    if quota is None:
        return
    renditions = services.store.size_of_renditions(*services.jobs.of_owner(owner))
    used = services.jobs.used(owner) + renditions + more
    if used > quota:
        raise _quota_exceeded(owner, used, quota)


def check_space_for(services: Services, owner: str, key: str | None) -> None:
    """The same before a submission with this key, unless it repeats another."""
    try:
        check_space(services, owner, 0)
    except Problem:
        if not is_repetition(services, owner, key):
            raise


def _quota_exceeded(owner: str, used: int, quota: int) -> Problem:
    return Problem(
        507,
        "quota_exceeded",
        f"the files of {owner} would take {used} bytes, at most {quota} are "
        "allowed (owner_quota): delete jobs and images that are no longer needed",
        limit=Limit(name="owner_quota", value=quota, got=used),
    )


class Space:
    """Disk space that an upload has been promised, and more as it turns out to need it.

    It is promised before the body is read, in the ledger, so that uploads that come at the same
    time, to one API process or to several, cannot exceed the owner's quota together.
    """

    def __init__(self, services: Services, owner: str, upload: str) -> None:
        quota = services.settings.owner_quota
        self._services, self._owner = services, owner
        self._reservation = (
            None if quota is None else Reservation(services.database, upload, owner, quota)
        )
        self._promised = 0

    def promise(self, size: int) -> None:
        """Have so many bytes in all; 507 when there is no room for them."""
        check_free(self._services, size)
        if self._reservation is None:
            return
        owned = self._services.jobs.of_owner(self._owner)
        renditions = self._services.store.size_of_renditions(*owned)
        try:
            self._reservation.claim(size, renditions)
        except QuotaError as error:
            raise _quota_exceeded(self._owner, error.would_be, error.quota) from None
        self._promised = size

    def promise_to(self, size: int, key: str | None) -> None:
        """Have so many bytes for a submission with this key, unless it repeats another."""
        try:
            self.promise(size)
        except Problem:
            if not is_repetition(self._services, self._owner, key):
                raise
            self._reservation = None

    def grow(self, size: int) -> None:
        """Have more where a body turns out to be longer than it said, or than it did not say."""
        check_free(self._services)
        if self._reservation is None or size <= self._promised:
            return
        try:
            self.promise(2 * size)  # seldom, as each promise is a write
        except Problem:
            self.promise(size)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keep what was promised while the block lasts."""
        renewing = asyncio.create_task(self._renew())
        try:
            yield
        finally:
            renewing.cancel()
            if self._reservation is not None:
                with CancelScope(shield=True), suppress(SQLAlchemyError):  # else it lapses
                    await run_in_threadpool(self._reservation.end)

    async def _renew(self) -> None:
        while self._reservation is not None:
            await asyncio.sleep(LEASE / 4)
            with suppress(SQLAlchemyError):
                await run_in_threadpool(self._reservation.renew)


def check_free(services: Services, more: int = 0) -> None:
    """Refuse what would fill the disk."""
    least, free = services.settings.min_free, services.store.free() - more
    if free < least:
        raise Problem(
            507,
            "insufficient_storage",
            f"this would leave {max(free, 0)} bytes free on the server's disk, at least {least} "
            "must stay free (min_free)",
            limit=Limit(name="min_free", value=least, got=free),
        )


def too_large(size: int, limit: int) -> Problem:
    """413 for a file of so many bytes, or more."""
    return Problem(
        413,
        "too_large",
        f"got {size} bytes or more, at most {limit} are accepted in one upload (max_upload)",
        limit=Limit(name="max_upload", value=limit, got=size),
    )
