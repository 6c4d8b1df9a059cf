"""Frames through Valkey: nothing is lost uncounted, nothing grows without bound."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from tests.support.live import SHAPE, at_attempt, frame_of, opened, request_of
from tests.support.servers import valkey_server
from worker.contract import Mode, SessionRecord
from worker.ledger.database import Database
from worker.live.messages import Flag, Kind, Message
from worker.live.transport import Block, LostError, Overtaken, Transport, end, places

ROWS = SHAPE[0]
RATE = 10**6


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with (
        valkey_server(tmp_path_factory.mktemp("queue")) as valkey,
        Redis.from_url(valkey.url) as redis,
    ):
        yield redis


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database.open(f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.sqlite'}")
    yield database
    database.close()


def placed(redis: Redis, session: SessionRecord) -> Transport:
    transport = Transport(redis, session)
    transport.create()
    return transport


@pytest.fixture
def transport(redis: Redis, database: Database) -> Transport:
    return placed(redis, opened(database))


def block(frame: int, first: int = 0, rows: int = ROWS) -> Block:
    pixels = frame_of(frame)[first : first + rows]
    return Block(frame, first, rows, pixels.tobytes(), 0.0)


def put(transport: Transport, frame: int, first: int = 0, rows: int = ROWS) -> str:
    return transport.put(block(frame, first, rows), RATE)[0]


def publish(transport: Transport, frame: int, sequence: int, attempt: int = 1) -> None:
    image = np.zeros(SHAPE, np.float32)
    message = Message(Kind.DENOISED, SHAPE, frame, 0, image, sequence, flags=Flag.WHOLE)
    transport.publish(attempt, message, transport.session.request.history, None)


def key_names(redis: Redis, session: SessionRecord) -> set[str]:
    return {key.decode() for key in redis.scan_iter(match=f"*{session.id}*")}


def test_rows_come_out_as_they_went_in(transport: Transport) -> None:
    for first in (16, 0, 32):
        assert put(transport, 3, first, 16) == "taken"
    work = transport.take(1)
    assert work is not None
    assert (work.frame, work.ranges) == (3, [(0, 48)])
    assert np.array_equal(transport.rows(3, 0, 48), frame_of(3))
    assert transport.kept() == [3]
    assert transport.take(1) is None


def test_bad_rows_are_told_apart(transport: Transport) -> None:
    assert put(transport, 5, 0, 10) == "taken"
    assert put(transport, 5, 0, 10) == "repeated"
    assert put(transport, 5, 2, 3) == "repeated"
    assert put(transport, 5, 8, 4) == "overlap"
    assert put(transport, 4) == "passed"
    standing = transport.standing()
    assert standing is not None
    assert (standing.received, standing.repeated) == (1, 2)


def test_the_newest_wins_and_what_it_passes_is_counted(transport: Transport) -> None:
    for frame in range(5):
        assert put(transport, frame) == "taken"
    standing = transport.standing()
    assert standing is not None
    assert (standing.received, standing.dropped, standing.waiting) == (5, 3, 2)
    work = transport.take(1)
    assert work is not None
    assert work.frame == 3


def test_lossless_pushes_back(redis: Redis, database: Database) -> None:
    transport = placed(redis, opened(database, request_of(mode=Mode.LOSSLESS)))
    outcomes = [put(transport, frame) for frame in range(9)]
    assert outcomes == ["taken"] * 8 + ["full"]
    for frame in range(8):
        work = transport.take(1)
        assert work is not None
        assert work.frame == frame
    assert put(transport, 8) == "taken"


def test_a_session_sends_so_many_blocks_in_a_second(transport: Transport) -> None:
    outcomes = {transport.put(block(0, row, 1), 3)[0] for row in range(ROWS)}
    assert outcomes == {"taken", "rate"}


def test_a_worker_that_was_replaced_publishes_nothing(transport: Transport) -> None:
    put(transport, 0)
    sequence, _ = transport.bind(1)
    assert transport.take(1) is not None
    publish(transport, 0, sequence + 1)
    again = Transport(transport.redis, at_attempt(transport.session, 2))
    assert again.bind(2)[0] == sequence + 1
    with pytest.raises(Overtaken):
        transport.take(1)
    with pytest.raises(Overtaken):
        publish(transport, 1, sequence + 2)
    with pytest.raises(Overtaken):
        transport.bind(1)
    standing = again.standing()
    assert standing is not None
    assert (standing.processed, standing.attempt) == (1, 2)


def test_the_next_worker_gets_the_rows_that_its_predecessor_had(transport: Transport) -> None:
    put(transport, 0, 0, 10)
    put(transport, 0, 20, 10)
    assert transport.take(1) is not None
    assert transport.take(1) is None
    transport.bind(2)
    work = transport.take(2)
    assert work is not None
    assert work.ranges == [(0, 10), (20, 10)]


def test_a_wiped_valkey_is_noticed_and_numbers_go_on(transport: Transport) -> None:
    put(transport, 0)
    before = transport.standing()
    transport.redis.flushall()
    assert put(transport, 1) == "absent"
    with pytest.raises(LostError):
        transport.take(1)
    transport.create()
    after = transport.standing()
    assert before is not None
    assert after is not None
    assert after.sequence >= before.sequence


def test_the_end_leaves_no_pixel(redis: Redis, transport: Transport) -> None:
    for frame in range(6):
        put(transport, frame)
        if frame % 2:
            transport.take(1)
    assert transport.session.id in places(redis)
    end(redis, transport.session.id)
    assert key_names(redis, transport.session) == {f"reucid:live:{transport.session.id}:state"}
    assert put(transport, 9) == "closed"
    with pytest.raises(Overtaken):
        transport.take(1)


@settings(max_examples=20)
@given(st.lists(st.sampled_from(["whole", "part", "rest", "take", "publish"]), max_size=40))
def test_every_frame_is_accounted_for_and_memory_is_bounded(
    redis: Redis, database: Database, steps: list[str]
) -> None:
    transport = placed(redis, opened(database))
    frame, rest, sequence = -1, False, transport.bind(1)[0]
    taken: int | None = None
    for step in steps:
        if step in ("whole", "part"):
            frame += 1
            rest = step == "part"
            put(transport, frame, 0, 20 if rest else ROWS)
        elif step == "rest" and rest:
            put(transport, frame, 20, ROWS - 20)
            rest = False
        elif step == "take":
            work = transport.take(1)
            taken = work.frame if work else taken
        elif step == "publish" and taken is not None:
            sequence += 1
            publish(transport, taken, sequence)
        standing = transport.standing()
        assert standing is not None
        at_work = standing.received - (
            standing.processed + standing.superseded + standing.dropped + standing.waiting
        )
        assert at_work in (0, 1)
        held = [key for key in key_names(redis, transport.session) if ":raw:" in key]
        assert len(held) <= 4 + 2 + 2  # kept, waiting, the newest and the one at work
        assert redis.llen(f"reucid:live:{transport.session.id}:results") <= 3
    end(redis, transport.session.id)
