"""Which processes work with a ledger, and of which version they are."""

from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update

from worker.ledger.database import Database
from worker.ledger.tables import Now, members
from worker.settings import DAY


@dataclass(frozen=True)
class Member:
    """A process that was heard of lately."""

    name: str  # host and process
    role: str
    version: str


class Members:
    """All processes that a ledger has heard of."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(self, member: Member) -> None:
        """Note that a process is there; forget those silent for a day."""
        here = members.c.name == member.name
        with self._database.writing(durable=False) as connection:
            seen = connection.execute(update(members).where(here).values(seen_at=Now()))
            if not seen.rowcount:
                row = {"name": member.name, "role": member.role, "version": member.version}
                connection.execute(insert(members).values(row | {"seen_at": Now()}))
                connection.execute(delete(members).where(members.c.seen_at < Now() - DAY))

    def leave(self, name: str) -> None:
        """Note that a process has ended."""
        with self._database.writing() as connection:
            connection.execute(delete(members).where(members.c.name == name))

    def alive(self, *, within_s: float) -> list[Member]:
        """The processes heard of within so many seconds."""
        query = (
            select(members.c.name, members.c.role, members.c.version)
            .where(members.c.seen_at.between(Now() - within_s, Now() + within_s))
            .order_by(members.c.role, members.c.name)
        )
        with self._database.reading() as connection:
            return [Member(*row) for row in connection.execute(query)]
