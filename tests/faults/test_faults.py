"""The short form: a minute of what `make faults` does for an hour."""

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import httpx
import psutil
import pytest

from tests.faults import scenarios
from tests.faults.cases import Case
from tests.faults.checker import check
from tests.faults.deliveries import check_told, told_by
from tests.faults.history import Client, History, Submission
from tests.faults.rig import Rig
from tests.faults.stored import Stored
from tests.support.postgres import Cluster
from tests.support.servers import free_port
from tests.support.waiting import until
from worker.contract import State
from worker.ledger.workers import Workers
from worker.store.interface import in_attempt

FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


def ended(rig: Rig, wanted: Submission) -> State:
    until(lambda: rig.jobs.get(wanted.job_id).state.terminal, f"{wanted.job_id} has ended")
    return rig.jobs.get(wanted.job_id).state


def test_a_process_killed_at_any_point_costs_and_doubles_nothing(
    rig: Rig, history: History, known: list[Case]
) -> None:
    with Client(rig.url, history, 1) as client:
        for n, point in enumerate(scenarios.POINTS):
            scenarios.kill_at(rig, point, client, known[n % len(known)])
        for wanted in history.accepted:
            assert ended(rig, wanted) is State.SUCCEEDED
            client.fetch(wanted)
    assert check(history, rig.database, rig.store) == []


def test_nothing_is_lost_or_doubled_in_a_storm(
    rig: Rig, history: History, known: list[Case]
) -> None:
    accepted, killed = len(history.accepted), rig.killed
    with told_by(rig) as told:
        scenarios.storm(rig, history, known, clients=3, jobs=9, kills=3, seed=2)
        assert len(history.accepted) - accepted >= 9
        assert rig.killed - killed >= 3
        assert check(history, rig.database, rig.store) == []
        jobs = [rig.jobs.get(each.job_id) for each in history.accepted[accepted:]]
        assert check_told(told, jobs) == []
    assert told.refused >= len(jobs)


def test_a_worker_that_comes_back_from_the_dead_changes_nothing(
    rig: Rig, history: History, known: list[Case]
) -> None:
    with Client(rig.url, history, 3) as client, rig.stopped_at("job.sealed") as find:
        wanted = client.submit(known[0])
        horse = find()
        worker = horse.parent()
        assert worker is not None
        worker.suspend()
        rig.held |= {horse.pid, worker.pid}
        assert ended(rig, wanted) is State.SUCCEEDED
        assert rig.jobs.get(wanted.job_id).attempt == 2
        before = rig.jobs.events(wanted.job_id)
        worker.resume()
        horse.resume()
        until(lambda: not horse.is_running(), "the overtaken horse has ended")
        assert rig.jobs.events(wanted.job_id) == before
        client.fetch(wanted)


def test_fifty_submissions_with_one_key_are_one_job_even_at_two_apis(
    rig: Rig, history: History, known: list[Case]
) -> None:
    other = f"http://127.0.0.1:{free_port()}"
    api = rig.start_beside(
        *("-m", "uvicorn", "app.api.main:create_app", "--factory", "--log-level", "warning"),
        *("--port", other.rsplit(":", 1)[1]),
    )
    rig.await_ready(other)
    accepted = history.statuses["POST /jobs: 202"]
    wanted = scenarios.duplicates([rig.url, other], history, known[1], count=50, seed=100)
    assert len(wanted.ids) == 1
    assert history.statuses["POST /jobs: 202"] - accepted == 50
    with Client(other, history, 4) as client:
        client.read_events(wanted)
        client.follow(wanted)
        client.fetch(wanted)
    api.terminate()
    api.wait(20)
    rig.extra.remove(api)


@pytest.mark.parametrize("point", ["job.forked", "job.claimed", "job.written", "job.sealed"])
def test_cancel_ends_a_job_wherever_it_is(
    rig: Rig, history: History, known: list[Case], point: str
) -> None:
    with Client(rig.url, history, 5) as client, rig.stopped_at(point) as find:
        wanted = client.submit(known[2])
        horse = find()
        client.cancel(wanted)
        horse.wait(timeout=5)
        assert wanted.cancel_answers == ["canceled"]
        client.read_events(wanted)
        client.fetch(wanted)
        assert wanted.results == []


def test_cancel_needs_no_living_worker(rig: Rig, history: History, known: list[Case]) -> None:
    with Client(rig.url, history, 6) as client, rig.stopped_at("job.claimed") as find:
        running = client.submit(known[3])
        horse = find()
        worker = horse.parent()
        assert worker is not None
        rig.kill_process(worker, "worker")
        begun = time.monotonic()
        client.cancel(running)
        assert time.monotonic() - begun < 5
        assert running.cancel_answers == ["canceled"]


def test_cancel_after_the_end_changes_nothing(
    rig: Rig, history: History, known: list[Case]
) -> None:
    with Client(rig.url, history, 7) as client, rig.stopped_at("job.committed") as find:
        wanted = client.submit(known[4])
        horse = find()
        client.cancel(wanted)
        horse.resume()
        assert wanted.cancel_answers == ["succeeded"]
        client.fetch(wanted)
        assert len(wanted.results) == 1


def test_a_stream_of_events_has_no_gap_whatever_is_wiped(
    rig: Rig, history: History, known: list[Case]
) -> None:
    with Client(rig.url, history, 8) as client, ThreadPoolExecutor(1) as pool:
        wanted = client.submit(known[1])
        reading = pool.submit(client.read_events, wanted)
        rig.wipe_valkey()
        rig.kill("valkey", Random(8))
        reading.result()
        assert wanted.read_to_the_end


