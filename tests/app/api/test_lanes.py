"""However much one owner asks for at once, the others are answered."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.rates import RateLimiter
from app.http.refusals import Refusals
from tests.support.clients import problem
from tests.support.inprocess import Api, npy, running
from tests.support.servers import Valkey
from tests.support.waiting import until
from worker.contract import Scope
from worker.ledger.jobs import Jobs

SUBMIT, READ = Scope.SUBMIT, Scope.READ
MANY = 60  # more than there are threads


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with running(tmp_path) as api:
        yield api


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Lists of Ada's jobs do not come before this is set."""
    go_on, page = threading.Event(), Jobs.page

    def slow(self: Jobs, **what: Any) -> Any:
        if what["owner"] == "ada":
            go_on.wait(60)
        return page(self, **what)

    monkeypatch.setattr(Jobs, "page", slow)
    yield go_on
    go_on.set()


def lanes(api: Api) -> Any:
    return api.services.lanes


def test_who_asks_for_much_holds_nobody_up(api: Api, stuck: threading.Event) -> None:
    ada, bob = (api.client(api.key(name, READ)) for name in ("ada", "bob"))
    with ada, bob, ThreadPoolExecutor(MANY) as pool:
        assert ada.get("/capabilities").status_code == 200  # from now on the key is known
        asked = [pool.submit(ada.get, "/jobs", timeout=90) for _ in range(MANY)]
        until(lambda: lanes(api).requests.waiting > MANY // 2, "most of them wait")
        assert bob.get("/jobs").status_code == 200
        assert httpx.get(f"{api.url}/readyz").status_code == 200
        stuck.set()
        assert [each.result().status_code for each in asked] == [200] * MANY
    assert lanes(api).requests.taken == 0


def test_who_asks_for_too_much_is_told(api: Api, stuck: threading.Event) -> None:
    lanes(api).requests.most_waiting = 3
    with api.client(api.key("ada", READ)) as ada, ThreadPoolExecutor(MANY) as pool:
        ada.get("/capabilities")
        asked = [pool.submit(ada.get, "/jobs") for _ in range(MANY)]
        until(lambda: sum(each.done() for each in asked) >= MANY - 7, "the others are refused")
        stuck.set()
        answers = [each.result() for each in asked]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(refused) >= MANY - 7
    for answer in refused:
        body = problem(answer, 429, "too_many_requests")
        assert body["limit"] == {"name": "max_requests_waiting", "value": 3, "got": 4}
        assert answer.headers["retry-after"] == "1"


def test_who_waits_for_a_job_does_not_stand_in_the_way(api: Api) -> None:
    with api.client(api.key("ada", SUBMIT, READ)) as ada, ThreadPoolExecutor(20) as pool:
        image = ada.post("/images", content=npy()).json()["id"]
        job = ada.post("/jobs", json={"image_id": image}).json()["id"]
        polls = [pool.submit(ada.get, f"/jobs/{job}", params={"wait": 60}) for _ in range(20)]
        until(lambda: len(polls) == 20 and api.services.wakes.waiting.keys(), "they wait")
        assert ada.get(f"/jobs/{job}").status_code == 200
        ada.post(f"/jobs/{job}/cancel")
        assert {each.result().json()["state"] for each in polls} == {"canceled"}


def crawling(api: Api, key: str) -> socket.socket:
    """An upload of which only the beginning comes."""
    host, port = api.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    connection.sendall(
        f"POST /v1/images HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: image/tiff\r\nContent-Length: 100000\r\n\r\nxxx".encode()
    )
    return connection


def test_uploads_that_crawl_hold_up_nothing_but_uploads_of_their_owner(api: Api) -> None:
    slow, fast = api.key("ada", SUBMIT, READ), api.key("bob", SUBMIT, READ)
    with ExitStack() as stack:
        ada, bob = (stack.enter_context(api.client(key)) for key in (slow, fast))
        ada.get("/jobs")
        bob.get("/jobs")
        for _ in range(12):
            stack.enter_context(crawling(api, slow))
        until(lambda: lanes(api).uploads.waiting == 4, "eight are received, four wait")
        assert ada.get("/jobs").status_code == 200
        assert bob.post("/images", content=npy()).status_code == 201
        assert len(list((api.settings.data_dir / "uploads").iterdir())) == 8
    until(lambda: lanes(api).uploads.taken == 0, "all have hung up")


def test_a_key_that_had_its_requests_is_refused_without_being_counted(
    tmp_path: Path, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []
    check = RateLimiter.check

    def count(self: RateLimiter, key_id: str) -> None:
        counted.append(key_id)
        check(self, key_id)

    monkeypatch.setattr(RateLimiter, "check", count)
    with (
        running(tmp_path, redis_url=valkey.url, rate_limit="2/hour") as api,
        api.client(api.key("ada", READ)) as ada,
        ThreadPoolExecutor(10) as pool,
    ):
        assert [ada.get("/jobs").status_code for _ in range(3)] == [200, 200, 429]
        answers = list(pool.map(ada.get, ["/jobs"] * 10))
        assert {answer.status_code for answer in answers} == {429}
        assert {answer.json()["code"] for answer in answers} == {"rate_limited"}
        assert len(counted) == 3


def test_unknown_keys_are_refused_one_after_the_other(api: Api) -> None:
    """Whoever guesses keys gets an answer, but no thousand of them at once."""
    lanes(api).refusals = Refusals(a_second=0.01, within=1e9, most_held=100)
    api.key("ada", READ)
    with api.client("reucid_guessed") as first, api.client(api.key("bob", READ)) as bob:
        problem(first.get("/jobs"), 401, "unauthorized")
        with ThreadPoolExecutor(1) as pool:
            second = pool.submit(
                httpx.get, f"{api.url}/v1/jobs", headers={"X-API-Key": "other"}, timeout=2
            )
            until(lambda: lanes(api).refusals.held == 1, "the second answer is held back")
            assert bob.get("/jobs").status_code == 200
            assert not second.done()
            second.exception()
