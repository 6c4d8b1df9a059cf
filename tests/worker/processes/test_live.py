"""A live session outlives its workers, whatever becomes of them."""

import signal
from collections.abc import Callable, Iterator

import psutil
import pytest
from redis import Redis

from tests.support.live import ROOM, SHAPE, frame_of, request_of
from tests.support.servers import Server, Valkey, valkey_server
from tests.support.waiting import until
from worker.contract import SessionRecord, SessionState
from worker.ledger.sessions import Sessions
from worker.live.transport import Block, Standing, Transport, places


class Scan:
    """A session on a server, and frames that go there."""

    def __init__(self, server: Server, redis: Redis) -> None:
        self._server = server
        self.session: SessionRecord = Sessions(server.database).open(request_of(), ROOM)
        self._transport = Transport(redis, self.session)
        self._transport.create()
        self._frame = -1

    @property
    def record(self) -> SessionRecord:
        return Sessions(self._server.database).get(self.session.id)

    @property
    def standing(self) -> Standing:
        found = self._transport.standing()
        assert found is not None
        return found

    def scan(self) -> None:
        """Send a frame, and wait until it is shown."""
        self._frame += 1
        pixels = frame_of(self._frame).tobytes()
        block = Block(self._frame, 0, SHAPE[0], pixels, 0.0)
        assert self._transport.put(block, 10**6)[0] == "taken"
        until(lambda: self.standing.shown == self._frame, f"frame {self._frame}")

    def processes(self) -> tuple[psutil.Process, psutil.Process]:
        """The worker, and the process that it forked for the session."""
        found = self._server.processes("live")
        (worker,) = [each for each in found if each.ppid() == self._server.process.pid]
        (horse,) = [each for each in found if each.ppid() == worker.pid]
        return worker, horse


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with valkey_server(tmp_path_factory.mktemp("queue")) as queue:
        yield queue


def test_a_session_outlives_its_workers(serve: Callable[..., Server], queue: Valkey) -> None:
    server = serve(redis_url=queue.url)
    scan = Scan(server, Redis.from_url(queue.url, socket_timeout=5))
    scan.scan()
    assert scan.record.worker
    before = scan.standing.sequence
    worker, horse = scan.processes()
    horse.kill()
    scan.scan()
    worker, horse = scan.processes()
    horse.send_signal(signal.SIGSTOP)
    scan.scan()
    worker, horse = scan.processes()
    worker.kill()
    scan.scan()
    worker, horse = scan.processes()
    worker.terminate()  # as a planned stop
    worker.wait(60)
    scan.scan()
    assert scan.record.restarts == 4
    assert scan.standing.attempt == 5
    assert scan.standing.sequence == before + 4
    assert scan.standing.processed == 5
    server.stop()


def test_an_idle_session_is_closed_and_its_pixels_go(
    serve: Callable[..., Server], queue: Valkey
) -> None:
    server = serve(live_idle_s=1.0, redis_url=queue.url)
    redis = Redis.from_url(queue.url, socket_timeout=5)
    scan = Scan(server, redis)
    until(lambda: scan.record.state is SessionState.CLOSED)
    assert scan.record.reason == "idle"
    until(lambda: scan.session.id not in places(redis) or scan.standing.ended)
    server.stop()
