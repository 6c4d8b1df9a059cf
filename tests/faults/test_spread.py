"""The same promises of a stack whose frames several workers denoise, of both kinds of store."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faults import scenarios
from tests.faults.cases import SIZE, Case, stacks
from tests.faults.checker import OWNER
from tests.faults.history import Client, History, Submission
from tests.faults.rig import Rig
from tests.faults.test_faults import ended
from tests.support.buckets import CREDENTIALS, S3Server
from tests.support.postgres import Cluster
from tests.support.waiting import until
from worker.contract import PartRecord, PartState, State, Work
from worker.ledger.parts import Parts

FRAMES, PARTS = 12, 6


@pytest.fixture(scope="module")
def stack() -> Case:
    (case,) = stacks(1, FRAMES)
    return case


@pytest.fixture(scope="module", params=["folder and SQLite", "bucket and PostgreSQL"])
def rig(request: pytest.FixtureRequest, make_rig: Callable[..., Rig]) -> Iterator[Rig]:
    stated = {"REUCID_PART_PIXELS": str(FRAMES // PARTS * SIZE**2)}
    with pytest.MonkeyPatch.context() as patch:
        if request.param != "folder and SQLite":
            server: S3Server = request.getfixturevalue("s3")
            cluster: Cluster = request.getfixturevalue("postgres")
            stated["REUCID_STORE_URL"] = server.url(server.bucket())
            stated["REUCID_DATABASE_URL"] = cluster.create()
            for name, value in CREDENTIALS.items():
                patch.setenv(name, value)
        yield make_rig(stated, workers=3)


def parts_of(rig: Rig, wanted: Submission) -> list[PartRecord]:
    return Parts(rig.database).of_job(wanted.job_id, Work.FRAMES)


def told(rig: Rig, wanted: Submission) -> list[dict[str, Any]]:
    """What the report of a job says of its parts."""
    job = rig.jobs.get(wanted.job_id)
    report = json.loads(rig.store.artifact(job, "report.json").read_bytes())
    parts: list[dict[str, Any]] = report["parts"]
    assert len(parts) == PARTS
    return parts


def test_workers_share_a_stack(rig: Rig, history: History, stack: Case) -> None:
    with Client(rig.url, history, 1) as client, rig.stopped_at("part.committed") as find:
        wanted = client.submit(stack)
        first = find()  # whoever it is: the others go on
        until(lambda: sum(p.state is PartState.DONE for p in parts_of(rig, wanted)) == PARTS)
        first.resume()
        client.follow(wanted)
        client.fetch(wanted)
        assert len({each["worker"] for each in told(rig, wanted)}) > 1


@pytest.mark.parametrize("point", scenarios.SPREAD_POINTS)
def test_a_hand_killed_at_any_point_costs_its_own_part_at_most(
    rig: Rig, history: History, stack: Case, point: str
) -> None:
    with Client(rig.url, history, 2) as client, rig.stopped_at(point) as find:
        wanted = client.submit(stack)
        caught = find()
        done = {p.id: p.attempt for p in parts_of(rig, wanted) if p.state is PartState.DONE}
        rig.kill_process(caught, scenarios.SPREAD_POINTS[point])
        assert ended(rig, wanted) is State.SUCCEEDED
        client.follow(wanted)
        client.fetch(wanted)
        again = [each["attempt"] - 1 for each in told(rig, wanted)]
        assert sum(again) <= 1, f"{done} were done before"
        if point in ("part.committed", "job.written", "job.sealed", "help.forked"):
            assert sum(again) == 0


def test_a_part_whose_worker_dies_is_done_by_another(
    rig: Rig, history: History, stack: Case
) -> None:
    with Client(rig.url, history, 3) as client, rig.stopped_at("help.claimed") as find:
        wanted = client.submit(stack)
        helper = find()
        worker = helper.parent()
        assert worker is not None
        rig.kill_process(worker, "worker")
        assert ended(rig, wanted) is State.SUCCEEDED
        client.fetch(wanted)
        assert rig.jobs.get(wanted.job_id).attempt == 1
        assert sum(each["attempt"] - 1 for each in told(rig, wanted)) == 1
        until(lambda: len(rig.processes("worker")) == 3)


def test_a_helper_that_comes_back_from_the_dead_changes_nothing(
    rig: Rig, history: History, stack: Case
) -> None:
    with Client(rig.url, history, 4) as client, rig.stopped_at("part.sealed") as find:
        wanted = client.submit(stack)
        horse = find()
        worker = horse.parent()
        assert worker is not None
        worker.suspend()
        rig.held |= {horse.pid, worker.pid}
        assert ended(rig, wanted) is State.SUCCEEDED
        before = rig.jobs.events(wanted.job_id)
        worker.resume()
        horse.resume()
        until(lambda: not horse.is_running(), "the overtaken horse has ended")
        assert rig.jobs.events(wanted.job_id) == before
        client.fetch(wanted)


@pytest.mark.parametrize("point", ["help.claimed", "part.written", "part.committed"])
def test_cancel_ends_all_hands(rig: Rig, history: History, stack: Case, point: str) -> None:
    with Client(rig.url, history, 5) as client, rig.stopped_at(point) as find:
        wanted = client.submit(stack)
        horse = find()
        client.cancel(wanted)
        horse.wait(timeout=10)
        until(lambda: not rig.processes("horse"), "all have ended")
        client.read_events(wanted)
        client.fetch(wanted)
        if wanted.cancel_answers == ["canceled"]:
            assert wanted.results == []


def test_finish_is_heeded_by_all(rig: Rig, history: History, stack: Case) -> None:
    other = History()  # its result is not that of the whole stack
    with Client(rig.url, other, 6) as client, rig.stopped_at("help.claimed") as find:
        wanted = client.submit(stack)
        helper = find()
        rig.jobs.request_finish(wanted.job_id, owner=OWNER)
        helper.resume()
        client.follow(wanted)
    job = rig.jobs.get(wanted.job_id)
    assert job.state is State.SUCCEEDED
    report = json.loads(rig.store.artifact(job, "report.json").read_bytes())
    assert 1 <= report["frames_done"] < FRAMES
    assert report["stopped_by"] == "request"
    history.submissions.append(Submission(wanted.key, wanted.case))  # known, not compared


def test_nothing_depends_on_the_queue(rig: Rig, history: History, stack: Case) -> None:
    with Client(rig.url, history, 7) as client, rig.stopped_at("part.written") as find:
        wanted = client.submit(stack)
        hand = find()
        rig.wipe_valkey()
        hand.resume()
        assert ended(rig, wanted) is State.SUCCEEDED
        client.fetch(wanted)


def test_a_ledger_that_restarts_costs_nothing(
    rig: Rig, history: History, stack: Case, request: pytest.FixtureRequest
) -> None:
    if not rig.settings.database_url:
        pytest.skip("SQLite does not restart")
    cluster: Cluster = request.getfixturevalue("postgres")
    with Client(rig.url, history, 8) as client, rig.stopped_at("part.written") as find:
        wanted = client.submit(stack)
        hand = find()
        cluster.stop()
        hand.resume()
        cluster.start()
        assert ended(rig, wanted) is State.SUCCEEDED
        client.follow(wanted)
        client.fetch(wanted)
