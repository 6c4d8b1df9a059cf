"""Live sessions: who has one open, which worker is bound to it, how it ended.

Their frames and results are in Valkey alone. What is here outlives it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, delete, func, insert, select, update

from worker.contract import Mode, SessionRecord, SessionRequest, SessionState
from worker.ledger.database import Database
from worker.ledger.refusals import (
    IdempotencyMismatchError,
    NotFoundError,
    SessionsFullError,
)
from worker.ledger.tables import Now, sessions

MOST_LOST = 10  # workers whose process has died of a session before it fails
IS_OPEN = sessions.c.state == SessionState.OPEN
FREE: dict[str, Any] = {"worker": None, "lease_until": None, "dispatched_at": None}


@dataclass(frozen=True)
class SessionRoom:
    """How many live sessions may be open, and how many bytes of Valkey they may take."""

    everyone: int
    per_key: int
    memory: int


@dataclass(frozen=True)
class Unbound:
    """An open session that waits for a worker."""

    session_id: str
    attempt: int
    dispatch: int
    dispatched_ago: float | None  # s

    @property
    def queue_id(self) -> str:
        """Its id in the queue."""
        return f"{self.session_id}-{self.attempt}-{self.dispatch}"


class Sessions:
    """All live sessions of a ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(
        self, request: SessionRequest, room: SessionRoom, *, idempotency_key: str | None = None
    ) -> SessionRecord:
        """Open a session; the first one, if its owner used the key for the same before.

        Raises
        ------
        SessionsFullError
            When there is no room for one more.
        IdempotencyMismatchError
            When the key was used for another session.
        """
        session_id = _id_of(request.owner, idempotency_key)
        row: dict[str, Any] = {
            "id": session_id,
            "owner": request.owner,
            "key_id": request.key_id,
            "request": asdict(request),
            "memory": request.memory,
            "state": SessionState.OPEN,
            "created_at": Now(),
            "touched_at": Now(),
            "account": {},
            "jobs": [],
        }
        held = select(func.count(), func.coalesce(func.sum(sessions.c.memory), 0)).where(IS_OPEN)
        same_key = sessions.c.key_id.is_not_distinct_from(request.key_id)
        with self._database.writing() as connection:
            first = connection.execute(select(sessions).where(sessions.c.id == session_id))
            known = first.one_or_none()
            if known is not None:
                return _repeated(_record(known), request)
            everyone, memory = connection.execute(held).one()
            of_key, _ = connection.execute(held.where(same_key)).one()
            for limit, value, got in (
                ("live_sessions", room.everyone, everyone + 1),
                ("live_sessions_per_key", room.per_key, of_key + 1),
                ("live_memory", room.memory, memory + request.memory),
            ):
                if got > value:
                    raise SessionsFullError(limit, value, got)
            connection.execute(insert(sessions).values(row))
        return self.get(session_id)

    def get(self, session_id: str, *, owner: str | None = None) -> SessionRecord:
        """A session, of this owner if one is given."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(sessions).where(sessions.c.id == session_id)
            ).one_or_none()
        if row is None or owner not in (None, row.owner):
            raise NotFoundError(f"no session {session_id}")
        return _record(row)

    def page(
        self,
        *,
        owner: str | None,
        state: SessionState | None = None,
        before: int | None = None,
        limit: int,
    ) -> list[tuple[int, SessionRecord]]:
        """Sessions, newest first, each with the number that a next page begins before."""
        query = select(sessions).order_by(sessions.c.serial.desc()).limit(limit)
        if owner is not None:
            query = query.where(sessions.c.owner == owner)
        if state is not None:
            query = query.where(sessions.c.state == state)
        if before is not None:
            query = query.where(sessions.c.serial < before)
        with self._database.reading() as connection:
            return [(row.serial, _record(row)) for row in connection.execute(query)]

    def open_now(self) -> int:
        """How many are open."""
        with self._database.reading() as connection:
            return connection.execute(select(func.count()).where(IS_OPEN)).scalar_one()

    def note_job(self, session_id: str, job_id: str) -> None:
        """A job was made of its frames."""
        with self._database.writing() as connection:
            made = connection.execute(
                select(sessions.c.jobs).where(sessions.c.id == session_id)
            ).scalar_one_or_none()
            if made is not None and job_id not in made:
                connection.execute(
                    update(sessions).where(sessions.c.id == session_id).values(jobs=[*made, job_id])
                )

    def end(
        self, session_id: str, state: SessionState, reason: str, account: Mapping[str, Any]
    ) -> bool:
        """End an open session; False if it had ended before."""
        values = FREE | {
            "state": state,
            "reason": reason,
            "ended_at": Now(),
            "account": dict(account),
        }
        with self._database.writing() as connection:
            return bool(
                connection.execute(
                    update(sessions).where(sessions.c.id == session_id, IS_OPEN).values(values)
                ).rowcount
            )

    def delete(self, session_id: str) -> None:
        """Forget a session."""
        with self._database.writing() as connection:
            connection.execute(delete(sessions).where(sessions.c.id == session_id))

    def forget(self, *, after_s: float, limit: int) -> int:
        """Forget some sessions that ended so long ago."""
        old = select(sessions.c.id).where(sessions.c.ended_at + after_s < Now()).limit(limit)
        with self._database.reading() as connection:
            found = connection.execute(old).scalars().all()
        if found:
            with self._database.writing() as connection:
                connection.execute(delete(sessions).where(sessions.c.id.in_(found)))
        return len(found)

    # --- for the dispatcher ---

    def unbound(self, limit: int) -> list[Unbound]:
        """Open sessions without a worker, oldest first."""
        ago = (Now() - sessions.c.dispatched_at).label("ago")
        query = (
            select(sessions.c.id, sessions.c.attempt, sessions.c.dispatch, ago)
            .where(IS_OPEN, sessions.c.worker.is_(None))
            .order_by(sessions.c.serial)
            .limit(limit)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [Unbound(row.id, row.attempt, row.dispatch, row.ago) for row in rows]

    def dispatch(self, waiting: Unbound) -> Unbound | None:
        """Count up a session's dispatches, before it goes into the queue; None if it is gone."""
        with self._database.writing() as connection:
            dispatch = connection.execute(
                update(sessions)
                .where(
                    sessions.c.id == waiting.session_id,
                    sessions.c.attempt == waiting.attempt,
                    sessions.c.dispatch == waiting.dispatch,
                    IS_OPEN,
                    sessions.c.worker.is_(None),
                )
                .values(dispatch=sessions.c.dispatch + 1, dispatched_at=Now())
                .returning(sessions.c.dispatch)
            ).scalar_one_or_none()
        if dispatch is None:
            return None
        return Unbound(waiting.session_id, waiting.attempt, dispatch, 0.0)

    def recover(self) -> list[str]:
        """Take sessions from workers that stopped renewing their lease; the ids of those."""
        overdue = (IS_OPEN, sessions.c.lease_until < Now())
        with self._database.reading() as connection:
            found = connection.execute(select(sessions).where(*overdue)).all()
        return [row.id for row in found if _unbind(self._database, row.id, row.worker)]

    def idle(self, after_s: float) -> list[str]:
        """Open sessions that got no frame for so long."""
        query = select(sessions.c.id).where(IS_OPEN, sessions.c.touched_at + after_s < Now())
        with self._database.reading() as connection:
            return list(connection.execute(query).scalars())


