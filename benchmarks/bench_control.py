"""What the control plane bears: jobs that are submitted, claimed and committed, but not computed.

Submitted through API processes, put into the queue by the dispatcher, taken from it by workers
that do all that a work horse does to ledger and queue, and nothing else: no fork, no files, no
denoising.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from machine import machine
from redis import Redis
from rq import Queue
from rq.exceptions import DequeueTimeout
from rq.serializers import JSONSerializer
from sqlalchemy import Connection, func, select, text

from app.api.auth import LOCAL
from tests.support.lattices import add_image
from tests.support.postgres import Cluster
from tests.support.servers import Members, valkey_server
from tests.support.waiting import until
from worker.contract import QUEUE, Artifact, Stage, State
from worker.ledger.attempt import Attempt
from worker.ledger.database import Database
from worker.ledger.tables import jobs
from worker.ledger.workers import Workers
from worker.settings import DAY, Settings
from worker.wake import tell_readers, wake

WORKERS, APIS = (1, 4, 16, 64), (1, 2, 4)
COLUMNS = (
    *("ledger", "workers", "APIs", "jobs/s", "p50 s", "p95 s"),
    *("held ms", "waited ms", "lock held", "waiting", "load"),
    *("CPU ms a job: API", "dispatcher", "workers", "database", "queue", "clients"),
)
PROCESSES = 2  # that the workers share
CLIENTS = 8  # for each API
KINDS = {  # of processes, by what is in their command lines
    "app.api": "API",
    "worker dispatch": "dispatcher",
    "spawn_main": "workers",
    "postgres": "database",
    "valkey": "queue",
}
LEASE = 30.0  # s
LOOK = 0.05  # s between two looks at PostgreSQL's locks
MADE = [Artifact(name, "0" * 64, 1) for name in ("result.npy", "report.json", "eigenpatches.npz")]


class Watched(Database):
    """A ledger that notes how long attempts wait for their turn to write, and how long it is."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.waited: list[float] = []
        self.held: list[float] = []

    @contextmanager
    def fenced(self) -> Iterator[Connection]:
        begun = time.perf_counter()
        with super().fenced() as connection:
            mine = time.perf_counter()
            self.waited.append(mine - begun)
            yield connection
        self.held.append(time.perf_counter() - mine)


# --- workers without work ---


def work(settings: Settings, names: list[str], over: Any, said: Any) -> None:
    """Workers of one process, until it is over."""
    database = Watched(settings.ledger_url)
    threads = [
        threading.Thread(target=_work, args=(database, settings.redis_url or "", name, over))
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said.put((database.waited, database.held))


def _work(database: Database, redis_url: str, name: str, over: Any) -> None:
    redis = Redis.from_url(redis_url)
    queue = Queue(QUEUE, connection=redis, serializer=JSONSerializer)
    Workers(database).beat(name)
    while not over.is_set():
        try:
            taken = Queue.dequeue_any([queue], 1, connection=redis, serializer=JSONSerializer)
        except DequeueTimeout:
            continue
        assert taken is not None  # as it waited
        job_id, number = taken[0].args
        taken[0].delete()
        _attempt(Attempt(database, job_id, number, worker=name), redis)


def _attempt(attempt: Attempt, redis: Redis) -> None:
    """What a horse writes and whom it tells, as in `worker.processes.job`."""
    if attempt.claim(LEASE) is None:
        return
    attempt.enter(Stage.DENOISING)
    wake(redis, attempt.job_id)
    attempt.stack_done(1, 2, {"kept": 1})
    tell_readers(redis, attempt.job_id)
    attempt.enter(Stage.SAVING)
    tell_readers(redis, attempt.job_id)
    attempt.commit(MADE, expires_in_s=DAY)
    wake(redis, attempt.job_id)


# --- one measurement ---


def cpu_of_members() -> dict[str, float]:
    """Seconds of processor time that each kind of process has taken so far."""
    me = psutil.Process()
    found = dict.fromkeys(KINDS.values(), 0.0) | {"clients": sum(me.cpu_times()[:2])}
    for process in me.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            line = " ".join(process.cmdline())
            kind = next((kind for mark, kind in KINDS.items() if mark in line), None)
            if kind is not None:
                found[kind] += sum(process.cpu_times()[:2])
    return found


@dataclass
class Looks:
    """PostgreSQL's writer lock, looked at again and again."""

    held: list[bool] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)

    @contextmanager
    def at(self, url: str) -> Iterator[None]:
        over = threading.Event()

        def look() -> None:
            with closing(Database(url)) as database:
                while not over.wait(LOOK):
                    with database.reading() as connection:
                        granted = connection.execute(
                            text("SELECT granted FROM pg_locks WHERE locktype = 'advisory'")
                        ).scalars()
                        found = list(granted)
                    self.held.append(any(found))
                    self.waiting.append(len(found) - sum(found))

        thread = threading.Thread(target=look)
        if url.startswith("postgresql"):
            thread.start()
        yield
        over.set()
        if thread.is_alive():
            thread.join()