def test_a_flipped_bit_is_reported_and_never_served(
    rig: Rig, stored: Stored, history: History, known: list[Case]
) -> None:
    with Client(rig.url, history, 9) as client:
        wanted = client.submit(known[5])
        client.follow(wanted)
        job = rig.jobs.get(wanted.job_id)
        name = f"{in_attempt(job.id, job.attempt)}/result.npy"
        with stored.damaged(name, Random(9), 3) as flips:
            for _ in flips:
                url = f"{rig.url}/v1/jobs/{job.id}/result?format=tiff"
                answer = httpx.get(url, trust_env=False, timeout=60)
                assert (answer.status_code, answer.json()["code"]) == (500, "damaged_artifact")
        client.fetch(wanted)
        rendition = rig.store.renditions(job.id) / "result.npy"
        rendition.parent.mkdir(parents=True, exist_ok=True)
        rendition.write_bytes(b"another one")
        client.fetch(wanted)
        assert wanted.results == [known[5].sha256] * 2


@pytest.mark.skipif(not FAKETIME, reason="no libfaketime (on Debian: apt install faketime)")
def test_a_worker_whose_clock_is_wrong_works_as_any_other(
    make_rig: Callable[..., Rig], postgres: Cluster, known: list[Case]
) -> None:
    """On PostgreSQL, whose clock is its own; all who share an SQLite file share a clock."""
    rig, history = make_rig({"REUCID_DATABASE_URL": postgres.create()}, workers=1), History()
    skewed = [
        rig.start_beside(
            *("-m", "worker", "work"),
            LD_PRELOAD=str(FAKETIME[0]),
            FAKETIME=skew,
            FAKETIME_DONT_FAKE_MONOTONIC="1",
        )
        for skew in ("+3h", "-3h")
    ]
    until(lambda: Workers(rig.database).alive(within_s=10) == 3, "the skewed workers are there")
    with Client(rig.url, history, 10) as client:
        wanted = [client.submit(known[n % len(known)]) for n in range(6)]
        for each in wanted:
            client.follow(each)
            client.fetch(each)
        with rig.stopped_at("job.sealed") as find:
            lost = client.submit(known[0])
            horse = find()
            rig.kill_process(horse, "horse")
            client.follow(lost)
        assert Workers(rig.database).alive(within_s=10) == 3
    for process in skewed:
        assert process.poll() is None
    assert check(history, rig.database, rig.store) == []
    rig.stop()


def test_readers_that_hang_up_are_no_fault(rig: Rig, history: History, known: list[Case]) -> None:
    before = len(rig.log.read_text())
    with Client(rig.url, history, 12) as client:
        for _ in range(5):
            wanted = client.submit(known[1])
            for _ in range(4):
                with socket.create_connection(("127.0.0.1", rig.port)) as connection:
                    path = f"/v1/jobs/{wanted.job_id}/events"
                    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                    connection.recv(200)
            client.follow(wanted)
    until(lambda: not _connections(rig), "all have gone")
    assert "Traceback" not in rig.log.read_text()[before:]


def _connections(rig: Rig) -> int:
    (api,) = rig.processes("api")
    return sum(each.status == psutil.CONN_CLOSE_WAIT for each in api.net_connections("tcp"))


def test_clients_that_hang_up_cost_nothing_and_leave_nothing(rig: Rig) -> None:
    before = len(rig.log.read_text())
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", rig.port)) as connection:
            connection.sendall(
                b"POST /v1/images HTTP/1.1\r\nHost: x\r\nContent-Type: image/tiff\r\n"
                b"Content-Length: 1000\r\n\r\n" + b"x" * 500
            )
    assert httpx.get(f"{rig.url}/livez", trust_env=False, timeout=60).status_code == 200
    until(lambda: not list((rig.settings.data_dir / "uploads").iterdir()), "all uploads are gone")
    log = rig.log.read_text()[before:]
    assert "unhandled" not in log
    assert "Traceback" not in log


def test_a_full_disk_is_said_and_nothing_accepted_is_lost(
    make_rig: Callable[..., Rig], known: list[Case], tmp_path: Path
) -> None:
    try:
        disk = scenarios.small_disk(tmp_path / "disk", 24)
        folder = disk.__enter__()
    except (PermissionError, FileNotFoundError) as error:
        pytest.skip(f"no filesystem of its own can be mounted here: {error}")
    try:
        _fill_up(make_rig(workers=1, data_dir=folder), folder, known)
    finally:
        disk.__exit__(None, None, None)


def _fill_up(rig: Rig, folder: Path, known: list[Case]) -> None:
    history = History()
    with Client(rig.url, history, 11, allowed=(503, 507)) as client:
        before = client.submit(known[0])
        client.follow(before)
        with rig.stopped_at("job.claimed") as find:
            running = client.submit(known[1])
            horse = find()
            with scenarios.full(folder):
                horse.resume()
                refused = [client.try_to_submit(case)[1] for case in known]
                assert all(answer is not None for answer in refused), "a connection was dropped"
                assert all(answer.status_code == 507 for answer in refused if answer is not None)
                answer = httpx.get(
                    f"{rig.url}/v1/jobs/{before.job_id}", trust_env=False, timeout=60
                )
                assert answer.json()["state"] == "succeeded"
                until(lambda: not horse.is_running(), "the horse has met the full disk")
        if ended(rig, running) is State.FAILED:
            failure = rig.jobs.get(running.job_id).failure
            assert failure is not None
            assert failure.code in ("insufficient_storage", "worker_lost")
        client.follow(running)
        after = client.submit(known[2])
        client.follow(after)
        client.fetch(after)
        assert len(after.results) == 1
    assert check(history, rig.database, rig.store) == []
    rig.stop()
