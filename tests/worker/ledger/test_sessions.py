"""Live sessions in the ledger: how many may be open, who is bound, how they end."""

from dataclasses import replace

import pytest

from tests.support.live import ROOM, opened, request_of
from worker.contract import SessionState
from worker.ledger.database import Database
from worker.ledger.refusals import (
    IdempotencyMismatchError,
    NotFoundError,
    SessionsFullError,
)
from worker.ledger.sessions import MOST_LOST, Binding, Sessions


def bound(database: Database, session_id: str, number: int = 1, worker: str = "w") -> Binding:
    binding = Binding(database, session_id, number, worker)
    assert binding.claim(60.0) is not None
    return binding


def test_a_session_comes_back_as_it_was_asked_for(database: Database) -> None:
    request = replace(request_of(), pixel_size=(0.1, 0.2), labels={"a": "b"})
    session = opened(database, request)
    assert session.request == request
    assert (session.state, session.restarts, session.jobs) == (SessionState.OPEN, 0, ())
    assert Sessions(database).get(session.id, owner="lab") == session
    with pytest.raises(NotFoundError):
        Sessions(database).get(session.id, owner="another")


@pytest.mark.parametrize(
    ("limit", "changed"),
    [
        ("live_sessions", {"everyone": 1}),
        ("live_sessions_per_key", {"per_key": 1}),
        ("live_memory", {"memory": request_of().memory}),
    ],
)
def test_no_more_than_there_is_room_for(
    database: Database, limit: str, changed: dict[str, int]
) -> None:
    sessions, room = Sessions(database), replace(ROOM, **changed)
    first = sessions.open(request_of(), room)
    with pytest.raises(SessionsFullError) as refused:
        sessions.open(request_of(), room)
    assert refused.value.limit == limit
    assert sessions.end(first.id, SessionState.CLOSED, "closed", {})
    sessions.open(request_of(), room)


def test_a_key_makes_one_session(database: Database) -> None:
    sessions, one = Sessions(database), replace(ROOM, per_key=1)
    asked = replace(request_of(), pixel_size=(0.1, 0.2), labels={"a": "b"}, request_id="1")
    first = sessions.open(asked, one, idempotency_key="k")
    again = replace(asked, request_id="2", key_id="another")
    assert sessions.open(again, one, idempotency_key="k") == first
    assert sessions.open_now() == 1
    with pytest.raises(IdempotencyMismatchError):
        sessions.open(replace(asked, history=1), one, idempotency_key="k")
    assert sessions.open(request_of(owner="b"), ROOM, idempotency_key="k").id != first.id
    sessions.end(first.id, SessionState.CLOSED, "closed", {})
    assert sessions.open(asked, one, idempotency_key="k").state is SessionState.CLOSED


def test_one_worker_at_a_time(database: Database) -> None:
    session = opened(database)
    first = bound(database, session.id)
    assert Binding(database, session.id, 1, "other").claim(60.0) is None
    assert first.renew(60.0, touched_ago=0.0)
    assert first.release(lost=False)
    assert not first.renew(60.0, touched_ago=0.0)
    assert Binding(database, session.id, 1, "other").claim(60.0) is None
    second = bound(database, session.id, 2, "other")
    assert not first.release(lost=True)
    assert second.renew(60.0, touched_ago=None)
    assert Sessions(database).get(session.id).restarts == 1


def test_a_lease_that_ran_out_frees_the_session(database: Database) -> None:
    session = opened(database)
    binding = Binding(database, session.id, 1, "w")
    assert binding.renew(60.0, touched_ago=None)  # its process has yet to claim
    assert binding.claim(-1.0) is not None
    assert Sessions(database).recover() == [session.id]
    assert not binding.renew(60.0, touched_ago=None)
    (waiting,) = Sessions(database).unbound(9)
    assert (waiting.session_id, waiting.attempt) == (session.id, 2)


def test_a_session_that_workers_die_of_fails(database: Database) -> None:
    session = opened(database)
    for number in range(1, MOST_LOST + 2):
        assert bound(database, session.id, number).release(lost=True)
    ended = Sessions(database).get(session.id)
    assert (ended.state, ended.reason) == (SessionState.FAILED, "worker_lost")
    assert Sessions(database).unbound(9) == []


def test_dispatched_once_for_each_look(database: Database) -> None:
    session = opened(database)
    sessions = Sessions(database)
    (waiting,) = sessions.unbound(9)
    assert waiting.dispatched_ago is None
    again = sessions.dispatch(waiting)
    assert again is not None
    assert again.queue_id != waiting.queue_id
    assert sessions.dispatch(waiting) is None
    bound(database, session.id)
    assert sessions.unbound(9) == []


def test_idle_ended_and_forgotten(database: Database) -> None:
    session = opened(database)
    sessions = Sessions(database)
    assert sessions.idle(60.0) == []
    binding = bound(database, session.id)
    assert binding.renew(60.0, touched_ago=120.0)
    assert sessions.idle(60.0) == [session.id]
    assert sessions.end(session.id, SessionState.CLOSED, "idle", {"counts": {}})
    assert not sessions.end(session.id, SessionState.CLOSED, "closed", {})
    assert not binding.renew(60.0, touched_ago=0.0)
    assert sessions.idle(60.0) == []
    assert sessions.forget(after_s=60.0, limit=9) == 0
    assert sessions.forget(after_s=-1.0, limit=9) == 1
    with pytest.raises(NotFoundError):
        sessions.get(session.id)
