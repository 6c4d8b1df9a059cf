"""A submission repeated while the first is being received: 409, then the first one's answer."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from app.api import inflight
from tests.support.inprocess import Api, npy, running
from tests.support.servers import Valkey
from tests.support.waiting import until

KEY = {"Idempotency-Key": "once"}


@contextmanager
def arriving(api: Api, headers: dict[str, str] = KEY) -> Iterator[tuple[Any, threading.Event]]:
    """A submission whose body is not all there before the event is set; its coming answer."""
    form = httpx.Request("POST", "http://x", files={"file": npy()})
    body, rest = form.read(), threading.Event()

    def pieces() -> Iterator[bytes]:
        yield body[:100]
        rest.wait(20)
        yield body[100:]

    def send() -> httpx.Response:
        with api.client() as client:
            kind = {"Content-Type": form.headers["Content-Type"]}
            return client.post("/jobs", content=pieces(), headers=kind | headers)

    with ThreadPoolExecutor(1) as pool:
        try:
            answer = pool.submit(send)
            until(lambda: list((api.settings.data_dir / "uploads").iterdir()))
            yield answer, rest
        finally:
            rest.set()


def repeat(api: Api, **headers: str) -> httpx.Response:
    with api.client() as client:
        return client.post("/jobs", files={"file": npy()}, headers=KEY | headers)


def in_flight(response: httpx.Response) -> bool:
    if response.status_code != 409:
        return False
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "in_flight"
    assert int(response.headers["retry-after"]) > 0
    return True


def test_a_repetition_meanwhile_is_told_to_wait_at_every_api(
    tmp_path: Path, valkey: Valkey
) -> None:
    with (
        running(tmp_path, redis_url=valkey.url) as api,
        running(tmp_path, redis_url=valkey.url) as other,
    ):
        with arriving(api) as (first, rest):
            assert in_flight(repeat(api))
            assert in_flight(repeat(other))
            assert repeat(api, **{"Idempotency-Key": "another"}).status_code == 202
            rest.set()
            accepted = first.result(20)
        assert accepted.status_code == 202
        again = repeat(other)
        assert (again.status_code, again.json()["id"]) == (202, accepted.json()["id"])
        assert len(api.jobs.page(owner="local")) == 2


def test_it_stays_taken_for_as_long_as_the_body_needs(
    tmp_path: Path, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inflight, "LEASE", 60.0)
    monkeypatch.setattr(inflight, "RENEWAL", 0.05)
    with (
        running(tmp_path, redis_url=valkey.url) as api,
        Redis.from_url(valkey.url) as redis,
        arriving(api, KEY) as (first, rest),
    ):
        for _ in range(3):
            (name,) = redis.keys("reucid:submission:*")
            assert redis.expire(name, 30), "half of the lease has gone by"
            until(lambda name=name: redis.pttl(name) > 30_000, "the lease is renewed")
        assert in_flight(repeat(api))
        rest.set()
        assert first.result(20).status_code == 202


def test_a_client_that_hangs_up_leaves_its_key_free(tmp_path: Path, valkey: Valkey) -> None:
    with running(tmp_path, redis_url=valkey.url) as api:
        host, port = httpx.URL(api.url).host, httpx.URL(api.url).port
        assert port is not None
        with socket.create_connection((host, port)) as connection:
            connection.sendall(
                b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: once\r\n"
                b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 999\r\n\r\n--x"
            )
            until(lambda: list((api.settings.data_dir / "uploads").iterdir()))
            assert in_flight(repeat(api))
        until(lambda: repeat(api).status_code == 202)


def test_without_the_queue_the_ledger_alone_makes_one_job(tmp_path: Path) -> None:
    with running(tmp_path) as api:
        with arriving(api) as (first, rest):
            meanwhile = repeat(api)
            rest.set()
        assert meanwhile.status_code == 202
        assert first.result().json()["id"] == meanwhile.json()["id"]
