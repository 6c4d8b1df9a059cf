"""The WebSocket of a session: text messages for control, binary ones for pixels, both ways.

A client's rows are answered one by one; results are sent as fast as the client takes them, the
newest each time. docs/live.md has the messages.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from fastapi import WebSocket
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request
from starlette.websockets import WebSocketDisconnect, WebSocketState

from app.api.auth import shown_in
from app.api.deps import checked
from app.api.errors import to_problem
from app.api.live.frames import block_of, put, wrong_size
from app.api.live.gate import Admitted, admit
from app.api.live.schemas import Counts
from app.api.services import Services
from app.http.problems import Problem, invalid_fields
from worker.contract import Mode, Scope
from worker.live.messages import Message, MessageError

NORMAL, GONE, REFUSED, FAULT = 1000, 1006, 1008, 1011  # RFC 6455, section 7.4.1
LOOK_EVERY = 0.5  # s between looks at the key
FULL_WAIT = 0.02  # s before rows are offered again to a lossless session that is full
HELLO = 10.0  # s that a client has to say who it is

log = structlog.get_logger()


class Hello(BaseModel):
    """The first message of a client that shows no key in a header."""

    type: str = Field(pattern="^hello$")
    key: str | None = None


class Control(BaseModel):
    """What else a client may say."""

    type: str = Field(pattern="^(subscribe|unsubscribe|standing)$")
    after: int | None = Field(None, ge=0)


class Over(Exception):  # noqa: N818  (not an error: the stream has its end)
    """The stream ends, with a code and perhaps a last word."""

    def __init__(self, code: int, word: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.code, self.word = code, word


async def serve(websocket: WebSocket, services: Services, session_id: str) -> None:
    """Serve one client until it leaves, its key ends or the session does."""
    try:
        with contextlib.ExitStack() as place:
            await _serve(websocket, services, session_id, place)
    except WebSocketDisconnect:
        return
    except Over as over:
        await _leave(websocket, over)
    except Exception as error:
        problem = to_problem(error)
        code = FAULT if problem.status >= 500 else REFUSED
        if websocket.client_state is WebSocketState.CONNECTING:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await websocket.send_denial_response(problem.response())
        else:
            await _leave(websocket, Over(code, _told(problem)))


async def _serve(
    websocket: WebSocket, services: Services, session_id: str, place: contextlib.ExitStack
) -> None:
    request = _as_request(websocket)
    key = await shown_in(request)
    if key is None:
        first: Any = None
        try:  # the machine itself needs none, where there are no keys
            admitted = await _admit(request, services, session_id, None)
        except Problem as problem:
            if problem.status != 401:
                raise
            await _accept(websocket)
            first = await _hello(websocket)
            admitted = await _admit(request, services, session_id, first.key)
        else:
            await _accept(websocket)
    else:
        admitted = await _admit(request, services, session_id, key)
        await _accept(websocket)
    place.enter_context(services.wakes.waiting.place(admitted.caller.key_id))
    admitted.check_open()
    await _Stream(websocket, services, admitted).run()


class _Stream:
    """One client's stream."""

    def __init__(self, websocket: WebSocket, services: Services, admitted: Admitted) -> None:
        self._websocket, self._services, self._admitted = websocket, services, admitted
        self._sending = asyncio.Lock()
        self._after: int | None = None  # newest result that the client has; None: it wants none
        self._history = False  # what is held of those after it is to come first
        self._subscribed = asyncio.Event()
        self._attempt: int | None = None

    async def run(self) -> None:
        tasks = [
            asyncio.create_task(each()) for each in (self._receive, self._results, self._watch)
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # --- what the client sends ---

    async def _receive(self) -> None:
        await self._say(
            {"type": "hello", "session": self._admitted.session.id} | await self._counts()
        )
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", NORMAL))
            try:
                if message.get("bytes") is not None:
                    await self._take(message["bytes"])
                else:
                    await self._obey(message.get("text") or "")
            except Problem as problem:
                if problem.code in ("session_closed", "unauthorized"):
                    raise
                await self._say(_told(problem))

    async def _take(self, data: bytes) -> None:
        if not self._admitted.caller.may(Scope.SUBMIT):
            raise Problem(403, "missing_scope", "this needs a key with the scope 'submit'")
        try:
            block = block_of(self._admitted, data)
        except MessageError as error:
            raise wrong_size(str(error)) from error
        where = {"frame": block.frame, "first_row": block.first_row, "rows": block.rows}
        try:
            standing, repeated = await self._put(block)
        except Problem as problem:
            if problem.code in ("session_closed", "unauthorized"):
                raise
            await self._say(_told(problem) | where)
            return
        counts = Counts.of(standing).model_dump(mode="json")
        await self._say({"type": "received"} | where | {"again": repeated} | counts)

    async def _put(self, block: Any) -> Any:
        """Hand rows in; while a lossless session is full, the client's next message waits."""
        while True:
            try:
                return await put(self._services, self._admitted, block)
            except Problem as problem:
                is_lossless = self._admitted.session.request.mode is Mode.LOSSLESS
                if not (is_lossless and problem.code == "session_full"):
                    raise
            await asyncio.sleep(FULL_WAIT)

    async def _obey(self, text: str) -> None:
        try:
            control = Control.model_validate_json(text)
        except ValidationError as error:
            raise invalid_fields(error.errors(include_url=False)) from error
        if control.type == "subscribe":
            self._history = control.after is not None
            self._after = control.after or 0
            self._subscribed.set()
        elif control.type == "unsubscribe":
            self._subscribed.clear()
        else:
            await self._say({"type": "standing"} | await self._counts())

    # --- what it gets ---

    async def _results(self) -> None:
        feeds, session_id = self._services.feeds, self._admitted.session.id
        while True:
            await self._subscribed.wait()
            news = feeds.news(session_id)
            try:
                if self._history:
                    await self._send_held()
                look = await feeds.look(self._admitted.transport)
            except Problem as problem:  # Valkey is away
                await self._say(_told(problem))
                await feeds.wait(session_id, news, LOOK_EVERY)
                continue
            if look.standing is not None:
                if look.standing.ended:
                    raise await self._ended()
                if self._attempt not in (None, look.standing.attempt):
                    restarts = look.standing.attempt - 1
                    await self._say({"type": "event", "event": "restarted", "restarts": restarts})
                self._attempt = look.standing.attempt
            if look.message is not None and look.sequence > (self._after or 0):
                self._after = look.sequence
                await self._send(self._websocket.send_bytes, look.message)
            else:
                await feeds.wait(session_id, news, LOOK_EVERY)

    async def _send_held(self) -> None:
        """The results after the one that the client has, as far as they are held."""
        self._history = False
        for data in await self._services.live.ask(self._admitted.transport.results):
            sequence = Message.from_bytes(data).sequence
            if sequence > (self._after or 0):
                self._after = sequence
                await self._send(self._websocket.send_bytes, data)

    async def _watch(self) -> None:
        """Look whether the key is still good, and whether the session is open."""
        key_id, waiting = self._admitted.caller.key_id, self._services.wakes.waiting
        last = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_EVERY)
            waiting.check(key_id)
            if time.monotonic() - last > 2 * LOOK_EVERY:
                last = time.monotonic()
                with contextlib.suppress(Problem):
                    look = await self._services.feeds.look(self._admitted.transport)
                    if look.standing is not None and look.standing.ended:
                        raise await self._ended()

    async def _ended(self) -> Over:
        record = await run_in_threadpool(self._services.sessions.get, self._admitted.session.id)
        return Over(
            NORMAL,
            {
                "type": "ended",
                "state": record.state,
                "reason": record.reason,
                "jobs": list(record.jobs),
            },
        )

    async def _counts(self) -> dict[str, Any]:
        look = await self._services.feeds.look(self._admitted.transport)
        if look.standing is None:
            return {}
        return Counts.of(look.standing, look.age_ms).model_dump(mode="json")

    async def _say(self, word: dict[str, Any]) -> None:
        await self._send(self._websocket.send_text, json.dumps(word))

    async def _send(self, send: Callable[[Any], Awaitable[None]], what: Any) -> None:
        async with self._sending:
            await send(what)


