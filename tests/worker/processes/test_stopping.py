"""A worker that is told to stop does so, whatever it is doing."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.support.servers import valkey_server
from worker.ledger.database import Database
from worker.ledger.workers import Workers
from worker.processes import horse
from worker.processes.horse import ReucidWorker
from worker.settings import Settings


@pytest.fixture
def handlers() -> Iterator[None]:
    """Signals are handled as before when the test ends."""
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_it_stops_though_exceptions_are_swallowed_where_the_signal_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = 0

    def beat(_workers: Workers, _name: str) -> None:
        """As SQLAlchemy is while it gives a connection back."""
        nonlocal told
        told += 1
        if told > 1:
            raise SystemExit("it went on")
        with contextlib.suppress(Exception):
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(horse, "BEAT_INTERVAL", 0.0)
    monkeypatch.setattr(Workers, "beat", beat)
    with valkey_server(tmp_path) as valkey, Redis.from_url(valkey.url) as redis:
        settings = Settings(data_dir=tmp_path / "data", redis_url=valkey.url)
        database = Database.open(settings.ledger_url)
        worker = ReucidWorker(database, redis, settings)
        worker.work(logging_level="WARNING")
        database.close()
    assert told == 1
