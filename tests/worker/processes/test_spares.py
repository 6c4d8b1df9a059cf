"""Horses forked ahead of their job: each does one at most, and none is left behind."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.servers import LONG, SHORT, Server
from tests.support.waiting import until
from worker.contract import State
from worker.processes.spare import NAME, Order, Spare

MIB = 2**20
MOST_OWN = 64 * MIB  # bytes that a horse which waits may hold of its own


@pytest.fixture(scope="module")
def server(serve: Callable[..., Server]) -> Iterator[Server]:
    server = serve(workers=1)
    yield server
    server.stop()


def spare_of(server: Server) -> psutil.Process:
    until(lambda: len(server.spares) == 1, f"one horse waits; see {server.log}")
    return server.spares[0]


# --- one by itself ---


def forked(work: Callable[[Order], None] = lambda _: None) -> Spare:
    return Spare.fork(lambda: None, work)


def test_it_does_what_it_is_told_and_ends(tmp_path: Path) -> None:
    done = tmp_path / "done"

    def work(order: Order) -> None:
        done.write_text(order["job"])

    spare = forked(work)
    assert spare.lives
    assert spare.give({"job": "7"})
    assert os.waitpid(spare.pid, 0) == (spare.pid, 0)
    assert done.read_text() == "7"


def test_one_that_died_is_given_nothing() -> None:
    spare = forked()
    os.kill(spare.pid, signal.SIGKILL)
    until(lambda: not spare.lives)
    assert not spare.give({"job": "7"})
    assert not psutil.pid_exists(spare.pid)


def test_one_that_fails_to_get_ready_is_replaced_by_whoever_asks() -> None:
    spare = Spare.fork(lambda: os._exit(3), lambda _: None)
    until(lambda: not spare.lives)
    spare.dismiss()


def test_one_that_fails_at_its_work_says_why(capfd: pytest.CaptureFixture[str]) -> None:
    def work(_: Order) -> None:
        raise LookupError("no such job")

    spare = forked(work)
    assert spare.give({"job": "7"})
    _, status = os.waitpid(spare.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 1
    assert "LookupError: no such job" in "".join(capfd.readouterr())


def test_one_that_is_dismissed_is_gone() -> None:
    spare = forked()
    spare.dismiss()
    assert not psutil.pid_exists(spare.pid)


# --- of a worker ---


def test_a_job_is_done_by_the_horse_that_waits_and_another_takes_its_place(server: Server) -> None:
    spare = spare_of(server)
    job_id = server.submit(LONG)
    server.wait_for_stack(job_id)
    assert [each.pid for each in server.horses] == [spare.pid]
    assert not server.spares  # while its worker has a job
    server.jobs.cancel(job_id, owner=server.job(job_id).request.owner)
    until(lambda: not spare.is_running())
    assert spare_of(server).pid != spare.pid


def test_a_horse_that_was_killed_while_it_waited_costs_no_attempt(server: Server) -> None:
    spare = spare_of(server)
    spare.kill()
    job_id = server.submit(SHORT)
    job = server.wait(job_id)
    assert (job.state, job.attempt) == (State.SUCCEEDED, 1)


def test_it_is_replaced_without_a_job(server: Server) -> None:
    spare = spare_of(server)
    spare.kill()
    until(lambda: [each.pid for each in server.spares] not in ([], [spare.pid]))


def test_it_goes_with_its_worker_whose_successor_has_one_of_its_own(server: Server) -> None:
    spare = spare_of(server)
    (worker,) = server.workers
    worker.kill()
    until(lambda: not spare.is_running())
    assert spare_of(server).parent() != worker
    job = server.wait(server.submit(SHORT))
    assert (job.state, job.attempt) == (State.SUCCEEDED, 1)


def test_it_holds_little_of_its_own(server: Server) -> None:
    spare = spare_of(server)
    until(lambda: spare.status() == psutil.STATUS_SLEEPING)
    assert spare.name() == NAME
    assert spare.memory_full_info().uss < MOST_OWN
