"""What a long queue costs: tens of thousands of jobs of a thousand owners, each with labels."""

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from bench_core import machine
from sqlalchemy import insert

from worker.contract import FileInfo, ImageInfo, JobRequest, Priority, Room
from worker.ledger.backlog import Backlog
from worker.ledger.database import Database
from worker.ledger.images import Images
from worker.ledger.jobs import Jobs
from worker.ledger.tables import jobs, labels

INTERACTIVE = 0.1  # share of the jobs


def main() -> None:
    """Fill a ledger, ask it, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=50_000)
    parser.add_argument("--owners", type=int, default=1000)
    parser.add_argument("--labels", type=int, default=2, help="of each job")
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("--url", help="SQLAlchemy's; an empty database")
    parser.add_argument("--output", type=Path, default=Path("build/backlog.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(options.url or f"sqlite:///{folder}/ledger.sqlite")
        ids, images = fill(database, options)
        figures = {"machine": machine()} | measure(database, ids, images, options)
        database.close()
    for name, value in figures.items():
        print(f"{name:<56} {value}")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(figures, indent=1))


def fill(database: Database, options: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """Enter the jobs at once, as if they had been submitted one after the other."""
    info = FileInfo("tiff", (ImageInfo("tiff", (32, 32), "uint16", (0.1, 0.1), "nm"),))
    images = {}
    for n in range(options.owners):
        record, _ = Images(database).add(
            image_id=uuid4().hex, owner=f"owner-{n}", name="a", sha256=f"{n:064}", size=1, info=info
        )
        images[record.owner] = record.id
    rng, rounds, ids = np.random.default_rng(0), Counter[tuple[str, str]](), []
    rows, named = [], []
    for n in range(options.jobs):
        # A few owners have most of the jobs.
        owner = f"owner-{int(options.owners * rng.random() ** 3)}"
        priority = Priority.INTERACTIVE if rng.random() < INTERACTIVE else Priority.BATCH
        ids.append(uuid4().hex)
        rows.append(
            {
                "id": ids[-1],
                "owner": owner,
                "image_id": images[owner],
                "params": {},
                "priority": priority,
                "labels": {"run": str(n % 100)},
                "metadata": {},
                "state": "queued",
                "turn": rounds[owner, priority],
                "created_at": time.time() - options.jobs + n,
            }
        )
        rounds[owner, priority] += 1
        named += [
            {"job_id": ids[-1], "name": f"label-{k}", "value": str(n % 100)}
            for k in range(options.labels)
        ]
    with database.writing() as connection:
        for start in range(0, len(rows), 5000):
            connection.execute(insert(jobs), rows[start : start + 5000])
        for start in range(0, len(named), 5000):
            connection.execute(insert(labels), named[start : start + 5000])
    return ids, images


def measure(
    database: Database, ids: list[str], images: dict[str, str], options: argparse.Namespace
) -> dict[str, Any]:
    """Milliseconds: median and largest."""
    known, backlog = Jobs(database), Backlog(database)
    room = Room(10**9, 10**9)

    def submit() -> None:
        owner = next(iter(images))
        known.submit(JobRequest(owner, images[owner], {}), room=room)

    def dispatch() -> None:
        backlog.dispatch(backlog.waiting(1))

    asked: dict[str, Callable[[], object]] = {
        "submit": submit,
        "check_room": lambda: known.check_room("owner-0", room),
        "what is next (1)": lambda: backlog.waiting(1),
        "what is next (16)": lambda: backlog.waiting(16),
        "position of the first": lambda: known.queue_position(ids[0]),
        "position of the last": lambda: known.queue_position(ids[-1]),
        "positions of a page of 200": lambda: known.queue_positions(
            [each.id for each in known.page(limit=200)]
        ),
        "page of 50 of an owner": lambda: known.page(owner="owner-0", limit=50),
        "page of 200 of all, queued": lambda: known.page(state="queued", limit=200),  # type: ignore[arg-type]
        "page by a label that 1 in 100 has": lambda: known.page(
            owner="owner-0", label=("label-0", "7"), limit=50
        ),
        "page by a label that none has": lambda: known.page(
            owner="owner-0", label=("label-0", "none"), limit=50
        ),
        "page by a label that none has, all owners": lambda: known.page(
            label=("label-0", "none"), limit=50
        ),
        "counts for /metrics": known.counts,
        "longest wait": known.longest_wait,
        "dispatch": dispatch,
    }
    figures: dict[str, Any] = {
        "queued, owners, labels": [len(ids), len(images), options.labels * len(ids)],
    }
    for name, ask in asked.items():
        seconds = []
        for _ in range(options.times):
            begun = time.perf_counter()
            ask()
            seconds.append(time.perf_counter() - begun)
        figures[f"{name}: median, most (ms)"] = [
            round(1e3 * float(each), 2) for each in (np.median(seconds), max(seconds))
        ]
    return figures | {"owners in the first 1000 dispatched": fairness(database, len(images))}


def fairness(database: Database, owners: int) -> str:
    """How evenly the jobs that are next are shared."""
    shares = Counter(
        known.request.owner
        for each in Backlog(database).waiting(1000)
        for known in [Jobs(database).get(each.job_id)]
    )
    return f"{len(shares)} of {owners}, at most {max(shares.values())} of one"


if __name__ == "__main__":
    main()
