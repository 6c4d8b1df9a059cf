"""A worker that is told to stop does so, whatever it is doing."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from rq import Worker

from tests.support.servers import valkey_server
from worker.ledger.database import Database
from worker.processes.horse import ReucidWorker
from worker.processes.live_worker import LiveWorker
from worker.settings import Settings


@pytest.fixture
def handlers() -> Iterator[None]:
    """Signals are handled as before when the test ends."""
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("kind", [ReucidWorker, LiveWorker])
def test_it_stops_though_exceptions_are_swallowed_where_the_signal_comes(
    kind: type[ReucidWorker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = 0

    def beat(*_: object) -> None:
        """Where an exception is lost, as in SQLAlchemy while it gives a connection back."""
        nonlocal told
        told += 1
        if told > 1:
            raise SystemExit("it went on")
        with contextlib.suppress(Exception):
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Worker, "heartbeat", beat)
    with valkey_server(tmp_path) as valkey, Redis.from_url(valkey.url) as redis:
        settings = Settings(data_dir=tmp_path / "data", redis_url=valkey.url)
        database = Database.open(settings.ledger_url)
        worker = kind(database, redis, settings)
        worker.work(logging_level="WARNING")
        database.close()
    assert told == 1
