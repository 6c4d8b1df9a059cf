"""What is promised of a job, against real processes and real faults."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.lattices import OWNER
from tests.support.postgres import Cluster
from tests.support.servers import LONG, SHORT, Server
from tests.support.waiting import until
from worker.contract import EventType, State
from worker.denoising.model_files import DEFAULT
from worker.store import interim_name, sha256_of

TERMINAL = {"succeeded", "failed", "canceled"}


def assert_succeeded_once(server: Server, job_id: str, *, attempt: int) -> None:
    job = server.wait(job_id)
    assert (job.state, job.attempt, job.failure) == (State.SUCCEEDED, attempt, None)
    events = server.events(job_id)
    assert [event for event in events if event in TERMINAL] == ["succeeded"]
    assert events[-1] == "succeeded"
    for artifact in job.artifacts:
        path = server.store.attempt(job_id, attempt) / artifact.name
        assert (sha256_of(path), path.stat().st_size) == (artifact.sha256, artifact.size)


def test_a_job_runs_and_leaves_its_artifacts(server: Server) -> None:
    job_id = server.submit(SHORT)
    assert_succeeded_once(server, job_id, attempt=1)
    job = server.job(job_id)
    assert {artifact.name for artifact in job.artifacts} == {
        "result.npy",
        "report.json",
        "eigenpatches.npz",
    }
    result = np.load(server.store.attempt(job_id, 1) / "result.npy")
    assert result.shape == (320, 320)
    assert np.isfinite(result).all()
    report = json.loads((server.store.attempt(job_id, 1) / "report.json").read_text())
    assert report["stacks_done"] == 2
    with np.load(server.store.attempt(job_id, 1) / "eigenpatches.npz") as eigenpatches:
        assert eigenpatches["stack1"].shape == (16, 7, 7)
    assert server.events(job_id) == [
        "queued",
        "started",
        "stage",
        "stage",
        "interim",
        "interim",
        "stage",
        "succeeded",
    ]


def test_every_interim_result_matches_its_event(server: Server) -> None:
    job_id = server.submit(SHORT)
    server.wait(job_id)
    interims = [e for e in server.jobs.events(job_id) if e.type is EventType.INTERIM]
    assert len(interims) == 2
    for event in interims:
        path = server.store.attempt(job_id, event.attempt) / interim_name(event.data["n"])
        assert sha256_of(path) == event.data["sha256"]


def test_a_job_starts_at_once_on_an_idle_server(server: Server) -> None:
    job_id = server.submit(SHORT)
    job = server.wait(job_id)
    assert job.started_at is not None
    assert job.started_at - job.created_at < 2.0


def test_bad_input_fails_with_its_own_code(server: Server) -> None:
    job = server.wait(server.submit({"patch_size": 8}))
    assert job.state is State.FAILED
    assert job.failure is not None
    assert job.failure.code == "invalid_parameter"


def test_a_horse_loads_what_is_not_the_default(server: Server) -> None:
    """After the fork, where a torch that was used before it would hang."""
    for choice in ({"model": DEFAULT, "scan_noise": "remove"}, {"scan_noise": "remove"}, {}):
        job_id = server.submit(SHORT | choice)
        assert_succeeded_once(server, job_id, attempt=1)
        report = json.loads((server.store.attempt(job_id, 1) / "report.json").read_text())
        expected = choice.get("model", Path(server.settings.model or "").stem)
        assert report["model"].startswith(f"{expected}@sha256:")
        assert report["scan_noise"] == choice.get("scan_noise", "keep")


def test_a_classifier_that_is_gone_fails_its_job(server: Server) -> None:
    job = server.wait(server.submit({"model": "gone"}))
    assert job.failure is not None
    assert job.failure.code == "invalid_model"
    assert "expected one of random" in job.failure.detail


def test_an_unexpected_fault_shows_no_inner_detail(server: Server) -> None:
    job_id = server.submit({"no_such_parameter": 1})
    job = server.wait(job_id)
    assert job.failure is not None
    assert job.failure.code == "internal"
    assert "/" not in job.failure.detail
    assert "no_such_parameter" not in job.failure.detail


def test_cancel_kills_the_horse(server: Server) -> None:
    job_id = server.submit(LONG)
    server.wait_for_stack(job_id)
    (horse,) = server.horses
    server.jobs.cancel(job_id, owner=OWNER)
    horse.wait(timeout=3)  # the promise is 2 s; the rest is for a busy machine
    assert server.job(job_id).state is State.CANCELED
    assert server.events(job_id)[-1] == "canceled"
    assert_succeeded_once(server, server.submit(SHORT), attempt=1)


def test_finish_keeps_the_stacks_that_are_done(server: Server) -> None:
    job_id = server.submit(LONG)
    server.wait_for_stack(job_id)
    server.jobs.request_finish(job_id, owner=OWNER)
    assert_succeeded_once(server, job_id, attempt=1)
    report = json.loads((server.store.attempt(job_id, 1) / "report.json").read_text())
    assert 1 <= report["stacks_done"] < LONG["stacks"]
    assert report["stopped_by"] == "request"


def test_a_killed_horse_costs_one_attempt(server: Server) -> None:
    job_id = server.submit(LONG)
    server.wait_for_stack(job_id)
    (horse,) = server.horses
    horse.kill()
    until(lambda: server.job(job_id).attempt == 2)
    server.jobs.request_finish(job_id, owner=OWNER)
    assert_succeeded_once(server, job_id, attempt=2)


def test_a_killed_worker_takes_its_horse_and_costs_one_attempt(server: Server) -> None:
    job_id = server.submit(LONG)
    server.wait_for_stack(job_id)
    (horse,) = server.horses
    worker = horse.parent()
    assert worker is not None
    worker.kill()
    horse.wait(timeout=3)
    until(lambda: server.job(job_id).attempt == 2)
    server.jobs.request_finish(job_id, owner=OWNER)
    assert_succeeded_once(server, job_id, attempt=2)
    until(lambda: len(server.workers) == 2)


def test_a_job_whose_horses_all_die_fails(server: Server) -> None:
    job_id = server.submit(LONG)
    for attempt in range(1, server.settings.max_attempts + 1):
        until(lambda n=attempt: server.job(job_id).attempt == n)
        until(lambda: server.job(job_id).state is State.RUNNING and server.horses)
        for horse in server.horses:
            horse.kill()
        until(lambda: server.job(job_id).state is not State.RUNNING)
    job = server.wait(job_id)
    assert job.failure is not None
    assert job.failure.code == "worker_lost"
    assert server.events(job_id)[-1] == "failed"


def test_a_killed_and_wiped_queue_loses_and_doubles_nothing(server: Server) -> None:
    running = [server.submit(LONG) for _ in range(2)]
    for job_id in running:
        server.wait_for_stack(job_id)
    queued = [server.submit(SHORT) for _ in range(6)]
    until(lambda: server.valkey)
    before = server.valkey
    assert before is not None
    before.kill()  # nothing is kept on disk, so it comes back empty
    until(lambda: (now := server.valkey) and now.pid != before.pid)
    for job_id in running:
        assert server.job(job_id).state is State.RUNNING, "an outage must not touch a running job"
        server.jobs.request_finish(job_id, owner=OWNER)
    for job_id in running + queued:
        assert_succeeded_once(server, job_id, attempt=1)
    assert len(server.workers) == 2


def test_a_hung_queue_does_not_cost_a_running_job(server: Server) -> None:
    job_id = server.submit(LONG)
    server.wait_for_stack(job_id)
    valkey = server.valkey
    assert valkey is not None
    valkey.suspend()
    try:
        done = server.job(job_id).stacks_done
        hung_at = time.monotonic()
        until(lambda: time.monotonic() - hung_at > server.settings.lease_s + 2)
        job = server.job(job_id)
        assert (job.attempt, job.state) == (1, State.RUNNING)
        assert job.stacks_done > done
    finally:
        valkey.resume()
    server.jobs.request_finish(job_id, owner=OWNER)
    assert_succeeded_once(server, job_id, attempt=1)


def test_a_stopped_worker_gives_its_job_back_uncounted(server: Server) -> None:
    job_id = server.submit(LONG)
    server.wait_for_stack(job_id)
    (horse,) = server.horses
    worker = horse.parent()
    assert worker is not None
    worker.terminate()
    asked_at = time.monotonic()
    until(lambda: time.monotonic() - asked_at > 1.1)  # sooner, it counts as the same request
    worker.terminate()
    worker.wait(timeout=10)
    until(lambda: server.job(job_id).attempt == 2)
    server.jobs.request_finish(job_id, owner=OWNER)
    assert_succeeded_once(server, job_id, attempt=2)
    reasons = [e.data.get("reason") for e in server.jobs.events(job_id) if e.type == "queued"]
    assert "worker_lost" not in reasons


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_restarted_database_costs_no_job(
    serve: Callable[..., Server], postgres: Cluster, how: signal.Signals
) -> None:
    server = serve(database_url=postgres.create())
    running = server.submit(LONG)
    server.wait_for_stack(running)
    queued = server.submit(SHORT)
    before = len(server.log.read_text())
    postgres.stop(how)
    until(lambda: server.log.read_text()[before:].count("ledger_away") >= 2)
    postgres.start()
    for job_id in (running, queued):
        server.jobs.request_finish(job_id, owner=OWNER)
        assert_succeeded_once(server, job_id, attempt=server.wait(job_id).attempt)
    assert server.job(running).attempt <= 2
    server.stop()


def test_time_limit_and_shutdown(serve: Callable[..., Server]) -> None:
    server = serve(job_timeout_s=4, stop_grace_s=0.5, lease_s=30.0)
    overdue = server.wait(server.submit(LONG))
    hung_id = server.submit(LONG)
    server.wait_for_stack(hung_id)
    (horse,) = server.horses
    horse.suspend()  # as in native code that hangs: no Python runs, no signal is handled
    hung = server.wait(hung_id)
    for job in (overdue, hung):
        assert job.failure is not None
        assert (job.failure.code, job.attempt) == ("timeout", 1)

    unfinished = server.submit(LONG)
    server.wait_for_stack(unfinished)
    server.stop()
    assert server.process.returncode == 0
    assert not list((server.log.parent / "run").iterdir())
    job = server.jobs.get(unfinished)
    assert (job.state, job.attempt) == (State.QUEUED, 2), "the job was not given back"
    reasons = [event.data.get("reason") for event in server.jobs.events(unfinished)]
    assert "worker_lost" not in reasons
