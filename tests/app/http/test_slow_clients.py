"""Clients that let the server wait are given some time and no more; nobody else notices them."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.inprocess import Api, npy, running
from tests.support.waiting import until
from worker.contract import Scope
from worker.settings import KIB, MIB

TIME = 1.0  # s that a client is given
PAUSE = 0.05  # s between two bytes of a slow client
HEAD = b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nX-Slow: "


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with running(tmp_path, client_timeout_s=TIME, min_rate_kib=64) as api:
        yield api


def post(path: str, size: int, *more: str) -> bytes:
    """The head of a request with so large a body."""
    lines = [f"POST /v1{path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {size}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


UPLOAD = post("/images", 100_000, "Content-Type: image/tiff")


@contextlib.contextmanager
def connected(api: Api) -> Iterator[socket.socket]:
    url = httpx.URL(api.url)
    with socket.create_connection((url.host, url.port or 0), timeout=30) as connection:
        yield connection


def trickle(connection: socket.socket, over: Callable[[], bool] = lambda: False) -> bytes:
    """Send a byte at a time until the server hangs up; what it has answered."""
    answer = bytearray()

    def read() -> None:
        with contextlib.suppress(OSError):
            while more := connection.recv(4096):
                answer.extend(more)

    reader = threading.Thread(target=read)
    reader.start()
    with contextlib.suppress(OSError):
        while reader.is_alive() and not over():
            connection.sendall(b"x")
            time.sleep(PAUSE)
    reader.join(30)
    assert not reader.is_alive()
    return bytes(answer)


def problem(answer: bytes) -> tuple[int, dict[str, object]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower()
    assert b"connection: close" in head.lower()
    return int(head.split()[1]), json.loads(body)


def uploads(api: Api) -> list[Path]:
    return list((api.settings.data_dir / "uploads").iterdir())


def connections(api: Api) -> int:
    """Connections that the server has open."""
    port = httpx.URL(api.url).port
    return sum(
        each.laddr.port == port and each.status != psutil.CONN_LISTEN
        for each in psutil.Process().net_connections("tcp")
    )


def test_headers_that_never_end(api: Api) -> None:
    with connected(api) as connection:
        connection.sendall(HEAD)
        status, body = problem(trickle(connection))
    assert (status, body["code"]) == (408, "request_timeout")
    assert "client_timeout_s" in str(body["detail"])


def test_a_connection_that_says_nothing_is_closed_in_silence(api: Api) -> None:
    with connected(api) as connection:
        assert connection.recv(100) == b""


def test_a_second_request_whose_headers_never_end(api: Api) -> None:
    with connected(api) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        connection.sendall(HEAD)
        assert problem(trickle(connection))[0] == 408


def test_headers_without_end_that_come_fast(api: Api) -> None:
    with connected(api) as connection, contextlib.suppress(OSError):
        connection.sendall(HEAD)
        for _ in range(64):
            connection.sendall(b"x" * 16 * KIB)
    with connected(api) as connection:
        connection.sendall(HEAD + b"x" * 65 * KIB)
        status, body = problem(connection.recv(4096))
    assert (status, body["code"]) == (431, "too_large")


@pytest.mark.parametrize(
    "head",
    [
        UPLOAD,
        post("/jobs", 100_000, "Content-Type: multipart/form-data; boundary=b", "Expect: x"),
        post("/jobs", 100_000, "Content-Type: application/json"),
        post("/keys", 100_000, "Content-Type: application/json"),
    ],
    ids=["raw", "form", "submission", "key"],
)
def test_a_body_that_comes_too_slowly(api: Api, head: bytes) -> None:
    with connected(api) as connection:
        connection.sendall(head)
        status, body = problem(trickle(connection))
    assert (status, body["code"]) == (408, "request_timeout"), body
    assert "min_rate" in str(body["detail"])
    until(lambda: not uploads(api))


def test_a_body_that_comes_at_a_fair_rate_may_take_long(api: Api) -> None:
    image = npy(1, (320, 640))
    begun, piece = time.monotonic(), 16 * KIB
    with connected(api) as connection:
        connection.sendall(post("/images", len(image), "Content-Type: image/x-npy"))
        for at in range(0, len(image), piece):
            connection.sendall(image[at : at + piece])
            time.sleep(0.1)
        assert time.monotonic() - begun > 2 * TIME
        assert connection.recv(4096).startswith(b"HTTP/1.1 201")


def test_the_rest_of_a_body_that_was_refused(api: Api) -> None:
    """Whoever goes on sending after the answer does not keep the connection either."""
    with connected(api) as connection:
        connection.sendall(post("/images", 10_000, "Content-Type: text/plain"))
        answer = trickle(connection)
    assert answer.startswith(b"HTTP/1.1 415")
    until(lambda: not connections(api))


def test_a_large_body_is_not_kept_for_a_stranger(api: Api) -> None:
    api.key("root", Scope.ADMIN)
    response = httpx.post(f"{api.url}/v1/keys", json={"owner": "x" * 2 * MIB, "scopes": ["read"]})
    assert (response.status_code, response.json()["code"]) == (413, "too_large")


def test_an_answer_that_nobody_reads(api: Api) -> None:
    with api.client() as client:
        image = client.post("/images", content=npy(1, (3000, 3000))).json()["id"]
    with connected(api) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(f"GET /v1/images/{image}/content HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        until(lambda: connections(api) == 1)
        until(lambda: connections(api) == 0)
    with api.client() as client:
        assert client.get(f"/images/{image}/content").status_code == 200


def test_who_waits_for_the_server_has_all_the_time(api: Api) -> None:
    with api.client() as client:
        job = client.post("/jobs", files={"file": npy()}).json()["id"]
        waited = client.get(f"/jobs/{job}", params={"wait": 3 * TIME})
        assert waited.json()["state"] == "queued"
        begun = time.monotonic()
        with client.stream("GET", f"/jobs/{job}/events") as stream:
            for line in stream.iter_lines():
                if line == "event: queued":
                    threading.Timer(3 * TIME, api.jobs.cancel, [job], {"owner": "local"}).start()
                if line == "event: canceled":
                    break
        assert time.monotonic() - begun > 2 * TIME
        assert line == "event: canceled"


def test_many_slow_clients_take_nothing_from_others(api: Api) -> None:
    many, over = 150, threading.Event()
    with ExitStack() as stack:
        slow = [stack.enter_context(connected(api)) for _ in range(many)]

        def send() -> None:
            while not over.wait(PAUSE):
                for connection in slow:
                    with contextlib.suppress(OSError):
                        connection.sendall(b"x")

        for n, connection in enumerate(slow):
            connection.sendall(HEAD if n % 2 else UPLOAD)
        sending = threading.Thread(target=send)
        sending.start()
        with api.client() as client:
            for n in range(5):
                assert client.post("/images", content=npy(n)).status_code == 201
                assert client.get("/jobs").status_code == 200
        until(lambda: not connections(api))
        until(lambda: not uploads(api))
        over.set()
        sending.join()


def test_uploads_at_the_same_time_leave_the_free_space_that_must_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is let in for itself; the space is looked at again while they come."""
    from worker.store import FolderStore

    with running(tmp_path, min_free_mib=1) as api, connected(api) as connection:
        connection.sendall(post("/images", 8 * MIB, "Content-Type: image/tiff") + bytes(MIB))
        until(lambda: uploads(api) and any(f.stat().st_size for f in uploads(api)[0].iterdir()))
        monkeypatch.setattr(FolderStore, "free", lambda _: 0)  # as others have filled it
        connection.sendall(bytes(MIB))
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 507")
