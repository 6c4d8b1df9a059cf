"""Requests that are sent again: what they make is made once, and for how long they are."""

import asyncio
import random
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest

from reucid_client import (
    AsyncClient,
    Client,
    ProblemError,
    Retrying,
    UnreachableError,
    live_messages,
)
from reucid_client.live_links import by_requests
from reucid_client.live_messages import LiveResult, Rows
from reucid_client.retrying import BrokenError
from tests.client.conftest import IMPATIENT
from tests.client.test_client import PARAMS, Flaky, image
from tests.support.inprocess import Api

JOB: dict[str, Any] = {"id": "7", "state": "queued", "stage": None, "progress": 0.0, "error": None}
SESSION: dict[str, Any] = {"id": "s", "shape": [4, 4], "dtype": "uint16", "mode": "latest"}
Answer = Callable[[httpx.Request], httpx.Response]


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("reucid_client.retrying.time", clock)
    monkeypatch.setattr("reucid_client.retrying.random", random.Random(0))
    monkeypatch.setattr("reucid_client.synchronous.time", SimpleNamespace(sleep=lambda _: None))
    return clock


def answering(*answers: httpx.Response | Exception) -> tuple[Client, list[httpx.Request]]:
    """A client whose server gives these answers, and what it was asked."""
    left, asked = list(answers), list[httpx.Request]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        given = left.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    transport = httpx.MockTransport(answer)
    return Client("http://server", retrying=IMPATIENT, transport=transport), asked


