"""Live sessions: frames in while the microscope scans, the newest result out."""

import contextlib
import time
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response, WebSocket
from fastapi.concurrency import run_in_threadpool

from app.api.auth import ReaderDep, SubmitterDep
from app.api.deps import ServicesDep
from app.api.inflight import IdempotencyKey
from app.api.live.answers import PIXELS, LiveFormat, counted, of_raw, of_result
from app.api.live.ending import account_of, make_job
from app.api.live.frames import captured, put, rows_of, wrong_size
from app.api.live.gate import Admitted, ChangeSessionDep, ReadSessionDep, ended
from app.api.live.schemas import (
    Counts,
    Ending,
    Kept,
    LiveResult,
    LiveResultList,
    Session,
    SessionList,
    SessionSpec,
)
from app.api.live.stream import serve
from app.api.routes.jobs import changed
from app.api.schemas import Job
from app.api.services import Services
from app.api.uploads import media_type, unsupported
from app.http.digests import checked_stream
from app.http.paging import PagingDep
from app.http.problems import Limit, Problem, problems
from app.http.requestid import request_id
from worker.contract import SessionState
from worker.ledger.refusals import NotFoundError
from worker.ledger.sessions import SessionRoom
from worker.live.denoiser import denoiser_of
from worker.live.messages import Message
from worker.live.transport import Block, Standing, Transport, end
from worker.wake import wake

router = APIRouter(prefix="/sessions", tags=["sessions"])

LONGEST_WAIT = 60.0  # s
LARGEST = 2**53 - 1  # number of a frame or a result
CLOSING = 60.0  # s that a job is made in at most; frames are refused meanwhile
OCTETS = ("", "application/octet-stream")
FRAME: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The pixels of the rows, little-endian, row by row.",
        "content": {OCTETS[1]: {"schema": {"type": "string", "format": "binary"}}},
    }
}

Number = Annotated[int, Path(ge=0, le=LARGEST)]
Format = Annotated[
    LiveFormat, Query(description="`raw`: little-endian; shape and type are in headers.")
]


@router.post("", status_code=201, responses=problems(400, 408, 413, 422, 429, 500))
async def create(
    spec: SessionSpec,
    response: Response,
    services: ServicesDep,
    caller: SubmitterDep,
    idempotency_key: IdempotencyKey = None,
) -> Session:
    """Open a live session: frames are denoised as they come, by what all so far have shown.

    It lasts until it is closed, or no frame has come for `live_idle_s`. Its frames are in memory
    alone: what has to outlast the server is made a job by `keep` or `close`. Repeated with its
    Idempotency-Key it is the same one, perhaps ended since.
    """
    settings = services.settings
    pixels = spec.shape[0] * spec.shape[1]
    if pixels > settings.live_max_pixels:
        raise Problem(
            422,
            "too_many_pixels",
            f"got a frame of {spec.shape[0]} x {spec.shape[1]} px, at most "
            f"{settings.live_max_pixels} px are denoised live (live_max_pixels)",
            limit=Limit(name="live_max_pixels", value=settings.live_max_pixels, got=pixels),
        )
    request = spec.request(caller.owner, caller.key_id, request_id())
    denoiser_of(request)  # refuses what does not go together
    room = SessionRoom(
        settings.most_live_sessions, settings.live_sessions_per_key, settings.live_memory
    )
    opened = partial(services.sessions.open, request, room, idempotency_key=idempotency_key)
    record = await run_in_threadpool(opened)
    if record.state is SessionState.OPEN:
        with contextlib.suppress(Problem):  # made when the first frame comes
            await services.live.ask(Transport(services.live.redis, record).create)
    await run_in_threadpool(wake, services.redis, record.id)
    response.headers["Location"] = f"{settings.root_path}/v1/sessions/{record.id}"
    return Session.of(record, None, settings.root_path)


@router.get("", responses=problems(422, 500))
def index(
    paging: PagingDep,
    services: ServicesDep,
    caller: ReaderDep,
    state: SessionState | None = None,
) -> SessionList:
    """The own sessions, newest first, without the counts of open ones."""
    (before,) = paging.after(int) or (None,)
    root = services.settings.root_path
    page, after = paging.cut(
        services.sessions.page(owner=caller.sees, state=state, before=before, limit=paging.wanted),
        lambda found: Session.of(found[1], None, root),
        lambda found: (found[0],),
        root,
    )
    return SessionList(sessions=page, next=after)


