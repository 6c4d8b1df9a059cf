"""HEAD wherever there is GET (RFC 9110, section 9.3.2): the same headers, no content."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadMiddleware:
    """Asks the application for GET and leaves the content out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        answered = False

        async def receive_or_leave() -> Message:
            return {"type": "http.disconnect"} if answered else await receive()

        async def send_headers(message: Message) -> None:
            nonlocal answered
            if not answered:
                await send(message)
                await send({"type": "http.response.body"})
                answered = True

        await self._app({**scope, "method": "GET"}, receive_or_leave, send_headers)
