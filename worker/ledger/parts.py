"""Parts of jobs: frames of one stack that several workers denoise at once.

A job that is spread stays what it is: one attempt of one worker, which does part after part itself
and makes the result of them all. Workers that have nothing else to do help with parts that are
still open. So a job never waits for help, and what a helper leaves undone is done without it. Parts
outlive the attempt of their job: the next one finds what is done.

Each part has its own lease and its own attempts. What is written of one is fenced: it changes the
ledger only while the part is running in this very attempt and the job has not ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from worker.contract import Artifact, PartRecord, PartState, Priority, State, Work
from worker.ledger.attempt import DONE_BY, FENCE, OPEN_AGAIN, Attempt
from worker.ledger.database import Database
from worker.ledger.jobs import ACTIVE
from worker.ledger.tables import Now, jobs, parts

BRIEF = -1  # number of what is no part, but tells how all of its kind are done
MOST_LOST = 2  # helpers that may fail to end a part; then it is left to the job's own worker

_OF_JOB = jobs.c.id == parts.c.job_id
_ALIVE = and_(_OF_JOB, jobs.c.state.in_(ACTIVE))
_IS_OPEN, _IS_RUNNING = parts.c.state == PartState.OPEN, parts.c.state == PartState.RUNNING
_FIRST = parts.alias("first_of_job")
_DIVIDED = select(func.min(_FIRST.c.created_at)).where(_FIRST.c.job_id == parts.c.job_id)
_AGE = (Now() - _DIVIDED.scalar_subquery()).label("age")  # of the job's first division


class Parts:
    """All parts of a ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def spread(
        self,
        attempt: Attempt,
        work: Work,
        ranges: Sequence[tuple[int, int]],
        stacks: int,
        brief: tuple[str, Artifact] | None = None,
    ) -> bool:
        """Divide a running job, unless an earlier attempt did; False when the attempt is over.

        Parts that were done by another brief are of no use, and made anew.

        Parameters
        ----------
        attempt : Attempt
        work : Work
        ranges : sequence of (int, int)
            First frame of each part, and the one after its last.
        stacks : int
            Frames in all.
        brief : (str, Artifact), optional
            A file that tells how the parts are done, and the id under which it is in the store.
        """
        here = parts.c.job_id == attempt.job_id, parts.c.work == work
        stated = [] if brief is None else [_told(brief[1])]
        with self._database.writing() as connection:
            divided = update(jobs).where(*FENCE).values(stacks=stacks)
            if not connection.execute(divided, attempt.ids).rowcount:
                return False
            if brief is not None:
                known = select(parts.c.made).where(*here, parts.c.number == BRIEF)
                is_new = connection.execute(known).scalar_one_or_none() != stated
                # An equal one takes the place of its predecessor, whose file may be damaged.
                outdated = here if is_new else (*here, parts.c.number == BRIEF)
                connection.execute(delete(parts).where(*outdated))
                row = {"id": brief[0], "number": BRIEF, "first": 0, "stop": 0, "made": stated}
                row |= {"state": PartState.DONE, "worker": attempt.worker}
                _enter(connection, attempt, work, row)
            count = select(func.count()).where(*here, parts.c.number != BRIEF)
            if not connection.execute(count).scalar_one():
                for number, (first, stop) in enumerate(ranges):
                    row = {"id": uuid4().hex, "number": number, "first": first, "stop": stop}
                    row |= {"state": PartState.OPEN, "made": []}
                    _enter(connection, attempt, work, row)
            _count(connection, attempt.job_id)
        return True

    def of_job(self, job_id: str, work: Work) -> list[PartRecord]:
        """A job's parts, in the order of their frames."""
        query = (
            select(parts, _AGE)
            .where(parts.c.job_id == job_id, parts.c.work == work, parts.c.number != BRIEF)
            .order_by(parts.c.number)
        )
        with self._database.reading() as connection:
            return [_part(row) for row in connection.execute(query)]

    def brief(self, job_id: str, work: Work) -> PartRecord | None:
        """What tells how a job's parts are done, as if it were one of them."""
        query = select(parts, _AGE).where(
            parts.c.job_id == job_id, parts.c.work == work, parts.c.number == BRIEF
        )
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _part(row)

    def all_of_job(self, job_id: str) -> list[str]:
        """The ids of all parts of a job, and of its briefs."""
        with self._database.reading() as connection:
            found = connection.execute(select(parts.c.id).where(parts.c.job_id == job_id))
            return list(found.scalars())

    def take(self, attempt: Attempt, work: Work, lease_s: float) -> PartRecord | None:
        """The job's own worker takes its next part; None if there is none."""
        alive = exists().where(*FENCE)
        wanted = (parts.c.job_id == attempt.job_id, parts.c.work == work, _IS_OPEN, alive)
        with self._database.writing() as connection:
            found = select(parts.c.id).where(*wanted).order_by(parts.c.number).limit(1)
            part_id = connection.execute(found, attempt.ids).scalar_one_or_none()
            return None if part_id is None else _take(connection, part_id, attempt.worker, lease_s)

    def help(
        self, job_id: str, worker: str, lease_s: float, *, again: bool = False
    ) -> PartRecord | None:
        """A worker without a job of its own takes the next part of a job; None if there is none.

        `again`: it has just done another one, and takes no further if somebody else's job has been
        helped less.
        """
        with self._database.writing() as connection:
            found = list(connection.execute(_in_turn().limit(1)))
            if not found or (again and found[0].job_id != job_id):
                return None
            own = _in_turn().where(parts.c.job_id == job_id).limit(1)
            row = connection.execute(own).one_or_none()
            return None if row is None else _take(connection, row.id, worker, lease_s)

    def any_open(self) -> bool:
        """Whether any part waits for somebody; cheaper to ask than whose turn it is."""
        return self._any(_IS_OPEN)

    def open_to_help(self, limit: int) -> list[PartRecord]:
        """The next parts that workers without a job of their own may do, in fair order."""
        with self._database.reading() as connection:
            return [_part(row) for row in connection.execute(_in_turn().limit(limit))]

    def busy(self) -> int:
        """How many workers have a job or a part."""
        of_jobs = select(jobs.c.worker).where(jobs.c.state == State.RUNNING)
        of_parts = select(parts.c.worker).where(_IS_RUNNING)
        with self._database.reading() as connection:
            workers = of_jobs.union(of_parts).subquery()
            return connection.execute(select(func.count()).select_from(workers)).scalar_one()

    def for_others(self) -> int:
        """How many parts wait for workers without a job of their own, or have one."""
        awaited = and_(_IS_OPEN, parts.c.lost < MOST_LOST, jobs.c.finish_requested.is_(False))
        helped = and_(_IS_RUNNING, parts.c.worker != func.coalesce(jobs.c.worker, ""))
        query = select(func.count()).select_from(parts).join(jobs, _ALIVE)
        with self._database.reading() as connection:
            return connection.execute(query.where(or_(awaited, helped))).scalar_one()

    def again(self, part: PartRecord) -> None:
        """Have a part done once more whose files are not what the ledger vouches for."""
        here = (parts.c.id == part.id, parts.c.attempt == part.attempt)
        with self._database.writing() as connection:
            connection.execute(
                update(parts)
                .where(*here, parts.c.state == PartState.DONE)
                .values(OPEN_AGAIN | {"lost": MOST_LOST})
            )
            _count(connection, part.job_id)

    def shorten(self, lease_s: float) -> int:
        """Cut leases that reach further than any can, as they do when the clock was set back."""
        too_far = (_IS_RUNNING, parts.c.lease_until > Now() + 2 * lease_s)
        if not self._any(*too_far):
            return 0
        with self._database.writing() as connection:
            return connection.execute(
                update(parts).where(*too_far).values(lease_until=Now() + lease_s)
            ).rowcount

    def recover(self) -> int:
        """Open parts again whose worker stopped renewing its lease; how many."""
        overdue = (_IS_RUNNING, parts.c.lease_until < Now())
        if not self._any(*overdue):
            return 0
        with self._database.writing() as connection:
            return _open_again(connection, *overdue, lost=1)

    def remains(self, limit: int) -> list[str]:
        """Parts of jobs that have ended: their files are of no use any more."""
        query = select(parts.c.id).join(jobs, _OF_JOB).where(jobs.c.state.not_in(ACTIVE))
        with self._database.reading() as connection:
            return list(connection.execute(query.limit(limit)).scalars())

    def forget(self, part_id: str) -> None:
        """Forget a part whose files are gone."""
        with self._database.writing() as connection:
            connection.execute(delete(parts).where(parts.c.id == part_id))

    def _any(self, *where: ColumnElement[bool]) -> bool:
        with self._database.reading() as connection:
            return bool(connection.execute(select(exists().where(*where))).scalar_one())