async def _admit(
    request: Request, services: Services, session_id: str, key: str | None
) -> Admitted:
    return await admit(request, services, checked(session_id), key, Scope.READ)


async def _accept(websocket: WebSocket) -> None:
    try:
        await websocket.accept()
    except OSError as gone:  # before it was answered
        raise WebSocketDisconnect(GONE) from gone


async def _hello(websocket: WebSocket) -> Hello:
    try:
        text = await asyncio.wait_for(websocket.receive_text(), HELLO)
        return Hello.model_validate_json(text)
    except (TimeoutError, KeyError, ValidationError) as error:
        raise Problem(
            401,
            "unauthorized",
            'expected the message {"type": "hello", "key": KEY} first, or a key in the header '
            "Authorization or X-API-Key",
        ) from error


def _as_request(websocket: WebSocket) -> Request:
    """As far as it tells who asks: a handshake is a request as any other."""
    scheme = {"ws": "http", "wss": "https"}.get(websocket.scope["scheme"], "http")
    websocket.scope.setdefault("state", {})
    return Request({**websocket.scope, "type": "http", "method": "GET", "scheme": scheme})


def _told(problem: Problem) -> dict[str, Any]:
    """A problem document as a message."""
    body: dict[str, Any] = json.loads(bytes(problem.response().body))
    again = problem.headers.get("Retry-After")
    return {**body, "type": "problem"} | ({"retry_after": int(again)} if again else {})


async def _leave(websocket: WebSocket, over: Over) -> None:
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        if over.word is not None:
            await websocket.send_text(json.dumps(over.word))
        await websocket.close(over.code)
