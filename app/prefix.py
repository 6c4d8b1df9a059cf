"""The path under which a proxy shows the application, whether or not the proxy strips it."""

from starlette.types import ASGIApp, Receive, Scope, Send


class PrefixMiddleware:
    """Tells the application its path; a request without it came through a proxy that strips it."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "root_path": self._root_path}, receive, send)
