"""What the dispatcher asks of the ledger: which job is next, whose lease has run out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row, bindparam, select, update

from worker.contract import EventType, Failure, State
from worker.ledger.attempt import BACK_TO_QUEUE, open_parts
from worker.ledger.database import Database
from worker.ledger.fairness import next_ones
from worker.ledger.jobs import batched, write_event
from worker.ledger.tables import Now, jobs

WORKER_LOST = "worker_lost"


@dataclass(frozen=True)
class Waiting:
    """A queued job and how often it was handed to the queue."""

    job_id: str
    attempt: int
    dispatch: int
    dispatched_ago: float | None  # s; None if it was not, in this attempt
    request_id: str | None = None

    @property
    def queue_id(self) -> str:
        """Its id in the queue; RQ allows letters, digits, underscores and dashes only."""
        return f"{self.job_id}-{self.attempt}-{self.dispatch}"


class Backlog:
    """The queued jobs of a ledger, and the abandoned ones."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def waiting(self, limit: int) -> list[Waiting]:
        """The next jobs in fair order, whether dispatched already or not."""
        ago = (Now() - jobs.c.dispatched_at).label("ago")
        columns = (jobs.c.id, jobs.c.attempt, jobs.c.dispatch, jobs.c.request_id, ago)
        with self._database.reading() as connection:
            rows = next_ones(connection, limit, *columns)
        return [Waiting(row.id, row.attempt, row.dispatch, row.ago, row.request_id) for row in rows]

    def dispatch(self, waiting: Sequence[Waiting]) -> list[Waiting]:
        """Count up the dispatches of jobs before they go into the queue, of those still there."""
        counted: dict[str, int] = {}
        with self._database.writing(durable=False) as connection:  # a lost count is counted anew
            for some in batched(waiting):
                by_id = {"ids": [job.job_id for job in some]}
                # By their ids alone: SQLite would rather look through all that are queued.
                rows = connection.execute(_AS_THEY_ARE, by_id).all()
                now_are = {row.id: (row.state, row.attempt, row.dispatch) for row in rows}
                still = [job.job_id for job in some if now_are.get(job.job_id) == _as_seen(job)]
                if still:  # at one moment: which of them was first is told by their places
                    connection.execute(_DISPATCHING, {"ids": still, "now": rows[0].now})
                counted |= {job_id: now_are[job_id][-1] + 1 for job_id in still}
        return [
            replace(job, dispatch=counted[job.job_id], dispatched_ago=0.0)
            for job in waiting
            if job.job_id in counted
        ]

    def shorten(self, lease_s: float) -> int:
        """Cut leases that reach further than any can, as they do when the clock was set back."""
        too_far = (jobs.c.state == State.RUNNING, jobs.c.lease_until > Now() + 2 * lease_s)
        with self._database.reading() as connection:
            found = connection.execute(select(jobs.c.id).where(*too_far)).scalars().all()
        if found:
            with self._database.writing() as connection:
                connection.execute(
                    update(jobs)
                    .where(jobs.c.id.in_(found), *too_far)
                    .values(lease_until=Now() + lease_s)
                )
        return len(found)

    def recover(self, max_lost: int) -> list[str]:
        """Take jobs from workers that stopped renewing their lease; the ids of those changed."""
        overdue = (jobs.c.state == State.RUNNING, jobs.c.lease_until < Now())
        with self._database.reading() as connection:
            found = connection.execute(select(jobs).where(*overdue)).all()
        return [row.id for row in found if self._lose(row, max_lost, overdue)]

    def lose(self, job_id: str, worker: str, max_lost: int) -> bool:
        """Take a job from a worker whose process has died, without waiting for the lease."""
        mine = (jobs.c.state == State.RUNNING, jobs.c.worker == worker)
        with self._database.reading() as connection:
            row = connection.execute(select(jobs).where(jobs.c.id == job_id, *mine)).one_or_none()
        return row is not None and self._lose(row, max_lost, mine)

    def _lose(self, row: Row[Any], max_lost: int, still: tuple[Any, ...]) -> bool:
        """Give a lost job another attempt, or fail it when it has had enough."""
        lost = row.lost + 1
        failure = Failure(
            WORKER_LOST, f"the worker died in {lost} attempts, at most {max_lost} are made"
        )
        if lost < max_lost:
            values = BACK_TO_QUEUE | {"lost": lost}
            event, attempt, data = EventType.QUEUED, row.attempt + 1, {"reason": WORKER_LOST}
        else:
            values = {
                "state": State.FAILED,
                "stage": None,
                "lost": lost,
                "finished_at": Now(),
                "failure_code": failure.code,
                "failure_detail": failure.detail,
            }
            event, attempt = EventType.FAILED, row.attempt
            data = {"code": failure.code, "detail": failure.detail}
        where = (jobs.c.id == row.id, jobs.c.attempt == row.attempt, *still)
        with self._database.writing() as connection:
            if not connection.execute(update(jobs).where(*where).values(values)).rowcount:
                return False
            write_event(connection, row.id, attempt, event, data)
            if row.worker is not None:
                open_parts(connection, row.id, row.worker)
        return True


# Made once: making a statement takes longer than executing it.
_OF_THESE = jobs.c.id.in_(bindparam("ids", expanding=True))
_AS_THEY_ARE = select(
    jobs.c.id, jobs.c.state, jobs.c.attempt, jobs.c.dispatch, Now().label("now")
).where(_OF_THESE)
_DISPATCHING = (
    update(jobs)
    .where(_OF_THESE)
    .values(dispatch=jobs.c.dispatch + 1, dispatched_at=bindparam("now"))
)


def _as_seen(job: Waiting) -> tuple[State, int, int]:
    return State.QUEUED, job.attempt, job.dispatch