@dataclass(frozen=True)
class Doing:
    """One attempt at a part, as the worker that makes it writes it down."""

    database: Database
    part: PartRecord

    def progress(self, frames_done: int) -> bool:
        """Note how many frames are done. False when the part is somebody else's."""
        return self._write({"frames_done": frames_done})

    def finish_requested(self) -> bool:
        """Whether the client wants no further frame."""
        query = select(jobs.c.finish_requested).where(jobs.c.id == self.part.job_id)
        with self.database.reading() as connection:
            return bool(connection.execute(query).scalar_one_or_none())

    def commit(self, made: Sequence[Artifact], frames_done: int) -> bool:
        """The part is done, with these files; False when it is somebody else's."""
        values = {
            "state": PartState.DONE,
            "frames_done": frames_done,
            "made": [_told(each) for each in made],
            "lease_until": None,
            "finished_at": Now(),
        }
        return self._write(values)

    def leave(self, *, to_job: bool = False) -> bool:
        """Open the part again; `to_job`: only the job's own worker may take it then."""
        return self._write(OPEN_AGAIN | ({"lost": MOST_LOST} if to_job else {}))

    def _write(self, values: dict[str, Any]) -> bool:
        mine = (
            parts.c.id == self.part.id,
            parts.c.attempt == self.part.attempt,
            parts.c.worker == self.part.worker,
            _IS_RUNNING,
            exists().where(_ALIVE),
        )
        with self.database.writing() as connection:
            changed = connection.execute(update(parts).where(*mine).values(values)).rowcount
            if changed:
                _count(connection, self.part.job_id)
        return bool(changed)


