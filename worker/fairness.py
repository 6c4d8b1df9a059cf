"""The order in which queued jobs are run: interactive before batch, owners in turn.

A job's turn is fixed when it is submitted: one round after its owner's last active job, but no
round that is past. Numbering each owner's queued jobs when they are read would not do: whoever has
the oldest jobs is number one again after every start, and the others starve.
"""

from typing import Any

from sqlalchemy import Connection, Select, case, func, select

from worker.contract import JobRequest, Priority, State
from worker.tables import jobs

ORDER = (
    case((jobs.c.dispatched_at.is_(None), 1), else_=0),  # in the queue already: not overtaken
    jobs.c.dispatched_at,
    case((jobs.c.priority == Priority.INTERACTIVE, 0), else_=1),
    jobs.c.turn,
    jobs.c.serial,
)


def in_fair_order() -> Select[Any]:
    """Queued jobs with their position, from 1."""
    position = func.row_number().over(order_by=ORDER).label("position")
    return select(jobs, position).where(jobs.c.state == State.QUEUED)


def next_turn(connection: Connection, request: JobRequest) -> int:
    """The turn of a job that is about to be entered."""
    queued, running = jobs.c.state == State.QUEUED, jobs.c.state == State.RUNNING
    first_queued, last_running, own_last = connection.execute(
        select(
            func.min(jobs.c.turn).filter(queued),
            func.max(jobs.c.turn).filter(running),
            func.max(jobs.c.turn).filter(jobs.c.owner == request.owner),
        ).where(jobs.c.priority == request.priority, queued | running)
    ).one()
    now = min((turn for turn in (first_queued, last_running) if turn is not None), default=0)
    return int(now if own_last is None else max(now, own_last + 1))