@router.get("/{session_id}", responses=problems(404, 422, 500))
async def show(services: ServicesDep, admitted: ReadSessionDep) -> Session:
    """A session, and what came of its frames so far."""
    return await _view(services, admitted)


@router.put(
    "/{session_id}/frames/{frame}",
    status_code=202,
    openapi_extra=FRAME,
    responses=problems(400, 404, 408, 409, 413, 415, 422, 500),
)
async def put_frame(
    request: Request,
    frame: Number,
    services: ServicesDep,
    admitted: ChangeSessionDep,
    reucid_rows: Annotated[
        str | None,
        Header(
            description="`first-last`: the rows that the body has, from 0; all of them without.",
            examples=["0-31"],
        ),
    ] = None,
    reucid_captured_at: Annotated[
        str | None,
        Header(
            description="When the last of them was captured; echoed with the result.",
            examples=["2026-11-26T09:30:00.125Z"],
        ),
    ] = None,
) -> Counts:
    """Hand in a frame, or rows of it as the scan delivers them.

    Frames come in order, rows of a frame in any; the same rows again are ignored and counted. A
    newer frame ends the one before, whole or not.
    """
    sent = media_type(request)
    if sent not in OCTETS:
        raise unsupported(sent, OCTETS[1])
    shape = admitted.session.request.shape
    first, rows = rows_of(shape, reucid_rows)
    at = captured(reucid_captured_at)
    expected = rows * admitted.session.request.row_bytes
    pixels = await _body(request, expected)
    standing, _ = await put(services, admitted, Block(frame, first, rows, pixels, at))
    return Counts.of(standing)


@router.get(
    "/{session_id}/frames/{frame}",
    response_class=Response,
    responses=problems(404, 422, 500, also=PIXELS),
)
async def raw_frame(
    frame: Number,
    services: ServicesDep,
    admitted: ReadSessionDep,
    format: Format = "raw",  # noqa: A002
) -> Response:
    """A frame as it was measured, as long as it is held; 0 in rows that have not come."""
    admitted.check_open()
    pixels = await services.live.ask(admitted.transport.raw, frame)
    if pixels is None:
        raise NotFoundError(f"frame {frame} is not held")
    return await run_in_threadpool(of_raw, admitted.session, pixels, frame, format)


@router.get(
    "/{session_id}/latest",
    response_class=Response,
    responses=problems(
        404, 409, 422, 500, also=PIXELS | {204: {"description": "Nothing newer came"}}
    ),
)
async def latest(
    services: ServicesDep,
    admitted: ReadSessionDep,
    after: Annotated[
        int, Query(ge=0, le=LARGEST, description="Number of the result that is there already.")
    ] = 0,
    wait: Annotated[
        float, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait for a newer one.")
    ] = 0.0,
    format: Format = "raw",  # noqa: A002
) -> Response:
    """The newest result, as far as its frame was scanned; 204 where there is none after `after`."""
    admitted.check_open()
    key_id, session = admitted.caller.key_id, admitted.session
    waiting = services.wakes.waiting
    with waiting.place(key_id) if wait else contextlib.nullcontext():
        end_at = time.monotonic() + wait
        while True:
            news = services.feeds.news(session.id)
            look = await services.feeds.look(admitted.transport)
            if look.standing is not None and look.standing.ended:
                raise ended(session)
            if look.message is not None and look.sequence > after:
                message = Message.from_bytes(look.message)
                return await run_in_threadpool(of_result, session, message, format, look)
            left = end_at - time.monotonic()
            if left <= 0:
                headers = {} if look.standing is None else counted(look.standing)
                return Response(status_code=204, headers=headers)
            await services.feeds.wait(session.id, news, left)
            waiting.check(key_id)


@router.get("/{session_id}/results", responses=problems(404, 409, 422, 500))
async def results(services: ServicesDep, admitted: ReadSessionDep) -> LiveResultList:
    """The results of the last whole frames, oldest first."""
    admitted.check_open()
    held = await services.live.ask(admitted.transport.results)
    return LiveResultList(results=[LiveResult.of(Message.from_bytes(each)) for each in held])


