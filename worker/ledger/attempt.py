"""One attempt at a job, as the worker that makes it writes it down.

Every write is fenced: it changes the ledger only while the job is running in this very attempt, and
says so. A worker that was given up for dead and comes back changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from worker.contract import Artifact, EventType, Failure, JobRecord, PartState, Stage, State
from worker.faultpoints import reached
from worker.ledger.database import Database
from worker.ledger.jobs import Jobs, write_event
from worker.ledger.tables import Now, artifacts, jobs, parts


@dataclass(frozen=True)
class Attempt:
    """The n-th attempt at a job, by one worker."""

    database: Database
    job_id: str
    number: int
    worker: str

    def claim(self, lease_s: float) -> JobRecord | None:
        """Take the job if it is still queued for this attempt; None if somebody else has it."""
        values = {
            "state": State.RUNNING,
            "stage": Stage.LOADING,
            "worker": self.worker,
            "started_at": Now(),
            "lease_until": Now() + lease_s,
            "stacks_done": 0,
            "stacks": None,
        }
        claimable = (
            jobs.c.id == self.job_id,
            jobs.c.attempt == self.number,
            jobs.c.state == State.QUEUED,
        )
        with self.database.writing() as connection:
            if not connection.execute(update(jobs).where(*claimable).values(values)).rowcount:
                return None
            # A worker does one thing at a time. A part that it was doing when the ledger went away
            # is not done by anybody, and this attempt's signs of life would keep it for good.
            connection.execute(update(parts).where(*done_by(self.worker)).values(OPEN_AGAIN))
            self._event(connection, EventType.STARTED)
            self._event(connection, EventType.STAGE, {"stage": Stage.LOADING})
        return Jobs(self.database).get(self.job_id)

    def renew(self, lease_s: float) -> bool:
        """Renew the lease. False when the attempt is over and its process must end."""
        with self.database.noting() as connection:
            return (
                self._renewed(connection, lease_s)
                or self._unclaimed(connection)
                or self._renewed(connection, lease_s)  # claimed in between
            )

    def enter(self, stage: Stage, warnings: Sequence[str] = ()) -> bool:
        """Note what the attempt is doing now, and tell the client what it should know."""
        told = [(EventType.WARNING, {"message": message}) for message in warnings]
        return self._go_on({"stage": stage}, (EventType.STAGE, {"stage": stage}), *told)

    def stack_done(self, done: int, stacks: int, data: Mapping[str, Any]) -> bool:
        """Note a finished stack and the interim result it left."""
        return self._go_on(
            {"stacks_done": done, "stacks": stacks},
            (EventType.INTERIM, {"n": done, "stacks": stacks} | dict(data)),
        )

    def shown(self, n: int, stacks: int, data: Mapping[str, Any]) -> bool:
        """Note an interim result of a job whose parts count what is done."""
        return self._go_on({}, (EventType.INTERIM, {"n": n, "stacks": stacks} | dict(data)))

    def stands(self) -> bool:
        """Whether this attempt is the one that counts."""
        with self.database.reading() as connection:
            found = connection.execute(select(jobs.c.id).where(*self.fence()))
            return found.scalar_one_or_none() is not None

    def finish_requested(self) -> bool:
        """Whether the client wants no further stack."""
        with self.database.reading() as connection:
            return bool(
                connection.execute(
                    select(jobs.c.finish_requested).where(*self.fence())
                ).scalar_one_or_none()
            )

    def commit(self, made: Sequence[Artifact], *, expires_in_s: float) -> bool:
        """The job has succeeded with these artifacts: all become visible at once, or none."""
        values = {
            "state": State.SUCCEEDED,
            "stage": None,
            "finished_at": Now(),
            "expires_at": Now() + expires_in_s,
        }
        with self.database.writing() as connection:
            if not connection.execute(update(jobs).where(*self.fence()).values(values)).rowcount:
                return False
            rows = [
                {"job_id": self.job_id, "name": a.name, "sha256": a.sha256, "size": a.size}
                for a in made
            ]
            connection.execute(insert(artifacts), rows)
            self._event(connection, EventType.SUCCEEDED)
            reached("job.committing")
        return True

    def fail(self, failure: Failure) -> bool:
        """The job has failed, for good."""
        values = {
            "state": State.FAILED,
            "stage": None,
            "finished_at": Now(),
            "failure_code": failure.code,
            "failure_detail": failure.detail,
        }
        data = {"code": failure.code, "detail": failure.detail}
        with self.database.writing() as connection:
            if not connection.execute(update(jobs).where(*self.fence()).values(values)).rowcount:
                return False
            self._event(connection, EventType.FAILED, data)
        return True

    def hand_back(self, reason: str = "the worker was stopped") -> bool:
        """Return the job to the queue, for another attempt, without counting this one as lost."""
        with self.database.writing() as connection:
            changed = connection.execute(
                update(jobs).where(*self.fence()).values(BACK_TO_QUEUE)
            ).rowcount
            if changed:
                self._event(connection, EventType.QUEUED, {"reason": reason})
                open_parts(connection, self.job_id, self.worker)
        return bool(changed)

    def rehearse(self) -> None:
        """Try every write on a job that does not exist, which changes nothing.

        Its statements are compiled then, in the worker, and need not be in each of its horses.
        """
        self.claim(0.0)
        self.enter(Stage.SAVING)
        self.stack_done(0, 0, {})
        self.finish_requested()
        self.commit([], expires_in_s=0.0)
        self.fail(Failure("", ""))

    def _go_on(self, values: Mapping[str, Any], *told: tuple[EventType, Mapping[str, Any]]) -> bool:
        """Note how far the job is, which lasts at the latest when its end does."""
        fence = {"its_id": self.job_id, "its_number": self.number, "its_worker": self.worker}
        with self.database.writing(durable=False) as connection:
            # Every write is a sign of life, and never an empty UPDATE.
            changes = {"worker": self.worker} | dict(values)
            if not connection.execute(_GOING_ON, fence | changes).rowcount:
                return False
            for event, data in told:
                self._event(connection, event, data)
        return True

    def _event(
        self, connection: Connection, type_: EventType, data: Mapping[str, Any] | None = None
    ) -> None:
        write_event(connection, self.job_id, self.number, type_, data)

    def fence(self) -> tuple[Any, ...]:
        """What is so of the job's row while this attempt is the one that counts."""
        return (
            jobs.c.id == self.job_id,
            jobs.c.attempt == self.number,
            jobs.c.state == State.RUNNING,
            jobs.c.worker == self.worker,
        )

    def _renewed(self, connection: Connection, lease_s: float) -> bool:
        """Renew the lease, and that of the part that is being done, unless the attempt is over."""
        lease_until = Now() + lease_s
        if not connection.execute(
            update(jobs).where(*self.fence()).values(lease_until=lease_until)
        ).rowcount:
            return False
        mine = _done_by(self.job_id, self.worker)
        connection.execute(update(parts).where(*mine).values(lease_until=lease_until))
        return True

    def _unclaimed(self, connection: Connection) -> bool:
        """Whether this attempt's process has yet to claim the job."""
        query = select(jobs.c.id).where(
            jobs.c.id == self.job_id,
            jobs.c.attempt == self.number,
            jobs.c.state == State.QUEUED,
        )
        return connection.execute(query).scalar_one_or_none() is not None


