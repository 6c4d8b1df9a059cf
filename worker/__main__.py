"""`python -m worker work`, `live` and `dispatch`: one process of the server each."""

import argparse
import gc
import signal
import sys
import threading
from functools import partial

import structlog

from worker import logs
from worker.deployment import open_deployment
from worker.ledger.database import UnusableLedgerError
from worker.membership import MixedVersionsError, admit, keep
from worker.processes.beside import beside
from worker.processes.dispatch import Dispatcher
from worker.processes.horse import ReucidWorker
from worker.processes.sweep import Sweeper
from worker.redis_client import open_redis
from worker.settings import Settings
from worker.store import UnusableStoreError
from worker.webhooks.delivery import PATIENCE, Deliverer

log = structlog.get_logger()

REDIS_TIMEOUT = 2.0  # s; leases must be looked after while a hung Redis does not answer
WORKER_REDIS_TIMEOUT = 4.0  # s, twice as long as RQ waits for a job at a time


def work(settings: Settings) -> None:
    """Load libraries and weights once, then work until told to stop."""
    # Until RQ has its own; the first process of a container would not heed it otherwise.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # With the core and torch, which dispatching does not need.
    from reucid_core.errors import ModelError
    from worker.processes.job import prepare

    database, _ = open_deployment(settings)
    member = admit(database, "worker")
    try:
        prepare(settings)
    except ModelError as error:
        log.error("no_classifier", reason=str(error))
        sys.exit(1)
    gc.collect()
    gc.freeze()  # a collection in a work horse would copy all that it shares with its parent
    connection = open_redis(settings.redis_url, WORKER_REDIS_TIMEOUT)
    ReucidWorker(database, connection, settings, member).work(logging_level="WARNING")


def live(settings: Settings) -> None:
    """Load the core once, then serve live sessions, one at a time, until told to stop."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # as above
    from reucid_core.threads import limited
    from worker.live import loop
    from worker.processes.live_worker import LiveWorker

    database, _ = open_deployment(settings)
    member = admit(database, "worker")
    with limited(settings.threads):
        log.debug("live_ready", loop=loop.__name__)
    gc.collect()
    gc.freeze()
    connection = open_redis(settings.redis_url, WORKER_REDIS_TIMEOUT)
    LiveWorker(database, connection, settings, member).work(logging_level="WARNING")


def dispatch(settings: Settings) -> None:
    """Dispatch until told to stop."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    database, store = open_deployment(settings)
    redis = open_redis(settings.redis_url, REDIS_TIMEOUT)
    member = admit(database, "dispatcher")
    alive = beside(partial(keep, database, member), "member", patience=PATIENCE)
    sweeper = Sweeper(database, store, settings)
    deliverer = Deliverer(database, settings)
    with alive, sweeper.beside(), beside(deliverer.run, "deliverer", patience=PATIENCE):
        Dispatcher(database, redis, settings).run(stop)


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m worker", description=__doc__)
    parser.add_argument("role", choices=["work", "live", "dispatch"])
    role = parser.parse_args().role
    settings = Settings()
    logs.configure(as_json=settings.log_json, level=settings.log_level)
    if not settings.redis_url:
        log.error("no_queue", reason="REUCID_REDIS_URL is not set; `reucid serve` sets it itself")
        sys.exit(2)
    try:
        {"work": work, "live": live, "dispatch": dispatch}[role](settings)
    except (UnusableLedgerError, UnusableStoreError, MixedVersionsError) as error:
        log.error("cannot_start", reason=str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
