"""The clock of the whole server jumps by an hour while jobs run."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from tests.faults.cases import Case
from tests.faults.checker import check
from tests.faults.history import Client, History
from tests.faults.rig import Rig
from tests.support.waiting import until
from worker.contract import State
from worker.ledger.workers import Workers

COMPILER = shutil.which("cc")
HOUR = 3600

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C compiler: apt install gcc")


class JumpingServer:
    """A server whose processes share a clock that is set while they run."""

    def __init__(self, make_rig: Callable[..., Rig], folder: Path) -> None:
        self._ahead = folder / "ahead"
        self.set(0)
        assert COMPILER is not None
        library = folder / "jump.so"
        source = Path(__file__).with_name("jump.c")
        subprocess.run([COMPILER, "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
        beside = {"LD_PRELOAD": str(library), "JUMP_FILE": str(self._ahead)}
        self.rig = make_rig(workers=1, beside=beside)

    def set(self, seconds: int) -> None:
        """Have the server's clock so far ahead of this process's."""
        new = self._ahead.with_suffix(".new")
        new.write_text(f"{seconds}")
        new.replace(self._ahead)

    def said(self, event: str) -> bool:
        return event in self.rig.log.read_text()


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_jump_takes_no_job_from_a_living_worker(
    make_rig: Callable[..., Rig], known: list[Case], tmp_path: Path, jump: int
) -> None:
    server, history = JumpingServer(make_rig, tmp_path), History()
    rig = server.rig
    with Client(rig.url, history, 1) as client:
        before = client.submit(known[0])
        client.follow(before)
        address = f"{rig.url}/v1/jobs/{before.job_id}"
        tags = [
            httpx.get(f"{address}{path}", trust_env=False, timeout=60).headers["etag"]
            for path in PATHS
        ]
        with rig.stopped_at("job.sealed") as find:
            running = client.submit(known[1])
            horse = find()
            worker = horse.parent()
            assert worker is not None
            worker.suspend()  # it has not yet renewed its lease when the dispatcher looks
            rig.held |= {worker.pid, horse.pid}
            server.set(jump)
            event = "clock_jumped" if jump > 0 else "leases_shortened"
            until(lambda: server.said(event) or rig.jobs.get(running.job_id).attempt > 1, event)
            worker.resume()
            horse.resume()
        client.follow(running)
        client.fetch(running)
        assert rig.jobs.get(running.job_id).attempt == 1, "it was taken from a worker that lives"
        after = client.submit(known[2])
        client.follow(after)
        client.read_events(after)
        client.fetch(after)
        for path, tag in zip(PATHS, tags, strict=True):
            answer = httpx.get(f"{address}{path}", trust_env=False, timeout=60)
            assert (answer.status_code, answer.headers["etag"]) == (200, tag)
    assert broken(rig, history) == []
    rig.stop()


def broken(rig: Rig, history: History) -> list[str]:
    """Promises that were; times go back with the clock, the numbers of events do not."""
    found = check(history, rig.database, rig.store)
    return [line for line in found if "goes back in time" not in line]


PATHS = ("", "/result")


def test_a_worker_that_dies_after_the_clock_was_set_back_is_missed_soon(
    make_rig: Callable[..., Rig], known: list[Case], tmp_path: Path
) -> None:
    server, history = JumpingServer(make_rig, tmp_path), History()
    rig = server.rig
    with Client(rig.url, history, 1) as client, rig.stopped_at("job.claimed") as find:
        lost = client.submit(known[0])
        horse = find()
        worker = horse.parent()
        assert worker is not None
        worker.suspend()
        rig.held |= {worker.pid, horse.pid}
        server.set(-HOUR)
        rig.kill_process(worker, "worker")
        psutil.wait_procs([horse], timeout=20)
        until(lambda: rig.jobs.get(lost.job_id).attempt == 2, "another attempt is made")
        client.follow(lost)
        client.fetch(lost)
        assert rig.jobs.get(lost.job_id).state is State.SUCCEEDED
        # This process's clock is an hour ahead of the server's: it must not count the dead.
        until(lambda: Workers(rig.database).alive(within_s=2 * HOUR) >= 1, "the new one is there")
    assert broken(rig, history) == []
    rig.stop()
