"""What the ledger refuses, and why."""

from datetime import UTC, datetime

from sqlalchemy import Connection, select

from worker.ledger.tables import tombstones


class LedgerError(Exception):
    """Base of what the ledger refuses.

    ::

        LedgerError
        |-- NotFoundError              no such object, or another owner's
        |-- ExpiredError               the object was here, and its time is up
        |-- ConflictError              the object is in use
        |-- QueueFullError             as many jobs wait as may
        |-- TooManyLabelsError         a job has as many labels as it may
        |-- SessionsFullError          as many live sessions are open as may
        `-- IdempotencyMismatchError   the key was used for something else
    """


class NotFoundError(LedgerError):
    """No such object, or another owner's."""


class ExpiredError(LedgerError):
    """The object was here, and its time is up."""

    def __init__(self, what: str, at: float) -> None:
        super().__init__(f"{what} expired at {datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}")


class ConflictError(LedgerError):
    """The object is in use."""


class QueueFullError(LedgerError):
    """As many jobs wait as may."""

    def __init__(self, limit: str, value: int, got: int, whose: str) -> None:
        super().__init__(f"got {got} queued jobs of {whose}, at most {value} may wait ({limit})")
        self.limit, self.value, self.got = limit, value, got


class TooManyLabelsError(LedgerError):
    """A job has as many labels as it may."""

    def __init__(self, got: int, value: int) -> None:
        super().__init__(f"got {got} labels, a job has at most {value}")
        self.got, self.value = got, value


class SessionsFullError(LedgerError):
    """As many live sessions are open as may, or they take as much memory."""

    def __init__(self, limit: str, value: int, got: int) -> None:
        super().__init__(
            f"this would be {got}, at most {value} are allowed ({limit}): close a session first"
        )
        self.limit, self.value, self.got = limit, value, got


class IdempotencyMismatchError(LedgerError):
    """The idempotency key was used for something else."""


def missing(connection: Connection, kind: str, id_: str, owner: str | None) -> LedgerError:
    """Why there is no such object: there never was, it is another's, or it has expired."""
    query = select(tombstones.c.expired_at).where(tombstones.c.id == id_)
    if owner is not None:
        query = query.where(tombstones.c.owner == owner)
    at = connection.execute(query).scalar_one_or_none()
    return NotFoundError(f"no {kind} {id_}") if at is None else ExpiredError(f"{kind} {id_}", at)
