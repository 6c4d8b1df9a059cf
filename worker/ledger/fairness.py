"""The order in which queued jobs are run: interactive before batch, owners in turn.

A job's turn is fixed when it is submitted: one round after its owner's last active job, but no
round that is past. Numbering each owner's queued jobs when they are read would not do: whoever has
the oldest jobs is number one again after every start, and the others starve.
"""

from typing import Any

from sqlalchemy import Connection, Select, bindparam, case, func, select, tuple_

from worker.contract import JobRequest, Priority, State
from worker.ledger.tables import jobs

ORDER = (
    case((jobs.c.dispatched_at.is_(None), 1), else_=0),  # in the queue already: not overtaken
    func.coalesce(jobs.c.dispatched_at, 0.0),
    case((jobs.c.priority == Priority.INTERACTIVE, 0), else_=1),
    jobs.c.turn,
    jobs.c.serial,
)
PARTS = [f"part{n}" for n in range(len(ORDER))]

# Made once: making a statement takes longer than executing it.
_QUEUED = jobs.c.state == State.QUEUED
_PLACE = select(*ORDER).where(jobs.c.id == bindparam("id"), _QUEUED)
_BEFORE = select(func.count()).where(_QUEUED, tuple_(*ORDER) < tuple_(*map(bindparam, PARTS)))


def in_fair_order(*columns: Any) -> Select[Any]:
    """Queued jobs, the next one first."""
    return select(*columns).where(_QUEUED).order_by(*ORDER)


def position(connection: Connection, job_id: str) -> int | None:
    """How many queued jobs are before this one; None if it is not queued.

    Counted, not sorted: clients ask for it all the time, and thousands may be waiting.
    """
    place = connection.execute(_PLACE, {"id": job_id}).one_or_none()
    if place is None:
        return None
    return connection.execute(_BEFORE, dict(zip(PARTS, place, strict=True))).scalar_one()


def next_turn(connection: Connection, request: JobRequest) -> int:
    """The turn of a job that is about to be entered."""
    queued, running = jobs.c.state == State.QUEUED, jobs.c.state == State.RUNNING
    own = jobs.c.owner == request.owner

    def first(order: Any, *where: Any) -> list[int]:
        """One turn at most, found by the index however many jobs are queued."""
        one = select(jobs.c.turn).where(jobs.c.priority == request.priority, *where)
        return list(connection.execute(one.order_by(order).limit(1)).scalars())

    latest = jobs.c.turn.desc()
    now = min(first(jobs.c.turn, queued) + first(latest, running), default=0)
    own_last = max(first(latest, queued, own) + first(latest, running, own), default=None)
    return now if own_last is None else max(now, own_last + 1)
