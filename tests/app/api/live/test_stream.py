"""The WebSocket of a session."""

import contextlib
import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import CapturingLogger
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.app.api.live.test_sessions import ROWS, live, open_session, put
from tests.support.inprocess import Api, running
from tests.support.live import SHAPE, frame_of
from tests.support.servers import Valkey
from tests.support.waiting import until
from worker.contract import Scope
from worker.ledger.keys import Keyring
from worker.live.messages import Flag, Kind, Message

ROUTE = "/v1/sessions/{session_id}/stream"
TELLING = ("outcome", "way", "code", "status", "le")
PAGE = Path(__file__).parents[4] / "docs" / "live.md"


@contextlib.contextmanager
def streaming(
    api: Api, session_id: str, key: str | None = None, hello: bool = True
) -> Iterator[ClientConnection]:
    headers = {} if key is None else {"X-API-Key": key}
    address = api.url.replace("http", "ws", 1) + f"/v1/sessions/{session_id}/stream"
    with connect(address, additional_headers=headers, max_size=None) as socket:
        if hello:
            assert told(socket)["type"] == "hello"
        yield socket


def told(socket: ClientConnection) -> dict[str, Any]:
    message = socket.recv(30)
    assert isinstance(message, str)
    found: dict[str, Any] = json.loads(message)
    return found


def shown(socket: ClientConnection) -> Message:
    message = socket.recv(30)
    assert isinstance(message, bytes)
    return Message.from_bytes(message)


def say(socket: ClientConnection, **word: Any) -> None:
    socket.send(json.dumps(word))


def measured(frame: int, first: int = 0, rows: int = ROWS) -> bytes:
    pixels = frame_of(frame)[first : first + rows]
    return Message(Kind.MEASURED, SHAPE, frame, first, pixels, captured_at=1.5).to_bytes()


def test_rows_in_and_results_out(api: Api, client: httpx.Client) -> None:
    with live(api, client) as session_id, streaming(api, session_id) as socket:
        socket.send(measured(0))
        answer = told(socket)
        assert (answer["type"], answer["frame"], answer["rows"]) == ("received", 0, ROWS)
        assert answer["received"] == 1
        say(socket, type="subscribe")
        result = shown(socket)
        assert (result.frame, result.rows, result.kind) == (0, ROWS, Kind.DENOISED)
        assert Flag.WHOLE in result.flags
        assert result.captured_at == 1.5
        assert math.isfinite(result.received_at)


def test_resumed_by_sequence_number(api: Api, client: httpx.Client) -> None:
    with live(api, client) as session_id:
        for frame in range(3):
            put(client, session_id, frame)
            until(lambda: client.get(f"/sessions/{session_id}").json()["counts"]["waiting"] == 0)
        until(lambda: client.get(f"/sessions/{session_id}").json()["counts"]["processed"] == 3)
        held = client.get(f"/sessions/{session_id}/results").json()["results"]
        assert [each["frame"] for each in held] == [1, 2]
        with streaming(api, session_id) as socket:
            say(socket, type="subscribe", after=0)
            assert [shown(socket).frame, shown(socket).frame] == [1, 2]
        with streaming(api, session_id) as socket:
            say(socket, type="subscribe", after=held[0]["sequence"])
            assert shown(socket).frame == 2


def test_bad_messages_are_told_and_the_stream_goes_on(api: Api, client: httpx.Client) -> None:
    session_id = open_session(client)
    with streaming(api, session_id) as socket:
        good = measured(3)
        bad = [b"", b"RCD2" + good[4:], good[:-1], good + b"\0"]
        bad.append(Message(Kind.DENOISED, SHAPE, 3, 0, frame_of(3)).to_bytes())
        bad.append(Message(Kind.MEASURED, (9, 9), 3, 0, frame_of(3)).to_bytes())
        bad.append(Message(Kind.MEASURED, SHAPE, 3, 1, frame_of(3)).to_bytes())
        bad.append(Message(Kind.MEASURED, SHAPE, 3, 0, frame_of(3).astype(np.int16)).to_bytes())
        for each in bad:
            socket.send(each)
            assert told(socket)["code"] == "wrong_size"
        for text in ("", "{}", '{"type": "dance"}', "[]"):
            socket.send(text)
            assert told(socket)["code"] == "invalid_request"
        socket.send(good)
        assert told(socket)["type"] == "received"
        socket.send(measured(2))
        refused = told(socket)
        assert (refused["type"], refused["code"], refused["frame"]) == (
            "problem",
            "frame_passed",
            2,
        )


def test_a_lossless_stream_makes_its_sender_wait(api: Api, client: httpx.Client) -> None:
    session_id = open_session(client, mode="lossless")
    with streaming(api, session_id) as socket:
        for frame in range(9):
            socket.send(measured(frame))
        answers = [told(socket) for _ in range(8)]
        assert {answer["type"] for answer in answers} == {"received"}
        with pytest.raises(TimeoutError):
            socket.recv(0.2)
        refused = put(client, session_id, 8)
        assert (refused.status_code, refused.json()["code"]) == (429, "session_full")
        with contextlib.ExitStack() as stack:
            from tests.support.live import worker

            stack.enter_context(worker(api.settings.redis_url or "", api.database, session_id))
            assert told(socket)["frame"] == 8


def test_who_reads_nothing_harms_nobody(api: Api, client: httpx.Client) -> None:
    with live(api, client) as session_id, contextlib.ExitStack() as stack:
        idle, busy = (stack.enter_context(streaming(api, session_id)) for _ in range(2))
        say(idle, type="subscribe")
        say(busy, type="subscribe")
        for frame in range(5):
            put(client, session_id, frame)
            while shown(busy).frame < frame:
                pass


