"""What a server holds and does, for whoever runs it: by owner, and by worker."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, select

from worker.contract import EventType, PartState, State
from worker.ledger.database import Database
from worker.ledger.tables import Now, artifacts, events, images, jobs, parts, workers


@dataclass
class OwnerShare:
    """What belongs to an owner."""

    owner: str
    images: int = 0
    jobs: dict[str, int] = field(default_factory=dict)  # by state
    stored: int = 0  # bytes of images and results, without renditions
    last_submitted_at: float | None = None


@dataclass(frozen=True)
class WorkerState:
    """A worker that was heard of, and what it does."""

    name: str
    silent_s: float
    job_id: str | None
    running_s: float | None


def shares(database: Database) -> list[OwnerShare]:
    """Of every owner of an image or a job, by name."""
    found: dict[str, OwnerShare] = {}

    def of(owner: str) -> OwnerShare:
        return found.setdefault(owner, OwnerShare(owner))

    with database.reading() as connection:
        for owner, number, stored in _images(connection):
            of(owner).images, of(owner).stored = number, int(stored or 0)
        for owner, state, number, latest in _jobs(connection):
            share = of(owner)
            share.jobs[state] = number
            share.last_submitted_at = max(latest, share.last_submitted_at or latest)
        for owner, stored in (*_results(connection), *_interims(connection)):
            of(owner).stored += int(stored or 0)
    return sorted(found.values(), key=lambda share: share.owner)


def states(database: Database) -> list[WorkerState]:
    """Of every worker heard of within a day."""
    query = (
        select(
            workers.c.name,
            Now() - workers.c.seen_at,
            func.coalesce(jobs.c.id, parts.c.job_id),
            Now() - func.coalesce(jobs.c.started_at, parts.c.started_at),
        )
        .outerjoin(jobs, (jobs.c.worker == workers.c.name) & (jobs.c.state == State.RUNNING))
        .outerjoin(parts, (parts.c.worker == workers.c.name) & (parts.c.state == PartState.RUNNING))
        .order_by(workers.c.name)
    )
    with database.reading() as connection:
        return [
            WorkerState(name, max(0.0, silent), job_id, running)
            for name, silent, job_id, running in connection.execute(query)
        ]


def _images(connection: Connection) -> Iterable[Any]:
    return connection.execute(
        select(images.c.owner, func.count(), func.sum(images.c.stored)).group_by(images.c.owner)
    )


def _jobs(connection: Connection) -> Iterable[Any]:
    columns = jobs.c.owner, jobs.c.state
    return connection.execute(
        select(*columns, func.count(), func.max(jobs.c.created_at)).group_by(*columns)
    )


def _results(connection: Connection) -> Iterable[Any]:
    return connection.execute(
        select(jobs.c.owner, func.sum(artifacts.c.size))
        .join(jobs, jobs.c.id == artifacts.c.job_id)
        .where(jobs.c.purged.is_(False))
        .group_by(jobs.c.owner)
    )


def _interims(connection: Connection) -> Iterable[Any]:
    return connection.execute(
        select(jobs.c.owner, func.sum(events.c.data["size"].as_float()))
        .join(jobs, jobs.c.id == events.c.job_id)
        .where(
            jobs.c.purged.is_(False),
            events.c.type == EventType.INTERIM,
            events.c.attempt == jobs.c.attempt,
        )
        .group_by(jobs.c.owner)
    )