def stream(*lines: str, clock: Clock | None = None) -> httpx.Response:
    """Events; a number is so many seconds without one, and then a sign of life."""

    class Lines(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for line in lines:
                if clock is not None and line.isdigit():
                    clock.now += int(line)
                    yield b": ping\n\n"
                else:
                    yield line.encode()
            raise httpx.ReadError("broken off")

    return httpx.Response(200, stream=Lines())


def event(number: int, kind: str) -> str:
    return f"id: {number}\nevent: {kind}\ndata: {{}}\n\n"


def test_a_job_is_retried_once_though_the_answer_was_lost(api: Api, key: str) -> None:
    flaky = Flaky([])
    with Client(api.url, key, retrying=IMPATIENT, transport=flaky) as client:
        first = client.denoise(image(90), **PARAMS, external_id="once")
        flaky.failures = ["after", "503"]
        again = client.retry(first.job.id)
        assert {job.id for job in client.jobs(external_id="once")} == {first.job.id, again.id}
        assert client.retry(first.job.id).id != again.id  # another wish is another job


def test_what_was_deleted_is_no_error_though_the_answer_was_lost(api: Api, key: str) -> None:
    flaky = Flaky([])
    with Client(api.url, key, retrying=IMPATIENT, transport=flaky) as client:
        job = client.denoise(image(91), **PARAMS).job
        flaky.failures = ["after"]
        client.delete(job.id)
        with pytest.raises(ProblemError):
            client.delete(job.id)  # by whoever did not delete it


@pytest.mark.parametrize("what", ["live", "keep"])
def test_what_a_live_session_makes_is_known_when_it_is_sent_again(what: str) -> None:
    lost, made = httpx.ReadError("lost"), SESSION if what == "live" else JOB
    client, asked = answering(lost, httpx.Response(503), httpx.Response(201, json=made))
    with client:
        if what == "live":
            client._do(live_messages.open_session((4, 4), {}))
        else:
            client._do(live_messages.keep("s", "last"))
    keys = {request.headers.get("Idempotency-Key") for request in asked}
    assert len(asked) == 3
    assert len(keys) == 1
    assert None not in keys


def test_patience_begins_with_the_first_failure(clock: Clock) -> None:
    attempts = Retrying(patience=100, first=1, longest=1).attempts()
    clock.now = 1000  # a connection that has lasted
    assert attempts.pause(None) is not None
    clock.now = 1099
    assert attempts.pause(None) is not None
    clock.now = 1100
    assert attempts.pause(None) is None
    attempts.succeeded()
    assert attempts.pause(None) is not None


def test_events_go_on_after_a_long_silence_and_through_a_server_that_is_started_anew(
    clock: Clock,
) -> None:
    client, asked = answering(
        stream(event(1, "queued"), "500", clock=clock),
        httpx.Response(503, headers={"Retry-After": "0"}, json={"code": "draining"}),
        stream("500", clock=clock),
        stream("500", event(2, "succeeded"), clock=clock),
        httpx.Response(200, json=JOB | {"state": "succeeded"}),
    )
    with client:
        events = client.events("7")
        assert [next(events).type, next(events).type] == ["queued", "succeeded"]
    assert [request.headers["Last-Event-ID"] for request in asked] == ["0", "1", "1", "1"]


def test_events_that_are_refused_for_good_are_a_problem() -> None:
    problem = {"code": "not_found", "detail": "no such job"}
    client, asked = answering(httpx.Response(404, json=problem))
    with client, pytest.raises(ProblemError, match="no such job"):
        next(client.events("7"))
    assert len(asked) == 1


def test_events_of_a_server_that_stays_away_end(clock: Clock) -> None:
    def away(_: httpx.Request) -> httpx.Response:
        clock.now += 1
        raise httpx.ConnectError("refused")

    transport = httpx.MockTransport(away)
    patient = Retrying(patience=50)
    with (
        Client("http://server", retrying=patient, transport=transport) as client,
        pytest.raises(UnreachableError, match="refused"),
    ):
        next(client.events("7"))


async def told_by_requests(*answers: httpx.Response) -> list[Any]:
    """What a live session by plain requests is told when rows are answered like this."""
    left, told = list(answers), list[Any]()
    transport = httpx.MockTransport(lambda _: left.pop(0))
    async with (
        AsyncClient("http://server", transport=transport) as client,
        by_requests(client._http, "s", told.append) as link,
    ):
        await link.send(Rows(0, 0, (2, 2), np.zeros((2, 2), np.uint16), 0.0))
    return told


@pytest.mark.parametrize(
    ("answer", "passes"),
    [
        (httpx.Response(502, text="<html>Bad Gateway"), True),
        (httpx.Response(503, json={"code": "store_unavailable", "detail": "away"}), True),
        (httpx.Response(200, text="<html>Sign in"), True),
        (httpx.Response(404, text="<html>Not Found"), False),
    ],
)
def test_rows_that_a_proxy_or_a_failing_server_answered_are_not_lost(
    answer: httpx.Response, passes: bool
) -> None:
    with pytest.raises(BrokenError) as broken:
        asyncio.run(told_by_requests(answer))
    assert (Retrying().attempts().pause(broken.value.answer) is not None) == passes


@pytest.mark.parametrize(("status", "code"), [(422, "wrong_size"), (503, "live_unavailable")])
def test_rows_that_the_server_refused_are_told(status: int, code: str) -> None:
    (told,) = asyncio.run(told_by_requests(httpx.Response(status, json={"code": code})))
    assert told == {"code": code, "type": "problem", "frame": 0}


def test_rows_are_sent_though_those_before_were_refused() -> None:
    """What is raised speaks of other rows: those of the call are on their way."""

    async def scan() -> int:
        async with (
            AsyncClient("http://127.0.0.1:9", retrying=IMPATIENT) as client,
            client.connected(SESSION) as session,
        ):
            refusal = {"type": "problem", "frame": 0, "code": "wrong_size", "status": 422}
            await session.send(np.zeros((4, 4), np.uint16))
            session._take(refusal)
            with pytest.raises(ProblemError):
                await session.send(np.zeros((4, 4), np.uint16))
            return len(session._unsent)

    assert asyncio.run(scan()) == 2


def test_a_result_that_comes_again_after_a_break_is_one_result() -> None:
    pixels = np.zeros((4, 4), np.float32)

    def result(sequence: int) -> LiveResult:
        return LiveResult(sequence, 0, (4, 4), 0, pixels, True, True, None, 0)

    async def look() -> list[int]:
        async with (
            AsyncClient("http://127.0.0.1:9", retrying=IMPATIENT) as client,
            client.connected(SESSION, after=3) as session,
        ):
            for sequence in (3, 4, 4, 5, 4):
                session._take(result(sequence))
            return [each.sequence for each in session._results]

    assert asyncio.run(look()) == [4, 5]
