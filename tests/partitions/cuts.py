"""Cutting a worker off from a service while it is at a stage of a job."""

import contextlib
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import psutil

from tests.faults.cases import Case
from tests.faults.history import Client, Submission
from tests.faults.scenarios import POINTS, SPREAD_POINTS
from tests.partitions.deployment import Deployment, WorkerHost
from tests.partitions.network import Direction
from tests.support.waiting import DEADLINE, LOOK, until

SERVICES = ("ledger", "queue", "store")
WHOLE = tuple(point for point, role in POINTS.items() if role in ("horse", "worker"))
# Of a stack; where it comes to its end, it is as any other job.
SPREAD = tuple(point for point in SPREAD_POINTS if not point.startswith("job."))
STAGES = (*WHOLE, *SPREAD)
MOST_JOBS = 60  # submitted until a worker is where it is to be caught


@dataclass(frozen=True)
class Cut:
    """A service away from one worker, from a stage on."""

    service: str
    seconds: float
    direction: Direction
    stage: str


@dataclass
class Tried:
    """What came of a cut."""

    cut: Cut
    jobs: list[Submission]
    begun: float  # s since the epoch
    back_s: float  # from the end of the cut until the worker gave a sign of life
    went_on: bool  # whether the worker's process outlived it


def all_cuts(seconds: Sequence[float], seed: int) -> list[Cut]:
    """Every cut once, in an order of chance."""
    cuts = [
        Cut(service, length, direction, stage)
        for length, service, direction, stage in itertools.product(
            seconds, SERVICES, Direction, STAGES
        )
    ]
    Random(seed).shuffle(cuts)
    return cuts


def try_cut(
    server: Deployment,
    host: WorkerHost,
    cut: Cut,
    client: Client,
    images: Sequence[Case],
    stacks: Sequence[Case],
) -> Tried:
    """Catch a worker at a stage, cut it off, let it go on; see all jobs to their ends."""
    with host.catcher.stopped_at(cut.stage) as find:
        known = stacks if cut.stage in SPREAD else images
        jobs = submit_until_reached(server, host, cut.stage, client, known)
        caught, begun = find(), time.time()
        with server.cut(host, cut.service, cut.direction):
            with contextlib.suppress(psutil.NoSuchProcess):  # its job is another one's by now
                caught.resume()
            time.sleep(cut.seconds)  # the length of the cut is what is tried
    mended = time.monotonic()
    went_on = server.await_back(host)
    back_s = time.monotonic() - mended
    for each in jobs:
        client.follow(each)
        client.fetch(each)
    return Tried(cut, jobs, begun, back_s, went_on)


def submit_until_reached(
    server: Deployment, host: WorkerHost, stage: str, client: Client, known: Sequence[Case]
) -> list[Submission]:
    """Submit jobs, one after the other, until this worker comes to the stage with the last."""
    jobs: list[Submission] = []
    while not host.catcher.is_reached(stage):
        assert len(jobs) < MOST_JOBS, f"{host.name} never came to {stage}"
        jobs.append(wanted := client.submit(client.rng.choice(known)))
        until(
            lambda job_id=wanted.job_id: (
                host.catcher.is_reached(stage) or server.jobs.get(job_id).state.terminal
            ),
            f"{stage}, or the end of a job",
            3 * DEADLINE,
        )
        time.sleep(LOOK)
    return jobs