def test_the_end_is_told(api: Api, client: httpx.Client) -> None:
    with live(api, client) as session_id, streaming(api, session_id) as socket:
        put(client, session_id, 0)
        job = client.post(f"/sessions/{session_id}/close", json={}).json()["jobs"]
        last = told(socket)
        assert last == {"type": "ended", "state": "closed", "reason": "closed", "jobs": job}
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(30)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1000


def test_keys(tmp_path: Path, live_valkey: Valkey) -> None:
    with running(tmp_path / "data", redis_url=live_valkey.url, live_workers=9) as api:
        keyring = Keyring(api.database)
        record, key = keyring.create(owner="a", scopes=[Scope.SUBMIT, Scope.READ])
        other = api.key("b", Scope.READ)
        with api.client(key) as client:
            session_id = open_session(client)
        with pytest.raises(InvalidStatus) as refused, streaming(api, session_id, other):
            pass
        assert refused.value.response.status_code == 404
        assert json.loads(refused.value.response.body or b"")["code"] == "not_found"
        with streaming(api, session_id, hello=False) as socket:
            say(socket, type="hello", key="wrong")
            assert told(socket)["code"] == "unauthorized"
        with streaming(api, session_id, hello=False) as socket:
            say(socket, type="hello", key=key)
            assert told(socket)["type"] == "hello"
            keyring.revoke(record.id)
            assert told(socket)["code"] == "unauthorized"
            with pytest.raises(ConnectionClosed):
                socket.recv(30)


def scraped(api: Api) -> dict[tuple[str, str], float]:
    """Figures by name and the label that tells them apart."""
    families = text_string_to_metric_families(httpx.get(f"{api.url}/metrics").text)
    return {
        (
            sample.name,
            next((sample.labels[each] for each in TELLING if each in sample.labels), ""),
        ): (sample.value)
        for family in families
        for sample in family.samples
        if sample.labels.get("route", ROUTE) == ROUTE
    }


def test_streams_and_frames_are_in_the_figures(api: Api, client: httpx.Client) -> None:
    before = scraped(api)

    def more(name: str, label: str = "") -> float:
        return scraped(api)[name, label] - before.get((name, label), 0.0)

    with live(api, client) as session_id:
        assert more("reucid_live_sessions") == 1
        with streaming(api, session_id) as socket:
            assert more("reucid_websockets_open") == 1
            assert more("reucid_http_request_seconds_count", "101") == 1
            say(socket, type="subscribe")
            for frame in range(2):
                socket.send(measured(frame))
                while not isinstance(message := socket.recv(30), bytes):
                    pass
                assert Message.from_bytes(message).frame == frame
            assert more("reucid_websocket_messages_total", "in") == 3
            assert more("reucid_websocket_messages_total", "out") >= 5
            for outcome, number in {"received": 2, "processed": 2, "dropped": 0}.items():
                assert more("reucid_live_frames_total", outcome) == number
            assert more("reucid_live_age_seconds_count") == 2
            assert more("reucid_live_age_seconds_bucket", "+Inf") == 2
            assert more("reucid_live_age_seconds_sum") > 0
            put(client, session_id, 1)
            put(client, session_id, 0)
            assert more("reucid_live_frames_total", "received") == 2
        until(lambda: more("reucid_websockets_open") == 0)
        assert more("reucid_websocket_seconds_count", "1000") == 1
    with pytest.raises(InvalidStatus), streaming(api, "0" * 32):
        pass
    until(lambda: more("reucid_http_request_seconds_count", "404") == 1)


def test_streams_are_in_the_log(
    api: Api, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = CapturingLogger()
    monkeypatch.setattr("app.http.access.log", log)

    def said(event: str) -> list[dict[str, Any]]:
        return [call.kwargs for call in log.calls if call.args == (event,)]

    session_id = open_session(client)
    with streaming(api, session_id) as socket:
        (opened,) = said("websocket_opened")
        assert opened["path"] == f"/v1/sessions/{session_id}/stream"
        assert opened["session_id"] == session_id
        socket.send(measured(0))
        assert told(socket)["type"] == "received"
    until(lambda: said("websocket_closed"))
    (closed,) = said("websocket_closed")
    assert (closed["code"], closed["messages_in"], closed["messages_out"]) == (1000, 1, 2)
    assert closed["seconds"] >= 0
    with pytest.raises(InvalidStatus), streaming(api, "0" * 32):
        pass
    until(lambda: said("websocket_refused"))
    assert said("websocket_refused")[0]["status"] == 404


def test_the_reference_reader(api: Api, client: httpx.Client, tmp_path: Path) -> None:
    """The one that docs/live.md shows, run by itself on what the server sends."""
    (source,) = re.findall(r"```python\n(# reader\.py.*?)```", PAGE.read_text(), re.S)
    assert len(source.splitlines()) <= 30
    (tmp_path / "reader.py").write_text(source)
    with live(api, client) as session_id, streaming(api, session_id) as socket:
        say(socket, type="subscribe")
        put(client, session_id, 0)
        message = socket.recv(30)
        assert isinstance(message, bytes)
        (tmp_path / "message").write_bytes(message)
    command = [sys.executable, "-S", "-I", tmp_path / "reader.py", tmp_path / "message"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    expected = Message.from_bytes(message)
    assert f"frame 0, rows 0-{ROWS - 1}, result {expected.sequence}" in done.stdout
    assert f"first pixel {float(expected.pixels[0, 0]):.4f}" in done.stdout
