"""How long a client may let the server wait, below the application.

uvicorn limits one time only, that between two requests of a connection. A head that never ends, a
body that goes on after its answer and an answer that nobody reads would hold a connection for ever.
The time for the body that a request reads is `app.http.bodies`.
"""

import socket
from asyncio import TimerHandle
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.http.problems import Problem
from worker.settings import Settings

LARGEST_HEAD = 64 * 1024  # bytes of a request line and its headers
GRACE = 5  # s an open request has to end when the process is told to


class PatientProtocol(HttpToolsProtocol):
    """One connection, whose client is given some time for everything that it owes."""

    patience = 30.0  # s

    _reading: TimerHandle | None = None
    _writing: TimerHandle | None = None
    _in_head = True  # or between two requests
    _head = 0  # bytes
    _begun = False  # something of the head has come

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_reading_timer()
        self._stop_writing_timer()
        super().connection_lost(exc)

    # --- what is to be received ---

    def data_received(self, data: bytes) -> None:
        self._head += len(data)
        super().data_received(data)
        if self._in_head and self._head > LARGEST_HEAD and not self.transport.is_closing():
            self._refuse(
                431,
                "too_large",
                f"got {self._head} bytes of headers, at most {LARGEST_HEAD} are read",
            )

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()
        self._begun = True

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._in_head = False
        self._stop_reading_timer()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head, self._begun, self._head = True, False, 0
        self._stop_reading_timer()
        # None before an upgrade to a WebSocket, which another protocol looks after from here on.
        if self.cycle is not None and self.cycle.response_complete:  # nobody looks after it
            self._await_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._await_reader()
        elif self.cycle.response_complete and self.cycle.more_body:
            self._expect_within_patience(self._close)  # the rest of a body that nobody wants

    def timeout_keep_alive_handler(self) -> None:
        self._close()

    def _await_head(self) -> None:
        self._in_head, self._begun = True, False
        self._expect_within_patience(self._head_is_late)

    def _head_is_late(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._expect_within_patience(self._head_is_late)  # the request before is being answered
        elif self._begun:
            self._refuse(
                408,
                "request_timeout",
                f"got {self._head} bytes of headers in {self.patience:g} s, expected all of them "
                "(client_timeout_s)",
            )
        else:
            self._close()

    # --- what is to be sent ---

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_writing_timer()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "bad_request", msg)

    def _refuse(self, status: int, code: str, detail: str) -> None:
        """Answer without the application, and hang up."""
        answer = Problem(status, code, detail, headers={"Connection": "close"}).response()
        head = [b"HTTP/1.1 %d \r\n" % status]
        head += [b"%s: %s\r\n" % header for header in answer.raw_headers]
        self.transport.write(b"".join([*head, b"\r\n", answer.body]))
        self._close()

    def _close(self) -> None:
        """Hang up when all that was written has been read, or when the client's time is up."""
        self.transport.close()
        self._await_reader()

    def _await_reader(self) -> None:
        if self._writing is None:
            self._writing = self.loop.call_later(self.patience, self.transport.abort)

    # --- the time for it ---

    def _expect_within_patience(self, otherwise: Any) -> None:
        self._stop_reading_timer()
        self._reading = self.loop.call_later(self.patience, otherwise)

    def _stop_reading_timer(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _stop_writing_timer(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None


def configured(app: Any, settings: Settings, **more: Any) -> uvicorn.Config:
    """Uvicorn as this server needs it."""
    protocol = type("Protocol", (PatientProtocol,), {"patience": settings.client_timeout_s})
    return uvicorn.Config(
        app,
        http=protocol,
        log_config=None,
        access_log=False,  # ours has no queries
        server_header=False,
        forwarded_allow_ips=settings.trusted_proxies,
        **{"timeout_graceful_shutdown": GRACE} | more,
    )


class DrainingServer(uvicorn.Server):
    """A server that, told to end, first has those let go who only wait for something to happen."""

    def __init__(self, config: uvicorn.Config, let_go: Callable[[], None]) -> None:
        super().__init__(config)
        self._let_go = let_go

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._let_go()
        await super().shutdown(sockets)