@dataclass(frozen=True)
class Binding:
    """The n-th binding of a session to a worker, fenced as an attempt at a job is."""

    database: Database
    session_id: str
    number: int
    worker: str

    def claim(self, lease_s: float) -> SessionRecord | None:
        """Bind the session to this worker; None if another has it, or it has ended."""
        with self.database.writing() as connection:
            claimed = connection.execute(
                update(sessions)
                .where(
                    sessions.c.id == self.session_id,
                    sessions.c.attempt == self.number,
                    sessions.c.worker.is_(None),
                    IS_OPEN,
                )
                .values(worker=self.worker, lease_until=Now() + lease_s)
            ).rowcount
        return Sessions(self.database).get(self.session_id) if claimed else None

    def renew(self, lease_s: float, *, touched_ago: float | None) -> bool:
        """Renew the lease. False when the binding is over and its process must end.

        `touched_ago` is the age of the newest frame in seconds, None when none has come.
        """
        values: dict[str, Any] = {"lease_until": Now() + lease_s}
        if touched_ago is not None:
            values["touched_at"] = Now() - touched_ago
        with self.database.reading() as connection:
            row = connection.execute(
                select(sessions.c.worker).where(
                    sessions.c.id == self.session_id, sessions.c.attempt == self.number, IS_OPEN
                )
            ).one_or_none()
        if row is not None and row.worker is None:
            return True  # its process has yet to claim it
        with self.database.writing() as connection:
            return bool(
                connection.execute(
                    update(sessions)
                    .where(
                        sessions.c.id == self.session_id,
                        sessions.c.attempt == self.number,
                        sessions.c.worker == self.worker,
                        IS_OPEN,
                    )
                    .values(values)
                ).rowcount
            )

    def release(self, *, lost: bool) -> bool:
        """Give the session to whoever is next; `lost`: because this worker's process died."""
        if lost:
            return _lose(self.database, self.session_id, self.worker)
        return _unbind(self.database, self.session_id, self.worker)


def _id_of(owner: str, idempotency_key: str | None) -> str:
    """A new session's id; of one with a key, always the same one, by which it is known again."""
    if idempotency_key is None:
        return uuid4().hex
    return hashlib.sha256(f"{owner}\0{idempotency_key}".encode()).hexdigest()[:32]


def _repeated(known: SessionRecord, request: SessionRequest) -> SessionRecord:
    """The session that a key was used for, if it was for the same."""
    again = replace(request, key_id=known.request.key_id, request_id=known.request.request_id)
    if known.request != again:
        raise IdempotencyMismatchError("the Idempotency-Key was used for another session")
    return known


def _lose(database: Database, session_id: str, worker: str) -> bool:
    """Take a session from a worker whose process died; it fails when that happened too often."""
    with database.reading() as connection:
        attempt = connection.execute(
            select(sessions.c.attempt).where(sessions.c.id == session_id)
        ).scalar_one_or_none()
    if attempt is not None and attempt > MOST_LOST:
        return Sessions(database).end(session_id, SessionState.FAILED, "worker_lost", {})
    return _unbind(database, session_id, worker)


def _unbind(database: Database, session_id: str, worker: str) -> bool:
    with database.writing() as connection:
        return bool(
            connection.execute(
                update(sessions)
                .where(sessions.c.id == session_id, sessions.c.worker == worker, IS_OPEN)
                .values(FREE | {"attempt": sessions.c.attempt + 1})
            ).rowcount
        )


def _record(row: Row[Any]) -> SessionRecord:
    request = dict(row.request)
    size = request["pixel_size"]
    request |= {
        "shape": tuple(request["shape"]),
        "mode": Mode(request["mode"]),
        "pixel_size": None if size is None else tuple(size),
    }
    return SessionRecord(
        id=row.id,
        request=SessionRequest(**request),
        state=SessionState(row.state),
        attempt=row.attempt,
        created_at=row.created_at,
        touched_at=row.touched_at,
        worker=row.worker,
        ended_at=row.ended_at,
        reason=row.reason,
        account=row.account,
        jobs=tuple(row.jobs),
    )