# The same as a statement that is made once: making it takes longer than executing it.
_GOING_ON = update(jobs).where(
    jobs.c.id == bindparam("its_id"),
    jobs.c.attempt == bindparam("its_number"),
    jobs.c.state == State.RUNNING,
    jobs.c.worker == bindparam("its_worker"),
)

BACK_TO_QUEUE: dict[str, Any] = {
    "state": State.QUEUED,
    "stage": None,
    "attempt": jobs.c.attempt + 1,
    "worker": None,
    "lease_until": None,
    "dispatched_at": None,
    "started_at": None,
    "stacks_done": 0,
    "stacks": None,
}

# A part of a job that somebody else may take; see `worker.ledger.parts`.
OPEN_AGAIN: dict[str, Any] = {
    "state": PartState.OPEN,
    "attempt": parts.c.attempt + 1,
    "worker": None,
    "lease_until": None,
    "frames_done": 0,
    "made": [],
    "started_at": None,
    "finished_at": None,
}


def open_parts(connection: Connection, job_id: str, worker: str) -> None:
    """Open the part again that a job's own worker was doing: its attempt is over."""
    connection.execute(update(parts).where(*_done_by(job_id, worker)).values(OPEN_AGAIN))


def done_by(worker: str) -> tuple[Any, ...]:
    """The part that a worker is doing."""
    return parts.c.worker == worker, parts.c.state == PartState.RUNNING


def _done_by(job_id: str, worker: str) -> tuple[Any, ...]:
    return parts.c.job_id == job_id, *done_by(worker)
