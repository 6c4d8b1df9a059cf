"""Disk space that uploads on their way have been promised, so that several at once share a quota.

A reservation lapses a while after its upload was last heard of: whoever dies within one takes
nothing for ever. It ends in the transaction that enters the image, which counts itself from then.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from worker.ledger.database import Database
from worker.ledger.jobs import used
from worker.ledger.tables import Now, reservations

LEASE = 60.0  # s


class QuotaError(Exception):
    """The owner's files, and what is on its way, would exceed the quota."""

    def __init__(self, would_be: int, quota: int) -> None:
        super().__init__(f"would take {would_be} bytes, at most {quota} are allowed")
        self.would_be, self.quota = would_be, quota


@dataclass(frozen=True)
class Reservation:
    """What one upload has been promised.

    Parameters
    ----------
    database : Database
    id : str
    owner : str
    quota : int
        Bytes that the owner's files may take.
    """

    database: Database
    id: str
    owner: str
    quota: int

    def claim(self, size: int, beside: int = 0) -> None:
        """Promise so many bytes in all, more or fewer than before.

        `beside` are bytes that the owner has used and of which the ledger knows nothing.

        Raises
        ------
        QuotaError
            When there is no room for them; what was promised before stays so.
        """
        mine = reservations.c.id == self.id
        row = {"size": size, "until": Now() + LEASE}
        with self.database.writing() as connection:
            connection.execute(delete(reservations).where(reservations.c.until < Now()))
            if not connection.execute(update(reservations).where(mine).values(row)).rowcount:
                row |= {"id": self.id, "owner": self.owner}
                connection.execute(insert(reservations).values(row))
            would_be = used(connection, self.owner) + _promised(connection, self.owner) + beside
            if would_be > self.quota:
                raise QuotaError(would_be, self.quota)

    def renew(self) -> None:
        """Say that the upload is still on its way."""
        with self.database.writing() as connection:
            connection.execute(
                update(reservations).where(reservations.c.id == self.id).values(until=Now() + LEASE)
            )

    def end(self) -> None:
        """Give up what was promised."""
        with self.database.writing() as connection:
            release(connection, self.id)


def release(connection: Connection, reservation: str) -> None:
    """End a reservation in the transaction that makes it needless."""
    connection.execute(delete(reservations).where(reservations.c.id == reservation))


def _promised(connection: Connection, owner: str) -> int:
    promised = select(func.sum(reservations.c.size)).where(reservations.c.owner == owner)
    return int(connection.execute(promised).scalar_one() or 0)
