"""What one caller may take: places in the queue, space on the disk."""

import re

from fastapi import Request

from app.api.services import Services
from app.http.problems import Limit, Problem
from worker.contract import Room
from worker.settings import MIB

FORM_LINES = MIB  # of a multipart body, beside its file


def room(services: Services) -> Room:
    """How many jobs may be queued."""
    return Room(services.settings.max_queued_per_owner, services.settings.max_queued)


def check_upload(services: Services, request: Request, owner: str) -> None:
    """Refuse an upload, before its body is read, that would not be kept."""
    check_space(services, owner, check_size(services, request))


def check_size(services: Services, request: Request) -> int:
    """Refuse a body that says that it is too large; how large it says it is."""
    declared = request.headers.get("content-length", "")
    size = int(declared) if re.fullmatch("[0-9]{1,20}", declared) else 0
    if size > services.settings.max_upload + FORM_LINES:
        raise too_large(size, services.settings.max_upload)
    return size


def check_space(services: Services, owner: str, more: int) -> None:
    """Refuse what would fill the disk or the owner's share of it."""
    check_free(services, more)
    quota = services.settings.owner_quota
    if quota is None:
        return
    renditions = services.store.size_of_renditions(*services.jobs.of_owner(owner))
    used = services.jobs.used(owner) + renditions + more
    if used > quota:
        raise Problem(
            507,
            "quota_exceeded",
            f"the files of {owner} would take {used} bytes, at most {quota} are "
            "allowed (owner_quota): delete jobs and images that are no longer needed",
            limit=Limit(name="owner_quota", value=quota, got=used),
        )


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
