"""Two APIs are one server: what one is told the other knows, and neither is missed."""

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.clients import SMALL, finished, submit
from tests.support.inprocess import npy
from tests.support.servers import LONG, Members, ready
from tests.support.waiting import until


@pytest.fixture(scope="module")
def apis(members: Members) -> Iterator[list[httpx.Client]]:
    """Clients of two APIs, beside which a dispatcher and a worker run."""
    started = [members.start(role) for role in ("api", "api", "dispatch", "work")]
    for member in started[:2]:
        until(lambda url=member.url: ready(url), f"ready; see {member.log}")
    clients = [httpx.Client(base_url=f"{each.url}/v1", timeout=70) for each in started[:2]]
    yield clients
    for client in clients:
        client.close()


def image(tmp_path: Path, side: int = 32) -> Path:
    path = tmp_path / f"image-{side}.npy"
    path.write_bytes(npy(shape=(side, side)))
    return path


def read_until(stream: httpx.Response, kind: str | None) -> list[tuple[int, str]]:
    """Events by number and kind, up to the first of a kind."""
    events: list[tuple[int, str]] = []
    told: dict[str, str] = {}
    for line in stream.iter_lines():
        name, colon, value = line.partition(": ")
        if colon and name:
            told[name] = value
        elif told and not line:
            events.append((int(told["id"]), told["event"]))
            if told["event"] == kind:
                break
            told = {}
    return events


def test_submit_on_one_follow_on_the_other_and_resume_where_there_is_one_left(
    apis: list[httpx.Client], members: Members, tmp_path: Path
) -> None:
    here, there = apis
    job_id = submit(here, image(tmp_path, 320), LONG)["id"]
    polled: list[httpx.Response] = []
    poll = threading.Thread(
        target=lambda: polled.append(there.get(f"/jobs/{job_id}", params={"wait": 60}))
    )
    with here.stream("GET", f"/jobs/{job_id}/events") as stream:
        poll.start()
        before = read_until(stream, "interim")
        (killed, *_) = members.running
        killed.stop(signal.SIGKILL)
    there_too = httpx.Client(base_url=there.base_url, timeout=70)
    there_too.post(f"/jobs/{job_id}/finish")
    headers = {"Last-Event-ID": str(before[-1][0])}
    with there_too.stream("GET", f"/jobs/{job_id}/events", headers=headers) as stream:
        after = read_until(stream, None)
    poll.join()
    assert polled[0].json()["state"] == "succeeded"
    with there_too.stream("GET", f"/jobs/{job_id}/events") as stream:
        assert read_until(stream, None) == before + after
    assert after[-1][1] == "succeeded"
    there_too.close()
    members.start_again(killed)
    until(lambda: ready(killed.url), f"ready; see {killed.log}")


def test_one_key_is_one_job_on_whichever_api(apis: list[httpx.Client], tmp_path: Path) -> None:
    here, there = apis
    content, headers = image(tmp_path).read_bytes(), {"Idempotency-Key": "one and the same"}

    def send(client: httpx.Client, params: object) -> httpx.Response:
        files, data = {"file": ("image.npy", content)}, {"params": json.dumps(params)}
        return client.post("/jobs", files=files, data=data, headers=headers)

    answers = [send(client, SMALL) for client in (here, there, here)]
    assert [each.status_code for each in answers] == [202, 202, 202]
    assert len({each.json()["id"] for each in answers}) == 1
    other = send(there, SMALL | {"components": 3})
    assert other.status_code == 422
    done = finished(there, answers[0].json()["id"])
    results = [client.get(f"/jobs/{done['id']}/result") for client in apis]
    assert results[0].content == results[1].content
    assert results[0].headers["etag"] == results[1].headers["etag"]


def test_what_one_takes_back_the_other_does_not_know(
    apis: list[httpx.Client], tmp_path: Path
) -> None:
    here, there = apis
    job_id = submit(here, image(tmp_path), SMALL)["id"]
    finished(there, job_id)
    assert there.delete(f"/jobs/{job_id}").status_code == 204
    assert here.get(f"/jobs/{job_id}").status_code == 404
