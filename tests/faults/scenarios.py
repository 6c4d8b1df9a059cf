"""What is done to a server while clients use it; the short and the long form differ in numbers."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random

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

# How often each kind of fault is drawn.
WEIGHTS = {
    "horse": 6,
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
            rig.kill_process(process, POINTS[point])


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

    It goes on until so many jobs were accepted and so many processes killed; other faults come
    between them, and not every point that is waited at is reached.
    """
    rng = Random(seed)
    accepted, killed = len(history.accepted), rig.killed
    end, stop = time.monotonic() + seconds, threading.Event()

    def progress() -> float:
        done = (len(history.accepted) - accepted) / jobs
        return max(done, 1 - (end - time.monotonic()) / seconds)

    def struck() -> float:
        return (rig.killed - killed) / kills

    def over() -> bool:
        return stop.is_set() or time.monotonic() > end or min(progress(), struck()) >= 1

    def live(n: int) -> None:
        with Client(rig.url, history, seed * 1000 + n) as client:
            client.live(known, None, over)

    with ThreadPoolExecutor(clients) as pool:
        living = [pool.submit(live, n) for n in range(clients)]
        try:
            while struck() < 1 and not over() and not any(each.done() for each in living):
                # Spread over the jobs: the last kill while the last of them are on their way.
                if progress() < struck():
                    time.sleep(0.02)
                    continue
                time.sleep(0.2 * rng.random())
                strike(rig, rng)
            if any(each.done() for each in living):  # one has given up
                stop.set()
        except BaseException:
            stop.set()
            raise
        for each in living:
            each.result()


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
