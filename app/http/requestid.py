"""An id for each request: in its answer's header, in its problem document, in its log lines."""

import re
from collections.abc import Callable
from contextvars import ContextVar
from uuid import uuid4

import structlog
from anyio import BrokenResourceError
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "X-Request-ID"
ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,64}")

_current: ContextVar[str] = ContextVar("request_id", default="")


def request_id() -> str:
    """The id of the request being answered."""
    return _current.get()


def _is_of_a_reader_that_left(error: Exception) -> bool:
    """Whether it is what FastAPI raises when the reader of server-sent events hangs up."""
    return isinstance(error, ExceptionGroup) and error.split(BrokenResourceError)[1] is None


class RequestIdMiddleware:
    """Takes the client's id if it is harmless, else makes one; answers what nobody caught."""

    def __init__(self, app: ASGIApp, answer: Callable[[Exception], ASGIApp]) -> None:
        self._app = app
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        current = given if ACCEPTABLE.fullmatch(given) else uuid4().hex

        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)[HEADER] = current
            await send(message)

        _current.set(current)
        with structlog.contextvars.bound_contextvars(request_id=current):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception as error:
                if started and _is_of_a_reader_that_left(error):
                    return
                if started:
                    raise
                await self._answer(error)(scope, receive, send_with_id)
