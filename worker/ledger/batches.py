"""Batches: the jobs of one owner that share a name."""

from dataclasses import dataclass

from sqlalchemy import case, func, select, update

from worker.contract import EventType, State
from worker.ledger.database import Database
from worker.ledger.jobs import ACTIVE, write_event
from worker.ledger.refusals import NotFoundError
from worker.ledger.tables import Now, jobs


@dataclass(frozen=True)
class BatchRecord:
    """Where the jobs of a batch stand. Times are seconds since the epoch.

    Parameters
    ----------
    owner, name : str
    counts : dict of State to int
        Of those states alone in which there are jobs.
    created_at : float
        When the first job was accepted.
    finished_at : float or None
        When the last one ended; None while any has not.
    latest : int
        Serial of the job accepted last.
    done : float
        Jobs that have ended, and of running ones the parts that are done.
    """

    owner: str
    name: str
    counts: dict[State, int]
    created_at: float
    finished_at: float | None
    latest: int
    done: float

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def no_batch(name: str) -> NotFoundError:
    """What is said where no job is of a batch."""
    return NotFoundError(f"no job is of the batch {name!r}")


class Batches:
    """All batches of a ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str, *, owner: str) -> BatchRecord:
        """An owner's batch of this name.

        Raises
        ------
        NotFoundError
            When none of the owner's jobs is of it.
        """
        found = self._some([name], owner)
        if not found:
            raise no_batch(name)
        return found[0]

    def page(self, *, owner: str, before: int | None = None, limit: int = 50) -> list[BatchRecord]:
        """An owner's batches, that with the newest job first.

        `before` is the `latest` of the last batch already seen.
        """
        latest = func.max(jobs.c.serial)
        query = (
            select(jobs.c.batch)
            .where(jobs.c.owner == owner, jobs.c.batch.is_not(None))
            .group_by(jobs.c.batch)
            .order_by(latest.desc())
            .limit(limit)
        )
        if before is not None:
            query = query.having(latest < before)
        with self._database.reading() as connection:
            names = list(connection.execute(query).scalars())
        return self._some(names, owner)

    def cancel(self, name: str, *, owner: str) -> list[str]:
        """End all jobs of a batch that wait or run, at once; their ids."""
        with self._database.writing() as connection:
            changed = connection.execute(
                update(jobs)
                .where(jobs.c.owner == owner, jobs.c.batch == name, jobs.c.state.in_(ACTIVE))
                .values(state=State.CANCELED, stage=None, finished_at=Now())
                .returning(jobs.c.id, jobs.c.attempt)
            ).all()
            for row in changed:
                write_event(connection, row.id, row.attempt, EventType.CANCELED)
        return [row.id for row in changed]

    def _some(self, names: list[str], owner: str) -> list[BatchRecord]:
        parts = case((jobs.c.stacks > 0, 1.0 * jobs.c.stacks_done / jobs.c.stacks), else_=0.0)
        ended = jobs.c.state.not_in(ACTIVE)
        query = (
            select(
                jobs.c.batch,
                jobs.c.state,
                func.count().label("number"),
                func.min(jobs.c.created_at).label("created_at"),
                func.max(jobs.c.finished_at).label("finished_at"),
                func.max(jobs.c.serial).label("latest"),
                func.sum(
                    case((ended, 1.0), (jobs.c.state == State.RUNNING, parts), else_=0.0)
                ).label("done"),
            )
            .where(jobs.c.owner == owner, jobs.c.batch.in_(names))
            .group_by(jobs.c.batch, jobs.c.state)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        found = []
        for name in names:
            of_it = [row for row in rows if row.batch == name]
            if not of_it:
                continue
            counts = {State(row.state): int(row.number) for row in of_it}
            active = any(state in counts for state in ACTIVE)
            found.append(
                BatchRecord(
                    owner,
                    name,
                    counts,
                    min(row.created_at for row in of_it),
                    None if active else max(row.finished_at for row in of_it),
                    max(row.latest for row in of_it),
                    float(sum(row.done for row in of_it)),
                )
            )
        return sorted(found, key=lambda batch: -batch.latest)
