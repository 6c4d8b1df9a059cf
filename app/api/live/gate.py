"""Who may do what with which session, asked of the ledger once a second and not for each frame.

So a key that was revoked, or a session that was closed by another process, is known within a
second; what Valkey says of a session's end is known at once.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from app.api.auth import Caller, check_scope, identify, shown
from app.api.deps import Id
from app.api.services import Services, ServicesDep
from app.http.problems import Problem
from app.http.query import refuse_unknown
from worker.contract import Scope, SessionRecord, SessionState
from worker.ledger.refusals import NotFoundError
from worker.live.transport import Transport


async def _caller(request: Request, services: Services, key: str | None) -> Caller:
    """Whose request it is; 401 when nobody's."""
    if key is None:
        return await run_in_threadpool(identify, request, services, key)
    name = hashlib.sha256(key.encode()).hexdigest()
    known: Caller | None = services.known_callers.get(name)
    if known is None:
        known = await run_in_threadpool(identify, request, services, key)
        services.known_callers.note(name, known)
    request.state.caller = known
    return known


async def _session(services: Services, session_id: str, caller: Caller) -> SessionRecord:
    """A session that the caller sees; raises NotFoundError."""
    record = services.known_sessions.get(session_id)
    if record is None:
        record = services.known_sessions.note(
            session_id, await run_in_threadpool(services.sessions.get, session_id)
        )
    if caller.sees not in (None, record.request.owner):
        raise NotFoundError(f"no session {session_id}")
    return record


@dataclass(frozen=True)
class Admitted:
    """A caller with a session, and its place in Valkey."""

    caller: Caller
    session: SessionRecord
    transport: Transport

    def check_open(self) -> None:
        """409 when the session has ended."""
        if self.session.state is not SessionState.OPEN:
            raise ended(self.session)


def ended(session: SessionRecord) -> Problem:
    """409 for a session that is not open any more."""
    how = f" ({session.reason})" if session.reason else ""
    return Problem(
        409,
        "session_closed",
        f"the session {session.id} takes no frames any more{how}: open a new one",
    )


async def admit(
    request: Request, services: Services, session_id: str, key: str | None, scope: Scope
) -> Admitted:
    """A caller with a scope, and the session that it asks for."""
    caller = await _caller(request, services, key)
    check_scope(caller, scope)
    refuse_unknown(request)
    session = await _session(services, session_id, caller)
    return Admitted(caller, session, Transport(services.live.redis, session))


async def _to_read(
    request: Request,
    session_id: Id,
    services: ServicesDep,
    key: Annotated[str | None, Depends(shown)],
) -> Admitted:
    return await admit(request, services, session_id, key, Scope.READ)


async def _to_change(
    request: Request,
    session_id: Id,
    services: ServicesDep,
    key: Annotated[str | None, Depends(shown)],
) -> Admitted:
    return await admit(request, services, session_id, key, Scope.SUBMIT)


ReadSessionDep = Annotated[Admitted, Depends(_to_read)]
ChangeSessionDep = Annotated[Admitted, Depends(_to_change)]
