"""What each process of the long form does: one server, and all that is tried on it."""

import argparse
import os
import queue
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.faults.cases import cases, stacks
from tests.faults.history import Submission
from tests.partitions.cuts import Cut, Tried, try_cut
from tests.partitions.deployment import FRAMES, Deployment, WorkerHost, deployed
from tests.support.buckets import CREDENTIALS
from worker.contract import State

LOST = ("accepted, and not in the ledger", "accepted, and still")
DOUBLED = (" jobs", "twice", "one key was answered")


@dataclass
class Row:
    """What came of one cut, or of a run on slow links."""

    cut: Cut | None
    jobs: int
    again: int  # attempts beyond the first
    failed: int
    lost: int
    doubled: int
    ended_s: list[float]  # of each job, from the cut (or its submission) to its end
    back_s: float


@dataclass
class Outcome:
    """Of one server: its rows, and every broken promise."""

    rows: list[Row]
    broken: list[str]


def cut_again_and_again(wanted: Sequence[Cut], options: argparse.Namespace, number: int) -> Outcome:
    """All cuts of one server, shared among its workers but one."""
    os.environ |= CREDENTIALS
    images, frames = cases(16), stacks(2, FRAMES)
    left: queue.SimpleQueue[Cut] = queue.SimpleQueue()
    for cut in wanted:
        left.put(cut)
    end, failed = time.monotonic() + 60 * options.minutes, list[str]()

    def lane(n: int, host: WorkerHost) -> list[Tried]:
        tried = []
        with server.client(1000 * options.seed + 100 * number + n) as client:
            while time.monotonic() < end:
                try:
                    cut = left.get_nowait()
                except queue.Empty:
                    break
                try:
                    tried.append(try_cut(server, host, cut, client, images, frames))
                except AssertionError as error:
                    failed.append(f"{cut}: {error}")
                print(f"  {left.qsize()} left of server {number}: {cut}", flush=True)  # noqa: T201
        return tried

    with (
        tempfile.TemporaryDirectory(prefix="reucid-partitions-") as name,
        deployed(Path(name), options.workers) as server,
    ):
        lanes = server.hosts[:-1]
        with ThreadPoolExecutor(len(lanes)) as pool:
            tried = [each for some in pool.map(lane, range(len(lanes)), lanes) for each in some]
        found = server.check()
        failed += [f"the worker's process ended: {each.cut}" for each in tried if not each.went_on]
        return Outcome([_row(server, each, found) for each in tried], failed + found)


def _row(server: Deployment, tried: Tried, found: list[str]) -> Row:
    row = _judged(server, tried.cut, tried.jobs, found)
    row.ended_s = [_end_of(server, each) - tried.begun for each in tried.jobs]
    row.back_s = tried.back_s
    return row


def _judged(
    server: Deployment, cut: Cut | None, jobs: Sequence[Submission], found: list[str]
) -> Row:
    """What the checker said of some jobs."""
    names = {f"job {each.job_id}:" for each in jobs} | {f"key {each.key}:" for each in jobs}
    ours = [line for line in found if any(line.startswith(name) for name in names)]
    records = [server.jobs.get(each.job_id) for each in jobs]
    again = sum(job.attempt - 1 for job in records)
    failed = sum(job.state is State.FAILED for job in records)
    lost = sum(any(word in line for word in LOST) for line in ours)
    doubled = sum(any(word in line for word in DOUBLED) for line in ours)
    return Row(cut, len(jobs), again, failed, lost, doubled, [], 0.0)


def _end_of(server: Deployment, wanted: Submission) -> float:
    ended = server.jobs.get(wanted.job_id).finished_at
    return float("inf") if ended is None else ended


def on_slow_links(options: argparse.Namespace) -> Outcome:
    """Many jobs on workers whose links are slow."""
    os.environ |= CREDENTIALS
    images, frames = cases(16), stacks(2, FRAMES)
    known, end = [*images, *frames], time.monotonic() + 60 * options.minutes

    def live(seed: int) -> None:
        with server.client(seed) as client:
            for _ in range(options.slow_jobs // 4):
                if time.monotonic() < end:
                    client.see_through(known)

    with (
        tempfile.TemporaryDirectory(prefix="reucid-partitions-") as name,
        deployed(Path(name), 2, delay_s=options.delay, loss=options.loss) as server,
    ):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(live, range(4)))
        found = server.check()
        row = _judged(server, None, server.history.accepted, found)
        records = [server.jobs.get(each.job_id) for each in server.history.accepted]
        row.ended_s = [(job.finished_at or float("inf")) - job.created_at for job in records]
        ended = [host.name for host in server.hosts if host.member.process.poll() is not None]
        return Outcome([row], found + [f"the process of {name} ended" for name in ended])
