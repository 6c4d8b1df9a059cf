"""Whatever is sent to a session: an answer in words or a documented treatment, never a fault."""

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.app.api.live.test_sessions import ROWS, SPEC, latest, live, open_session, put
from tests.app.api.live.test_stream import measured, streaming, told
from tests.support.inprocess import Api, running
from tests.support.live import SHAPE, frame_of, request_of
from tests.support.servers import Valkey
from worker.ledger.sessions import SessionRoom, Sessions
from worker.live.messages import Kind, Message

ACCOUNTED = {
    202: {""},
    409: {"frame_passed", "rows_overlap"},
    422: {"invalid_request", "wrong_size"},
}
sends = st.lists(
    st.tuples(
        st.integers(0, 4),  # frame
        st.integers(-2, ROWS + 2),  # first row
        st.integers(-1, ROWS + 2),  # last row
        st.sampled_from([0, 0, 0, -2, -1, 1, 80]),  # bytes too many
    ),
    max_size=12,
)


@given(sends=sends)
@settings(max_examples=25, deadline=None)
def test_rows_in_any_way_are_accounted_for(
    api: Api, sends: list[tuple[int, int, int, int]]
) -> None:
    with api.client() as client:
        session_id = open_session(client)
        taken: set[int] = set()
        for frame, first, last, more in sends:
            size = max(0, 2 * SHAPE[1] * (last - first + 1) + more)
            headers = {"Reucid-Rows": f"{first}-{last}"}
            here = f"/sessions/{session_id}/frames/{frame}"
            answer = client.put(here, content=bytes(size), headers=headers)
            code = answer.json().get("code", "")
            assert code in ACCOUNTED.get(answer.status_code, set()), answer.text
            if answer.status_code == 202:
                taken.add(frame)
                assert answer.json()["received"] == len(taken)
                assert answer.json()["newest"] == max(taken)
        client.delete(f"/sessions/{session_id}")


def test_rows_in_any_order_make_the_frame(api: Api, client: httpx.Client) -> None:
    with live(api, client) as session_id:
        for first in (32, 0, 40, 16):
            stop = {32: 39, 0: 15, 40: ROWS - 1, 16: 31}[first]
            assert put(client, session_id, 0, f"{first}-{stop}").status_code == 202
        after = 0
        while True:
            found = latest(client, session_id, after)
            after = int(found.headers["Reucid-Sequence"])
            image = np.frombuffer(found.content, "<f4").reshape(SHAPE)
            if np.isfinite(image).all():
                break
        raw = client.get(f"/sessions/{session_id}/frames/0").content
        assert raw == frame_of(0).tobytes()


def test_blank_frames_on_the_stream_are_shown_and_not_remembered(
    api: Api, client: httpx.Client
) -> None:
    with live(api, client) as session_id, streaming(api, session_id) as socket:
        socket.send('{"type": "subscribe"}')
        blank = np.zeros(SHAPE, "<u2")
        for frame in range(3):
            data = measured(frame)
            if frame != 1:
                data = Message(Kind.MEASURED, SHAPE, frame, 0, blank).to_bytes()
            socket.send(data)
            while True:
                message = socket.recv(30)
                if isinstance(message, bytes):
                    break
            result = Message.from_bytes(message)
            assert result.frame == frame
            assert (result.pixels == 0).all() == (frame != 1)


def test_repeated_rows_on_the_stream_are_told(api: Api, client: httpx.Client) -> None:
    session_id = open_session(client)
    with streaming(api, session_id) as socket:
        for again in (False, True):
            socket.send(measured(0, 0, 9))
            answer = told(socket)
            assert (answer["type"], answer["again"]) == ("received", again)
        socket.send(measured(0, 4, 9))
        assert told(socket)["code"] == "rows_overlap"


def test_a_closed_session_takes_nothing_on_the_stream(api: Api, client: httpx.Client) -> None:
    session_id = open_session(client)
    client.post(f"/sessions/{session_id}/close", json={"keep": None})
    with streaming(api, session_id, hello=False) as socket:
        assert told(socket)["code"] == "session_closed"


@pytest.mark.parametrize("shape", [[0, 9], [-1, 9], [2**40, 2], [9.5, 9], [[9], 9], None])
def test_shapes_that_are_none(client: httpx.Client, shape: Any) -> None:
    answer = client.post("/sessions", json=SPEC | {"shape": shape})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_a_thousand_sessions(tmp_path: Path, live_valkey: Valkey) -> None:
    many = {"live_workers": 1000, "live_sessions_per_key": 5000}
    with running(tmp_path, redis_url=live_valkey.url, **many) as api, api.client() as client:
        sessions = Sessions(api.database)
        room = SessionRoom(everyone=1000, per_key=5000, memory=2**40)
        request = request_of(owner="local", shape=(3, 3))
        for _ in range(999):
            sessions.open(request, room)
        session_id = open_session(client)
        refused = client.post("/sessions", json=SPEC)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_sessions")
        assert refused.json()["limit"] == {"name": "live_sessions", "value": 1000, "got": 1001}
        assert put(client, session_id, 0).status_code == 202
        assert client.get(f"/sessions/{session_id}").json()["counts"]["received"] == 1
        listed = client.get("/sessions", params={"state": "open", "limit": 200}).json()
        assert len(listed["sessions"]) == 200
