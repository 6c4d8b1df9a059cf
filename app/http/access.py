"""Every request in the figures and in the log: by its path, never with its query or a key."""

import os
import time

import structlog
from prometheus_client import CollectorRegistry, Histogram, PlatformCollector, ProcessCollector
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


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request."""
    requests.labels(str(os.getpid()), method, route, str(status)).observe(seconds)


class AccessMiddleware:
    """Counts and logs; requests that only look, and succeed, at debug level."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
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
        route = getattr(scope.get("route"), "path", None) or "(none)"
        count_request(scope["method"], route, status, seconds)
        looks = scope["method"] == "GET" and status < 400
        caller = scope["state"].get("caller")
        write = log.debug if looks or scope["path"].endswith(QUIET) else log.info
        who = {"owner": caller.owner, "by_key": caller.key_id} if caller else {}
        write(
            "request",
            method=scope["method"],
            path=scope["path"],
            status=status,
            seconds=round(seconds, 4),
            **scope.get("path_params", {}) | who,
        )
