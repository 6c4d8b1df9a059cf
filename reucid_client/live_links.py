"""Two ways to a live session: its WebSocket, or plain requests where websockets is not installed.

A link lasts as long as one connection. It sends rows, and tells its owner what the server answers
and shows; what to do when it breaks is the owner's say.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Callable, Protocol, Union

import httpx

from reucid_client.exchange import Request
from reucid_client.live_messages import LiveResult, Rows, newest, put_rows
from reucid_client.retrying import BrokenError

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

WAIT = 20.0  # s that a request for the newest result waits
LARGEST_WORD = 2**20  # bytes of a message beside pixels
PASSING = ("live_unavailable", "rate_limited", "session_full")  # codes of problems with rows

Word = Mapping[str, Any]  # what the server says in JSON
Take = Callable[[Union[Word, LiveResult]], None]
NOTHING_NEW: Word = {"type": "standing"}


class Link(Protocol):
    """One connection to a session; all methods raise `BrokenError` when it breaks."""

    async def send(self, rows: Rows) -> None:
        """Send rows; they are answered in the order in which they were sent."""

    async def subscribe(self, after: int) -> None:
        """Ask for results, first for those that are held after a number."""

    async def receive(self) -> None:
        """Take what the server says, up to the end of the connection."""


@asynccontextmanager
async def by_websocket(
    http: httpx.AsyncClient, session_id: str, pixels: int, take: Take
) -> AsyncIterator[Link]:
    """A link by WebSocket; raises ImportError when websockets is not installed.

    Parameters
    ----------
    http : httpx.AsyncClient
        Whose address and key are used.
    session_id : str
    pixels : int
        Of a frame.
    take : callable
        Is told what the server answers and shows.
    """
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidHandshake, InvalidStatus

    url = http.base_url.join(f"v1/sessions/{session_id}/stream")
    url = url.copy_with(scheme={"http": "ws", "https": "wss"}[url.scheme])
    key = {name: http.headers[name] for name in ("Authorization",) if name in http.headers}
    try:
        socket = await connect(
            str(url),
            additional_headers=key,
            compression=None,
            max_size=4 * pixels + LARGEST_WORD,
        )
    except InvalidStatus as refused:
        said = refused.response
        again = said.headers.get("Retry-After")
        headers = {} if again is None else {"Retry-After": again}
        answer = httpx.Response(said.status_code, headers=headers, content=bytes(said.body or b""))
        raise BrokenError(refused, answer) from refused
    except (OSError, InvalidHandshake, asyncio.TimeoutError) as error:
        raise BrokenError(error) from error
    try:
        yield _Stream(socket, take)
    finally:
        await socket.close()


class _Stream:
    """A WebSocket."""

    def __init__(self, socket: ClientConnection, take: Take) -> None:
        self._socket, self._take = socket, take

    async def send(self, rows: Rows) -> None:
        await self._send(rows.to_bytes())

    async def subscribe(self, after: int) -> None:
        await self._send(json.dumps({"type": "subscribe", "after": after}))

    async def receive(self) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            async for data in self._socket:
                told = LiveResult.of_message(data) if isinstance(data, bytes) else json.loads(data)
                self._take(told)
        except ConnectionClosed as closed:
            raise BrokenError(closed) from closed

    async def _send(self, what: str | bytes) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            await self._socket.send(what)
        except ConnectionClosed as closed:
            raise BrokenError(closed) from closed


@asynccontextmanager
async def by_requests(http: httpx.AsyncClient, session_id: str, take: Take) -> AsyncIterator[Link]:
    """A link that is none: each block of rows and each result is a request of its own."""
    yield _Requests(http, session_id, take)


class _Requests:
    """Requests to the same session."""

    def __init__(self, http: httpx.AsyncClient, session_id: str, take: Take) -> None:
        self._http, self._session_id, self._take = http, session_id, take
        self._subscribed = asyncio.Event()
        self._after = 0

    async def send(self, rows: Rows) -> None:
        answer = await self._ask(put_rows(self._session_id, rows))
        word = _word_of(answer)
        if answer.is_success:
            self._take({"type": "received", "frame": rows.frame, **word})
        elif _is_of_rows(answer, word):
            self._take({**word, "type": "problem", "frame": rows.frame})
        else:
            raise BrokenError(
                word.get("detail", f"the server answered {answer.status_code}"), answer
            )

    async def subscribe(self, after: int) -> None:
        self._after = after
        self._subscribed.set()

    async def receive(self) -> None:
        await self._subscribed.wait()
        while True:
            answer = await self._ask(newest(self._session_id, self._after, WAIT))
            if not answer.is_success:
                raise BrokenError(f"the server answered {answer.status_code}", answer)
            if answer.status_code == 200:
                result = LiveResult.of_answer(answer)
                self._after = result.sequence
                self._take(result)
            else:
                self._take(NOTHING_NEW)

    async def _ask(self, request: Request) -> httpx.Response:
        try:
            with ExitStack() as files:
                options = request.options(files)
                return await self._http.request(request.method, request.path, **options)
        except httpx.TransportError as error:
            raise BrokenError(error) from error


def _word_of(answer: httpx.Response) -> Word:
    """What an answer says; raises `BrokenError` where that is not the server's own word."""
    try:
        word = answer.json()
    except ValueError:  # a proxy's page
        word = None
    if isinstance(word, dict):
        return word
    refusal = None if answer.is_success else answer
    raise BrokenError(f"the answer {answer.status_code} is not the server's", refusal)


def _is_of_rows(answer: httpx.Response, problem: Word) -> bool:
    """Whether a problem is one of the rows that were sent, and not of the server or session."""
    code = problem.get("code")
    return code in PASSING or (answer.status_code < 500 and code not in (None, "session_closed"))