def measure(url: str | None, workers: int, apis: int, count: int) -> None:
    """Submit as fast as the APIs take them, and print a row of the table."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        valkey = stack.enter_context(valkey_server(folder))
        settings = Settings(
            data_dir=folder / "data", database_url=url, redis_url=valkey.url, rate_limit=""
        )
        database = stack.enter_context(closing(Database.open(settings.ledger_url)))
        members = Members(folder, settings)
        stack.callback(members.stop)
        urls = [members.start("api").url for _ in range(apis)]
        members.start("dispatch")
        until(lambda: all(map(answers, urls)), "all APIs answer")
        looks = Looks()
        with working(settings, workers) as notes, looks.at(settings.ledger_url):
            until(lambda: Workers(database).alive(within_s=60) >= workers, "all workers are there")
            image_id = add_image(database, owner=LOCAL).id
            before = cpu_of_members()
            submit(urls, image_id, count)
            until(lambda: ended(database) == count, "all jobs have ended")
            after = cpu_of_members()
        cpu = {kind: 1e3 * (after[kind] - before[kind]) / count for kind in after}
        report(database, workers, apis, notes, looks, cpu)


def answers(url: str) -> bool:
    """Whether an API answers, whatever it says of workers."""
    try:
        return httpx.get(f"{url}/livez", timeout=5).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


@contextmanager
def working(settings: Settings, workers: int) -> Iterator[list[tuple[list[float], list[float]]]]:
    """So many workers; at last, how long the writes of each process waited and held the lock."""
    spawn = multiprocessing.get_context("spawn")
    over, said = spawn.Event(), spawn.Queue()
    names = [f"control-{n}" for n in range(workers)]
    shares = [share for n in range(PROCESSES) if (share := names[n::PROCESSES])]
    processes = [spawn.Process(target=work, args=(settings, each, over, said)) for each in shares]
    for process in processes:
        process.start()
    notes: list[tuple[list[float], list[float]]] = []
    try:
        yield notes
    finally:
        over.set()
        notes += [said.get() for _ in processes]
        for process in processes:
            process.join()


def submit(urls: list[str], image_id: str, count: int) -> None:
    """From as many clients as the APIs have, one job after the other each.

    Clients are other machines; here they take from the same processors, so they are as light as
    can be.
    """
    turns = itertools.count()
    body = json.dumps({"image_id": image_id, "params": {}}).encode()

    def client(url: str) -> None:
        address = httpx.URL(url)
        connection = HTTPConnection(address.host, address.port, timeout=60)
        with closing(connection):
            while next(turns) < count:
                connection.request("POST", "/v1/jobs", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                said = answer.read()
                assert answer.status == httpx.codes.ACCEPTED, said

    with ThreadPoolExecutor(CLIENTS * len(urls)) as pool:
        list(pool.map(client, urls * CLIENTS))


def ended(database: Database) -> int:
    """How many jobs have succeeded."""
    with database.reading() as connection:
        succeeded = select(func.count()).where(jobs.c.state == State.SUCCEEDED)
        return connection.execute(succeeded).scalar_one()


def report(
    database: Database,
    workers: int,
    apis: int,
    notes: list[tuple[list[float], list[float]]],
    looks: Looks,
    cpu: dict[str, float],
) -> None:
    """Print a row."""
    with database.reading() as connection:
        rows = connection.execute(select(jobs.c.created_at, jobs.c.finished_at)).all()
    created, finished = np.array(rows, float).T
    rate = len(rows) / (finished.max() - created.min())
    p50, p95 = np.percentile(finished - created, (50, 95))
    waited, held = (1e3 * np.median(np.concatenate([each[n] for each in notes])) for n in (0, 1))
    share = f"{100 * np.mean(looks.held):.0f} %" if looks.held else "-"
    queue = f"{np.mean(looks.waiting):.1f}" if looks.waiting else "-"
    print(
        f"| {database.engine.dialect.name} | {workers} | {apis} "
        f"| {rate:.0f} | {p50:.2f} | {p95:.2f} | {held:.1f} | {waited:.1f} "
        f"| {share} | {queue} | {os.getloadavg()[0]:.0f} "
        f"| {' | '.join(f'{each:.1f}' for each in cpu.values())} |",
        flush=True,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=400)
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS)
    parser.add_argument("--apis", type=int, nargs="+", default=APIS)
    parser.add_argument("--ledgers", nargs="+", default=("sqlite", "postgresql"))
    options = parser.parse_args()
    print(machine())
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    with ExitStack() as stack:
        cluster = None
        if "postgresql" in options.ledgers:
            cluster = Cluster.make(durable=True)
            stack.callback(cluster.remove)
        for ledger, workers, apis in itertools.product(
            options.ledgers, options.workers, options.apis
        ):
            url = cluster.create() if cluster is not None and ledger == "postgresql" else None
            measure(url, workers, apis, options.jobs)


if __name__ == "__main__":
    main()
