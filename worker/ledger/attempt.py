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


# What is so of a job's row while an attempt is the one that counts; `Attempt.ids` are the values.
FENCE = (
    jobs.c.id == bindparam("its_id"),
    jobs.c.attempt == bindparam("its_number"),
    jobs.c.state == State.RUNNING,
    jobs.c.worker == bindparam("its_worker"),
)
# The part that a worker is doing, of any job and of this one.
DONE_BY = (parts.c.worker == bindparam("its_worker"), parts.c.state == PartState.RUNNING)
_DONE_OF_JOB = (parts.c.job_id == bindparam("its_id"), *DONE_BY)
_UNCLAIMED = (
    jobs.c.id == bindparam("its_id"),
    jobs.c.attempt == bindparam("its_number"),
    jobs.c.state == State.QUEUED,
)

# Made once: making a statement takes longer than executing it.
_CLAIMING = (
    update(jobs)
    .where(*_UNCLAIMED)
    .values(
        state=State.RUNNING,
        stage=Stage.LOADING,
        started_at=Now(),
        lease_until=Now() + bindparam("lease_s"),
        stacks_done=0,
        stacks=None,
    )
)
_GOING_ON = update(jobs).where(*FENCE)
_ENDING = _GOING_ON.values(stage=None, finished_at=Now())
_SUCCEEDING = _ENDING.values(state=State.SUCCEEDED, expires_at=Now() + bindparam("expires_in_s"))
_HANDING_BACK = _GOING_ON.values(BACK_TO_QUEUE)
_RENEWING = _GOING_ON.values(lease_until=Now() + bindparam("lease_s"))
_RENEWING_PART = update(parts).where(*_DONE_OF_JOB).values(lease_until=Now() + bindparam("lease_s"))
_OPENING = update(parts).where(*DONE_BY).values(OPEN_AGAIN)
_OPENING_OF_JOB = update(parts).where(*_DONE_OF_JOB).values(OPEN_AGAIN)
_KEEPING = insert(artifacts)


@dataclass(frozen=True)
class Attempt:
    """The n-th attempt at a job, by one worker."""

    database: Database
    job_id: str
    number: int
    worker: str

    @property
    def ids(self) -> dict[str, Any]:
        """The values of `FENCE`."""
        return {"its_id": self.job_id, "its_number": self.number, "its_worker": self.worker}

    def claim(self, lease_s: float) -> JobRecord | None:
        """Take the job if it is still queued for this attempt; None if somebody else has it."""
        taken = {"worker": self.worker, "lease_s": lease_s}
        with self.database.fenced() as connection:
            if not connection.execute(_CLAIMING, self.ids | taken).rowcount:
                return None
            # A worker does one thing at a time. A part that it was doing when the ledger went away
            # is not done by anybody, and this attempt's signs of life would keep it for good.
            connection.execute(_OPENING, {"its_worker": self.worker})
            self._tell(
                connection,
                (EventType.STARTED, {}),
                (EventType.STAGE, {"stage": Stage.LOADING}),
            )
        return Jobs(self.database).get(self.job_id)

    def renew(self, lease_s: float) -> bool:
        """Renew the lease. False when the attempt is over and its process must end."""
        with self.database.noting() as connection:
            return (
                self._renewed(connection, lease_s)
                or self._is_unclaimed(connection)
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
            found = connection.execute(select(jobs.c.id).where(*FENCE), self.ids)
            return found.scalar_one_or_none() is not None

    def finish_requested(self) -> bool:
        """Whether the client wants no further stack."""
        query = select(jobs.c.finish_requested).where(*FENCE)
        with self.database.reading() as connection:
            return bool(connection.execute(query, self.ids).scalar_one_or_none())

    def commit(self, made: Sequence[Artifact], *, expires_in_s: float) -> bool:
        """The job has succeeded with these artifacts: all become visible at once, or none."""
        rows = [
            {"job_id": self.job_id, "name": a.name, "sha256": a.sha256, "size": a.size}
            for a in made
        ]
        with self.database.fenced() as connection:
            kept = self.ids | {"expires_in_s": expires_in_s}
            if not connection.execute(_SUCCEEDING, kept).rowcount:
                return False
            connection.execute(_KEEPING, rows)
            self._tell(connection, (EventType.SUCCEEDED, {}))
            reached("job.committing")
        return True

    def fail(self, failure: Failure) -> bool:
        """The job has failed, for good."""
        values = {
            "state": State.FAILED,
            "failure_code": failure.code,
            "failure_detail": failure.detail,
        }
        data = {"code": failure.code, "detail": failure.detail}
        with self.database.fenced() as connection:
            if not connection.execute(_ENDING, self.ids | values).rowcount:
                return False
            self._tell(connection, (EventType.FAILED, data))
        return True

    def hand_back(self, reason: str = "the worker was stopped") -> bool:
        """Return the job to the queue, for another attempt, without counting this one as lost."""
        with self.database.fenced() as connection:
            if not connection.execute(_HANDING_BACK, self.ids).rowcount:
                return False
            self._tell(connection, (EventType.QUEUED, {"reason": reason}))
            open_parts(connection, self.job_id, self.worker)
        return True

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
        """Note how far the job is."""
        # Every write is a sign of life, and never an empty UPDATE.
        changes = {"worker": self.worker} | dict(values)
        with self.database.fenced() as connection:
            if not connection.execute(_GOING_ON, self.ids | changes).rowcount:
                return False
            self._tell(connection, *told)
        return True

    def _tell(self, connection: Connection, *told: tuple[EventType, Mapping[str, Any]]) -> None:
        for type_, data in told:
            write_event(connection, self.job_id, self.number, type_, data)

    def _renewed(self, connection: Connection, lease_s: float) -> bool:
        """Renew the lease, and that of the part that is being done, unless the attempt is over."""
        renewed = self.ids | {"lease_s": lease_s}
        if not connection.execute(_RENEWING, renewed).rowcount:
            return False
        connection.execute(_RENEWING_PART, renewed)
        return True

    def _is_unclaimed(self, connection: Connection) -> bool:
        """Whether this attempt's process has yet to claim the job."""
        query = select(jobs.c.id).where(*_UNCLAIMED)
        return connection.execute(query, self.ids).scalar_one_or_none() is not None


def open_parts(connection: Connection, job_id: str, worker: str) -> None:
    """Open the part again that a job's own worker was doing: its attempt is over."""
    connection.execute(_OPENING_OF_JOB, {"its_id": job_id, "its_worker": worker})
