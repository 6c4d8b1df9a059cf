"""A client that hangs up is no fault of the server's, so the log does not cry about it."""

import asyncio

import pytest
from anyio import BrokenResourceError
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import to_problem
from app.http.requestid import RequestIdMiddleware


def answering_then(error: Exception) -> ASGIApp:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    return app


def call(app: ASGIApp) -> list[str]:
    sent: list[str] = []

    async def send(message: Message) -> None:
        sent.append(message["type"])

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    middleware = RequestIdMiddleware(app, answer=lambda error: to_problem(error).response())
    scope: Scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    asyncio.run(middleware(scope, receive, send))
    return sent


def test_a_reader_of_events_that_left_is_no_fault() -> None:
    gone = ExceptionGroup("as FastAPI raises it", [ExceptionGroup("", [BrokenResourceError()])])
    assert call(answering_then(gone)) == ["http.response.start"]


@pytest.mark.parametrize(
    "error", [ValueError("x"), ExceptionGroup("x", [BrokenResourceError(), ValueError("x")])]
)
def test_any_other_fault_within_an_answer_is_raised(error: Exception) -> None:
    with pytest.raises(type(error)):
        call(answering_then(error))


def test_hanging_up_within_an_upload_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    assert to_problem(ClientDisconnect()).code == "client_disconnected"
    assert capsys.readouterr() == ("", "")