@router.get(
    "/{session_id}/results/{sequence}",
    response_class=Response,
    responses=problems(404, 409, 422, 500, also=PIXELS),
)
async def result(
    sequence: Number,
    services: ServicesDep,
    admitted: ReadSessionDep,
    format: Format = "raw",  # noqa: A002
) -> Response:
    """One of the results that are held."""
    admitted.check_open()
    for each in map(Message.from_bytes, await services.live.ask(admitted.transport.results)):
        if each.sequence == sequence:
            return await run_in_threadpool(of_result, admitted.session, each, format)
    raise NotFoundError(f"result {sequence} is not held")


@router.post(
    "/{session_id}/keep",
    status_code=202,
    responses=problems(400, 404, 408, 409, 413, 422, 500, 507),
)
async def keep(
    kept: Kept,
    response: Response,
    services: ServicesDep,
    admitted: ChangeSessionDep,
    idempotency_key: IdempotencyKey = None,
) -> Job:
    """Make a job of what is held now, and go on (the paper's interim_required)."""
    admitted.check_open()
    async with services.in_flight.taken(admitted.session.request.owner, idempotency_key):
        job = await make_job(services, admitted, kept.keep, idempotency_key)
    services.known_sessions.forget(admitted.session.id)
    response.headers["Location"] = f"{services.settings.root_path}/v1/jobs/{job.id}"
    return await run_in_threadpool(changed, services, job)


@router.post("/{session_id}/close", responses=problems(400, 404, 408, 409, 413, 422, 500, 507))
async def close(ending: Ending, services: ServicesDep, admitted: ChangeSessionDep) -> Session:
    """End a session; what was kept of it becomes a job like any other.

    Repeated, it gives the same answer. When it fails, the session is open as before.
    """
    session, transport = admitted.session, admitted.transport
    if session.state is not SessionState.OPEN:
        if session.reason == "closed":
            return await _view(services, admitted)
        raise ended(session)
    await services.live.ask(transport.hold, CLOSING)
    try:
        if ending.keep is not None:
            await make_job(services, admitted, ending.keep, f"session-{session.id}")
    except BaseException:
        with contextlib.suppress(Problem):
            await services.live.ask(transport.hold, 0.0)
        raise
    await _end(services, admitted, "closed")
    record = await run_in_threadpool(services.sessions.get, session.id)
    return Session.of(record, None, services.settings.root_path)


@router.delete("/{session_id}", status_code=204, responses=problems(404, 422, 500))
async def delete(services: ServicesDep, admitted: ChangeSessionDep) -> None:
    """End a session, if it is open, and forget it; jobs that were made of it stay."""
    with contextlib.suppress(Problem):  # what is left in the queue is removed by the dispatcher
        await _end(services, admitted, "deleted")
    await run_in_threadpool(services.sessions.delete, admitted.session.id)
    services.known_sessions.forget(admitted.session.id)


@router.websocket("/{session_id}/stream")
async def stream(websocket: WebSocket, session_id: str) -> None:
    """Frames in and results out, as docs/live.md has it."""
    await serve(websocket, websocket.app.state.services, session_id)


async def _end(services: Services, admitted: Admitted, reason: str) -> None:
    session = admitted.session
    standing: Standing | None = None
    with contextlib.suppress(Problem):
        standing = await services.live.ask(admitted.transport.standing)
    account = account_of(session, standing)
    await run_in_threadpool(services.sessions.end, session.id, SessionState.CLOSED, reason, account)
    services.known_sessions.forget(session.id)
    await services.live.ask(end, services.live.redis, session.id)


async def _view(services: Services, admitted: Admitted) -> Session:
    record = await run_in_threadpool(services.sessions.get, admitted.session.id)
    standing: Standing | None = None
    if record.state is SessionState.OPEN:
        with contextlib.suppress(Problem):
            standing = await services.live.ask(admitted.transport.standing)
    return Session.of(record, standing, services.settings.root_path)


async def _body(request: Request, expected: int) -> bytes:
    """A body of so many bytes; 422 for any other."""
    body = bytearray()
    async for chunk in checked_stream(request):
        body += chunk
        if len(body) > expected:
            break
    if len(body) != expected:
        more = " or more" if len(body) > expected else ""
        raise wrong_size(f"got {len(body)} bytes{more}, expected {expected}")
    return bytes(body)
