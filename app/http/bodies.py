"""Bodies on their way in: how long a client may take, and how much is kept in memory.

Only the time in which the server waits for the client counts, not that in which it is busy itself.
"""

import asyncio
import re
import time

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.settings import MIB, Settings

STREAMED = ("/images", "/jobs", "/batches")  # where the route reads the body, and limits it
FRAME = re.compile(r".*/sessions/[^/]+/frames/[^/]+")  # so does this one
LARGEST = MIB  # bytes of any other body


def is_streamed(path: str) -> bool:
    """Whether the route of a path reads the body itself."""
    return path.endswith(STREAMED) or FRAME.fullmatch(path) is not None


class BodyMiddleware:
    """Ends the reading of a body that comes too slowly, or is too large to be kept."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._patience = settings.client_timeout_s
        self._rate = settings.min_rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        largest = None if is_streamed(scope["path"]) else LARGEST
        body = _Body(receive, self._patience, self._rate, largest)

        async def send_and_see(message: Message) -> None:
            body.answered = True
            await send(message)

        await self._app(scope, body.receive, send_and_see)


class _Body:
    """One body: what has come of it, and how long it was waited for."""

    def __init__(self, receive: Receive, patience: float, rate: float, largest: int | None) -> None:
        self.answered = False
        self._receive = receive
        self._patience, self._rate, self._largest = patience, rate, largest
        self._got = 0  # bytes
        self._waited = 0.0  # s
        self._is_over = False

    async def receive(self) -> Message:
        """The next part; 408 when the client has had its time."""
        if self._is_over or self.answered:
            return await self._receive()
        begun = time.monotonic()
        try:
            async with asyncio.timeout(self._patience + self._got / self._rate - self._waited):
                message = await self._receive()
        except TimeoutError:
            if self.answered:  # this was only waiting for the client to hang up
                return await self._receive()
            self._waited += time.monotonic() - begun
            raise self._too_slow() from None
        self._waited += time.monotonic() - begun
        self._got += len(message.get("body", b""))
        self._is_over = not message.get("more_body", False)
        if self._largest is not None and self._got > self._largest:
            raise HTTPException(413, f"got a body of more than {self._largest} bytes")
        return message

    def _too_slow(self) -> HTTPException:
        return HTTPException(
            408,
            f"got {self._got} bytes of the body in {self._waited:.0f} s, expected the rest sooner: "
            f"{self._patience:g} s are given (client_timeout_s), and one more for every "
            f"{self._rate:g} bytes (min_rate)",
            headers={"Connection": "close"},
        )