@dataclass(frozen=True)
class Help:
    """A worker that helps with a job, as its parent process sees it: it does one part at a time."""

    database: Database
    job_id: str
    worker: str

    def renew(self, lease_s: float) -> bool:
        """Renew the lease of what is being done; False when the job has ended."""
        renewed = update(parts).where(*DONE_BY).values(lease_until=Now() + lease_s)
        with self.database.noting() as connection:
            connection.execute(renewed, {"its_worker": self.worker})
            goes_on = exists().where(jobs.c.id == self.job_id, jobs.c.state.in_(ACTIVE))
            return bool(connection.execute(select(goes_on)).scalar_one())

    def release(self, *, lost: bool) -> bool:
        """Open the part again that its process has not ended."""
        mine = (parts.c.worker == self.worker, _IS_RUNNING)
        with self.database.writing() as connection:
            return bool(_open_again(connection, *mine, lost=int(lost)))


def _in_turn() -> Any:
    """Parts that may be helped with: whose owner, and whose job, is helped least first.

    A part waits for every queued job of its own priority or a higher one.
    """
    waiting = jobs.alias("waiting")
    others, theirs = parts.alias("others"), jobs.alias("theirs")
    running = others.c.state == PartState.RUNNING
    of_job = (
        select(func.count()).where(running, others.c.job_id == parts.c.job_id).scalar_subquery()
    )
    of_owner = (
        select(func.count())
        .select_from(others.join(theirs, theirs.c.id == others.c.job_id))
        .where(running, theirs.c.owner == jobs.c.owner)
        .scalar_subquery()
    )
    goes_first = or_(waiting.c.priority == Priority.INTERACTIVE, jobs.c.priority == Priority.BATCH)
    return (
        select(parts, _AGE)
        .join(jobs, _OF_JOB)
        .where(
            _IS_OPEN,
            parts.c.lost < MOST_LOST,
            jobs.c.state.in_(ACTIVE),
            jobs.c.finish_requested.is_(False),
            ~exists().where(waiting.c.state == State.QUEUED, goes_first),
        )
        .order_by(of_owner, of_job, jobs.c.turn, jobs.c.serial, parts.c.number)
    )


def _enter(connection: Connection, attempt: Attempt, work: Work, row: dict[str, Any]) -> None:
    row = row | {"job_id": attempt.job_id, "work": work, "created_at": Now()}
    connection.execute(insert(parts).values(row))


def _told(made: Artifact) -> dict[str, Any]:
    return {"name": made.name, "sha256": made.sha256, "size": made.size}


def _take(connection: Connection, part_id: str, worker: str, lease_s: float) -> PartRecord:
    connection.execute(
        update(parts)
        .where(parts.c.id == part_id)
        .values(
            state=PartState.RUNNING,
            worker=worker,
            lease_until=Now() + lease_s,
            started_at=Now(),
            frames_done=0,
        )
    )
    return _part(connection.execute(select(parts, _AGE).where(parts.c.id == part_id)).one())


def _open_again(connection: Connection, *where: ColumnElement[bool], lost: int) -> int:
    jobs_of = list(connection.execute(select(parts.c.job_id).where(*where).distinct()).scalars())
    changed = connection.execute(
        update(parts).where(*where).values(OPEN_AGAIN | {"lost": parts.c.lost + lost})
    ).rowcount
    for job_id in jobs_of:
        _count(connection, job_id)
    return changed


def _count(connection: Connection, job_id: str) -> None:
    """Bring a job's progress up to that of its parts."""
    done = (
        select(func.coalesce(func.sum(parts.c.frames_done), 0))
        .where(parts.c.job_id == job_id, parts.c.work == Work.FRAMES)
        .scalar_subquery()
    )
    connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.state == State.RUNNING)
        .values(stacks_done=done)
    )


def _part(row: Row[Any]) -> PartRecord:
    part = PartRecord(
        id=row.id,
        job_id=row.job_id,
        work=Work(row.work),
        number=row.number,
        first=row.first,
        stop=row.stop,
        state=PartState(row.state),
        attempt=row.attempt,
        age=row.age,
        worker=row.worker,
        frames_done=row.frames_done,
        artifacts=tuple(Artifact(**each) for each in row.made),
    )
    if row.finished_at is None or row.started_at is None:
        return part
    return replace(part, seconds=max(0.0, row.finished_at - row.started_at))
