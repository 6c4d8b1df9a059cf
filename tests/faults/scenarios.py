"""What is done to a server while clients use it; the short and the long form differ in numbers."""

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random

import psutil

from tests.faults.cases import Case
from tests.faults.history import Client, History, Submission
from tests.faults.rig import Rig

# Where a process is caught, and which process that is.
POINTS = {
    "accept.stored": "api",
    "accept.entered": "api",
    "submit.committed": "api",
    "dispatch.counted": "dispatcher",
    "dispatch.enqueued": "dispatcher",
    "job.forked": "horse",
    "job.claimed": "horse",
    "job.written": "horse",
    "job.sealed": "horse",
    "job.committed": "horse",
    "worker.popped": "worker",
    "worker.settling": "worker",
}

# The same of a stack that is spread: by whoever does its parts.
SPREAD_POINTS = {
    "help.forked": "horse",
    "help.claimed": "horse",
    "part.written": "horse",
    "part.sealed": "horse",
    "part.committed": "horse",
    "job.written": "horse",
    "job.sealed": "horse",
}

# How often each kind of fault is drawn.
WEIGHTS = {
    "horse": 6,
    "spare": 2,
    "worker": 5,
    "api": 4,
    "dispatcher": 4,
    "valkey": 3,
    "wipe": 3,
    "point": 6,
    "hang": 2,
    "supervisor": 1,
}


def kill_at(rig: Rig, point: str, client: Client, case: Case) -> None:
    """Kill whoever comes to a point, while a client waits for its answer."""
    with rig.stopped_at(point) as find, ThreadPoolExecutor(1) as pool:
        submitting = pool.submit(client.submit, case)
        caught = find()
        rig.kill_process(caught, POINTS[point])
        submitting.result()


def strike(rig: Rig, rng: Random) -> None:
    """One fault, drawn at random."""
    (fault,) = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))
    match fault:
        case "wipe":
            rig.wipe_valkey()
        case "hang":
            rig.hang(rng.choice(["api", "worker", "dispatcher", "valkey"]), rng.random(), rng)
        case "point":
            _strike_at(rig, rng.choice(list(POINTS)))
        case _:
            rig.kill(fault, rng)


def _strike_at(rig: Rig, point: str) -> None:
    """Kill whoever comes next to a point, if anybody does."""
    armed = rig.folder / "stop-at" / point
    armed.touch()
    end = time.monotonic() + 3
    while armed.exists() and time.monotonic() < end:
        time.sleep(0.005)
    try:
        armed.unlink()
    except FileNotFoundError:
        end = time.monotonic() + 3
        while not rig.stopped() and time.monotonic() < end:  # unless its parent was killed first
            time.sleep(0.005)
        for process in rig.stopped():
            with contextlib.suppress(psutil.NoSuchProcess):
                rig.kill_process(process, POINTS[point])


class Aim:
    """How many jobs and kills make a storm, and how far it has come."""

    def __init__(self, rig: Rig, history: History, jobs: int, kills: int, seconds: float) -> None:
        self.rig, self.history = rig, history
        self.jobs, self.kills, self.seconds = jobs, kills, seconds
        self.given_up = False
        self._end = time.monotonic() + seconds
        self._accepted_before, self._killed_before = len(history.accepted), rig.killed

    @property
    def accepted(self) -> int:
        return len(self.history.accepted) - self._accepted_before

    @property
    def killed(self) -> int:
        return self.rig.killed - self._killed_before

    @property
    def progress(self) -> float:
        """Of jobs or of time, whichever is further."""
        left = self._end - time.monotonic()
        return max(self.accepted / self.jobs, 1 - left / self.seconds)

    @property
    def reached(self) -> bool:
        """Whether jobs and kills were made, or time is over."""
        complete = self.killed >= self.kills and self.accepted >= self.jobs
        return self.given_up or complete or time.monotonic() > self._end


def storm(
    rig: Rig,
    history: History,
    known: list[Case],
    *,
    clients: int,
    jobs: int,
    kills: int,
    seed: int,
    seconds: float = 3600.0,
) -> None:
    """Clients keep submitting while one process after the other is killed.

    It ends when at least so many jobs were accepted and so many processes killed: clients that were
    faster go on until the last kill. The clock ends it earlier.
    """
    aim = Aim(rig, history, jobs, kills, seconds)
    with ThreadPoolExecutor(clients) as pool:
        living = [pool.submit(_live, aim, known, seed * 1000 + n) for n in range(clients)]
        _strike_in_turn(aim, Random(seed), living)
        for each in living:
            each.result()


def _live(aim: Aim, known: list[Case], seed: int) -> None:
    with Client(aim.rig.url, aim.history, seed) as client:
        while not aim.reached:
            client.see_through(known)


def _strike_in_turn(aim: Aim, rng: Random, living: list[Future[None]]) -> None:
    """Kill at even distances; a wipe, a hang, or a point to which nobody came, kills nobody."""
    try:
        while aim.killed < aim.kills and not aim.reached:
            if any(map(_failed, living)):
                aim.given_up = True
            elif aim.progress < (aim.killed + 1) / (aim.kills + 1):
                time.sleep(0.02)
            else:
                time.sleep(0.2 * rng.random())
                strike(aim.rig, rng)
    except BaseException:
        aim.given_up = True
        raise


def _failed(living: Future[None]) -> bool:
    """Whether a client has given up."""
    return living.done() and living.exception() is not None


def duplicates(
    urls: list[str], history: History, case: Case, *, count: int, seed: int
) -> Submission:
    """The same submission many times at once, to one API or to several.

    Each is repeated until it is accepted: while one is being received, the others get 409.
    """
    wanted = Submission(f"duplicate-{seed}", case)
    history.submissions.append(wanted)
    together = threading.Barrier(count)

    def submit(n: int) -> None:
        with Client(urls[n % len(urls)], history, seed + n) as client:
            together.wait()
            client.submit_again(wanted, in_turn=False)

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(submit, range(count)))
    return wanted


@contextmanager
def small_disk(folder: Path, size_mib: int) -> Iterator[Path]:
    """A filesystem of its own, soon full. PermissionError where one may not be made."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        raise PermissionError(mounted.stderr.strip())
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Leave no byte of a disk free."""
    ballast = folder / "ballast"
    with ballast.open("wb") as file:
        for size in (2**20, 2**12, 1):
            try:
                while True:
                    os.write(file.fileno(), b"\0" * size)
            except OSError:
                continue
    try:
        yield
    finally:
        ballast.unlink()
