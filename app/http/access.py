"""Every request and WebSocket in the figures and the log: never with its query or a key."""

import os
import time
from typing import Any

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

QUIET = ("/livez", "/readyz", "/metrics")

log = structlog.get_logger()

registry = CollectorRegistry()
ProcessCollector(registry=registry)
PlatformCollector(registry=registry)
requests = Histogram(
    "reucid_http_request_seconds",
    "From a request to the head of its answer.",
    ["process", "method", "route", "status"],
    registry=registry,
)
websockets_open = Gauge(
    "reucid_websockets_open",
    "WebSockets that are open.",
    ["process", "route"],
    registry=registry,
)
websocket_messages = Counter(
    "reucid_websocket_messages",
    "Messages on WebSockets, in from clients and out to them.",
    ["process", "route", "way"],
    registry=registry,
)
websocket_seconds = Histogram(
    "reucid_websocket_seconds",
    "How long WebSockets were open, by the code with which they were closed.",
    ["process", "route", "code"],
    buckets=[1, 10, 60, 600, 3600, 6 * 3600, 24 * 3600],
    registry=registry,
)


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request."""
    requests.labels(str(os.getpid()), method, route, str(status)).observe(seconds)


class AccessMiddleware:
    """Counts and logs; requests that only look, and succeed, at debug level."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await _Conversation(self._app, scope, receive, send).follow()
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status, seconds = 500, None

        async def send_and_see(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                status, seconds = message["status"], time.perf_counter() - started
            await send(message)

        scope.setdefault("state", {})
        try:
            await self._app(scope, receive, send_and_see)
        finally:
            if seconds is None:
                seconds = time.perf_counter() - started
            self._note(scope, status, seconds)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        count_request(scope["method"], _route(scope), status, seconds)
        looks = scope["method"] == "GET" and status < 400
        write = log.debug if looks or scope["path"].endswith(QUIET) else log.info
        write(
            "request",
            method=scope["method"],
            path=scope["path"],
            status=status,
            seconds=round(seconds, 4),
            **_about(scope),
        )


class _Conversation:
    """A WebSocket from its handshake to its end; a handshake is a request that is answered 101."""

    def __init__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        self._app, self._scope, self._hear, self._say = app, scope, receive, send
        self._started = time.perf_counter()
        self._accepted: float | None = None
        self._status = 500  # of the handshake, if nothing answers it
        self._code = 1006  # of the end, if nobody says one (RFC 6455, section 7.1.5)
        self._messages = {"in": 0, "out": 0}

    async def follow(self) -> None:
        """Let the application have the conversation."""
        self._scope.setdefault("state", {})
        try:
            await self._app(self._scope, self._receive, self._send)
        finally:
            if self._accepted is None:
                seconds = time.perf_counter() - self._started
                count_request("GET", _route(self._scope), self._status, seconds)
                self._log("websocket_refused", status=self._status)
            else:
                self._end(time.perf_counter() - self._accepted)

    async def _receive(self) -> Message:
        message = await self._hear()
        if message["type"] == "websocket.receive":
            self._count("in")
        elif message["type"] == "websocket.disconnect":
            self._code = message.get("code") or self._code
        return message

    async def _send(self, message: Message) -> None:
        await self._say(message)
        kind = message["type"]
        if kind == "websocket.send":
            self._count("out")
        elif kind == "websocket.http.response.start":
            self._status = message["status"]
        elif kind == "websocket.close" and self._accepted is None:
            self._status = 403  # what servers make of it
        elif kind == "websocket.close":
            self._code = message.get("code", 1000)
        elif kind == "websocket.accept":
            self._accepted = time.perf_counter()
            count_request("GET", _route(self._scope), 101, self._accepted - self._started)
            websockets_open.labels(*_here(self._scope)).inc()
            self._log("websocket_opened")

    def _count(self, way: str) -> None:
        self._messages[way] += 1
        websocket_messages.labels(*_here(self._scope), way).inc()

    def _end(self, seconds: float) -> None:
        websockets_open.labels(*_here(self._scope)).dec()
        websocket_seconds.labels(*_here(self._scope), str(self._code)).observe(seconds)
        counts = {f"messages_{way}": number for way, number in self._messages.items()}
        self._log("websocket_closed", code=self._code, seconds=round(seconds, 2), **counts)

    def _log(self, event: str, **more: Any) -> None:
        log.info(event, path=self._scope["path"], **more, **_about(self._scope))


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", None) or "(none)"


def _here(scope: Scope) -> tuple[str, str]:
    return str(os.getpid()), _route(scope)


def _about(scope: Scope) -> dict[str, Any]:
    """What the path names, and who asked."""
    caller = scope["state"].get("caller")
    who = {"owner": caller.owner, "by_key": caller.key_id} if caller else {}
    named: dict[str, Any] = scope.get("path_params", {})
    return named | who
