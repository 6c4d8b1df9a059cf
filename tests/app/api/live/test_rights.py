"""Whose sessions are whose, and what happens when Valkey does not answer."""

import signal
from pathlib import Path

import httpx

from tests.app.api.live.test_sessions import SPEC, open_session, put
from tests.support.inprocess import NO_REDIS, running
from tests.support.servers import Valkey, valkey_server
from worker.contract import Scope


def test_another_owners_session_is_none(tmp_path: Path, live_valkey: Valkey) -> None:
    with running(tmp_path / "data", redis_url=live_valkey.url, live_workers=9) as api:
        keys = [api.key(owner, Scope.SUBMIT, Scope.READ) for owner in ("a", "b")]
        reader = api.key("a", Scope.READ)
        admin = api.key("root", Scope.ADMIN)
        with api.client(keys[0]) as mine, api.client(keys[1]) as theirs:
            session_id = open_session(mine)
            assert put(mine, session_id, 0).status_code == 202
            here = f"/sessions/{session_id}"
            for answer in (
                put(theirs, session_id, 1),
                theirs.get(here),
                theirs.get(f"{here}/latest"),
                theirs.get(f"{here}/frames/0"),
                theirs.post(f"{here}/close", json={}),
                theirs.post(f"{here}/keep", json={}),
                theirs.delete(here),
            ):
                assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
            assert theirs.get("/sessions").json()["sessions"] == []
            with api.client(reader) as reading, api.client(admin) as administering:
                assert put(reading, session_id, 1).status_code == 403
                assert reading.get(here).status_code == 200
                assert administering.get(here).status_code == 200
            with api.client() as nobody:
                assert put(nobody, session_id, 1).status_code == 401
            mine.delete(here)


def test_without_valkey_frames_are_refused_at_once(tmp_path: Path) -> None:
    with running(tmp_path / "data", redis_url=NO_REDIS) as api, api.client() as client:
        session_id = open_session(client)
        answers = [put(client, session_id, frame) for frame in range(3)]
        answers.append(client.get(f"/sessions/{session_id}/latest", params={"wait": 5}))
        answers.append(client.post(f"/sessions/{session_id}/close", json={}))
        for answer in answers:
            assert (answer.status_code, answer.json()["code"]) == (503, "live_unavailable")
            assert answer.headers["Retry-After"] == "1"
        assert client.get(f"/sessions/{session_id}").json()["counts"] is None
        assert client.delete(f"/sessions/{session_id}").status_code == 204


def test_a_valkey_that_hangs_blocks_nobody(tmp_path: Path) -> None:
    with (
        valkey_server(tmp_path) as valkey,
        running(tmp_path / "data", redis_url=valkey.url) as api,
        api.client() as client,
    ):
        session_id = open_session(client)
        assert put(client, session_id, 0).status_code == 202
        valkey.process.send_signal(signal.SIGSTOP)
        try:
            refused: httpx.Response = put(client, session_id, 1)
            assert (refused.status_code, refused.json()["code"]) == (503, "live_unavailable")
        finally:
            valkey.process.send_signal(signal.SIGCONT)


def test_a_wiped_valkey_takes_frames_again(tmp_path: Path) -> None:
    with (
        valkey_server(tmp_path) as valkey,
        running(tmp_path / "data", redis_url=valkey.url) as api,
        api.client() as client,
    ):
        session_id = open_session(client)
        put(client, session_id, 4)
        api.services.redis.flushall()
        assert put(client, session_id, 5).json()["received"] == 1


def test_no_session_beyond_those_that_have_a_worker(tmp_path: Path) -> None:
    with running(tmp_path / "data", live_workers=0) as api, api.client() as client:
        answers = [client.post("/sessions", json=SPEC) for _ in range(20)]
        assert {answer.status_code for answer in answers} == {429}
