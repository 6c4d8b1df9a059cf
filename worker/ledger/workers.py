"""Which workers are alive."""

from sqlalchemy import delete, func, insert, select, update

from worker.ledger.database import Database
from worker.ledger.tables import Now, workers
from worker.settings import DAY


class Workers:
    """All workers that a ledger has heard of."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(self, worker: str) -> None:
        """Note that a worker is alive; forget those silent for a day."""
        with self._database.writing(durable=False) as connection:
            seen = connection.execute(
                update(workers).where(workers.c.name == worker).values(seen_at=Now())
            )
            if not seen.rowcount:
                connection.execute(insert(workers).values(name=worker, seen_at=Now()))
                connection.execute(delete(workers).where(workers.c.seen_at < Now() - DAY))

    def leave(self, worker: str) -> None:
        """Note that a worker has stopped."""
        with self._database.writing() as connection:
            connection.execute(delete(workers).where(workers.c.name == worker))

    def alive(self, *, within_s: float) -> int:
        """Number of workers heard of within so many seconds."""
        with self._database.reading() as connection:
            return connection.execute(
                select(func.count()).where(
                    workers.c.seen_at >= Now() - within_s,
                    workers.c.seen_at <= Now() + within_s,  # else the clock was set back since
                )
            ).scalar_one()
