"""The path under which a proxy shows the application, whether or not the proxy strips it."""

from starlette.types import ASGIApp, Receive, Scope, Send


class PrefixMiddleware:
    """Tells the application its path; a request without it came through a proxy that strips it."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        root = self._root_path
        if "path" in scope and not f"{scope['path']}/".startswith(f"{root}/"):
            path, raw = root + scope["path"], root.encode() + (scope.get("raw_path") or b"")
            scope = {**scope, "path": path, "raw_path": raw}
        await self._app({**scope, "root_path": root}, receive, send)
