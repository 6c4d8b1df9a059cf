"""What the ledger promises of jobs, images and workers, call by call."""

import multiprocessing
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from random import Random

import pytest
from sqlalchemy import inspect

from tests.support.lattices import OWNER, add_image
from tests.support.waiting import until
from worker.contract import Artifact, Failure, JobRequest, Priority, Stage, State
from worker.ledger.attempt import Attempt
from worker.ledger.backlog import Backlog
from worker.ledger.database import Database
from worker.ledger.images import Images
from worker.ledger.jobs import Jobs
from worker.ledger.refusals import (
    ConflictError,
    ExpiredError,
    IdempotencyMismatchError,
    NotFoundError,
)
from worker.ledger.retention import Retention
from worker.ledger.tables import metadata
from worker.ledger.workers import Workers

MADE = [Artifact("result.npy", "0" * 64, 1)]


def submit(database: Database, owner: str = OWNER, **fields: object) -> str:
    image = add_image(database, owner=owner)
    return Jobs(database).submit(JobRequest(owner, image.id, {}, **fields))[0].id  # type: ignore[arg-type]


def claimed(database: Database, job_id: str, number: int = 1, lease_s: float = 60) -> Attempt:
    attempt = Attempt(database, job_id, number, "worker")
    assert attempt.claim(lease_s)
    return attempt


# Fencing


def test_a_job_is_claimed_once(database: Database) -> None:
    job_id = submit(database)
    claimed(database, job_id)
    assert Attempt(database, job_id, 1, "other").claim(60) is None


def test_a_stale_attempt_changes_nothing(database: Database, jobs: Jobs) -> None:
    job_id = submit(database)
    stale = claimed(database, job_id, lease_s=-1)
    assert Backlog(database).recover(3) == [job_id]
    fresh = claimed(database, job_id, 2)
    before, events = jobs.get(job_id), jobs.events(job_id)
    assert not stale.renew(60)
    assert not stale.enter(Stage.SAVING, ["late"])
    assert not stale.stack_done(1, 2, {})
    assert not stale.commit(MADE, expires_in_s=60)
    assert not stale.fail(Failure("internal", "late"))
    assert not stale.hand_back()
    assert (jobs.get(job_id), jobs.events(job_id)) == (before, events)
    assert fresh.commit(MADE, expires_in_s=60)
    assert jobs.get(job_id).artifacts == tuple(MADE)


def test_a_canceled_job_cannot_be_committed(database: Database, jobs: Jobs) -> None:
    job_id = submit(database)
    attempt = claimed(database, job_id)
    assert jobs.cancel(job_id, owner=OWNER).state is State.CANCELED
    assert not attempt.renew(60)
    assert not attempt.commit(MADE, expires_in_s=60)
    assert jobs.get(job_id).artifacts == ()
    assert jobs.cancel(job_id, owner=OWNER) == jobs.get(job_id)
    assert [event.type for event in jobs.events(job_id)] == [
        *("queued", "started", "stage", "canceled")
    ]


def test_an_unclaimed_attempt_is_not_over(database: Database, jobs: Jobs) -> None:
    """The worker renews from the fork on, which is before its horse has claimed."""
    job_id = submit(database)
    attempt = Attempt(database, job_id, 1, "worker")
    assert attempt.renew(60)
    jobs.cancel(job_id, owner=OWNER)
    assert not attempt.renew(60)


def test_a_job_lost_too_often_fails(database: Database, jobs: Jobs) -> None:
    job_id = submit(database)
    for number in (1, 2, 3):
        claimed(database, job_id, number, lease_s=-1)
        Backlog(database).recover(3)
    job = jobs.get(job_id)
    assert job.failure is not None
    assert (job.state, job.failure.code) == (State.FAILED, "worker_lost")


def test_a_job_handed_back_is_not_counted_as_lost(database: Database, jobs: Jobs) -> None:
    job_id = submit(database)
    for number in range(1, 6):
        assert claimed(database, job_id, number).hand_back()
    assert (jobs.get(job_id).state, jobs.get(job_id).attempt) == (
        State.QUEUED,
        6,
    )
    assert jobs.get(job_id).started_at is None


def test_a_live_lease_is_left_alone(database: Database, jobs: Jobs) -> None:
    job_id = submit(database)
    attempt = claimed(database, job_id, lease_s=0.05)
    assert attempt.renew(60)
    assert Backlog(database).recover(3) == []
    assert jobs.get(job_id).state is State.RUNNING


# Submission


def test_a_repeated_submission_makes_no_second_job(database: Database, jobs: Jobs) -> None:
    request = JobRequest(OWNER, add_image(database).id, {"seed": 1})
    first, created = jobs.submit(request, idempotency_key="k", fingerprint="f")
    assert created
    assert jobs.submit(request, idempotency_key="k", fingerprint="f") == (first, False)
    with pytest.raises(IdempotencyMismatchError):
        jobs.submit(request, idempotency_key="k", fingerprint="g")
    jobs.cancel(first.id, owner=OWNER)
    Retention(database).expire_images(unused_s=-1)
    with pytest.raises(ExpiredError):
        jobs.submit(request)
    again, created = jobs.submit(request, idempotency_key="k", fingerprint="f")
    assert (again.id, created) == (first.id, False), "though its image has expired"
    other = add_image(database, owner="other")
    assert jobs.submit(JobRequest("other", other.id, {}), idempotency_key="k", fingerprint="g")[
        1
    ], "keys are each owner's own"


def test_another_owners_image_cannot_be_denoised(database: Database, jobs: Jobs) -> None:
    image = add_image(database, owner="other")
    with pytest.raises(NotFoundError):
        jobs.submit(JobRequest(OWNER, image.id, {}))


def test_another_owners_things_are_not_found(database: Database, jobs: Jobs) -> None:
    job_id = submit(database, "other")
    image_id = jobs.get(job_id).request.image_id
    for look in (
        jobs.get,
        jobs.cancel,
        jobs.request_finish,
        jobs.delete,
    ):
        with pytest.raises(NotFoundError):
            look(job_id, owner=OWNER)
    with pytest.raises(NotFoundError):
        Images(database).get(image_id, owner=OWNER)
    with pytest.raises(NotFoundError):
        Images(database).delete(image_id, owner=OWNER)
    assert jobs.get(job_id).state is State.QUEUED


def test_images_are_known_by_digest_to_their_owner(database: Database) -> None:
    image = add_image(database)
    again = {"owner": OWNER, "name": "x", "sha256": image.sha256, "size": 1, "info": image.info}
    assert Images(database).add(image_id="f" * 32, **again) == (image, False)  # type: ignore[arg-type]
    assert Images(database).by_digest(image.sha256, owner=OWNER) == image
    assert Images(database).by_digest(image.sha256, owner="other") is None
    assert Images(database).get(image.id, owner=OWNER) == image


def test_what_is_in_use_stays(database: Database, jobs: Jobs) -> None:
    job_id = submit(database)
    image_id = jobs.get(job_id).request.image_id
    with pytest.raises(ConflictError):
        jobs.delete(job_id, owner=OWNER)
    with pytest.raises(ConflictError):
        Images(database).delete(image_id, owner=OWNER)
    jobs.cancel(job_id, owner=OWNER)
    jobs.delete(job_id, owner=OWNER)
    assert jobs.events(job_id) == []
    Images(database).delete(image_id, owner=OWNER)
    with pytest.raises(NotFoundError):
        Images(database).get(image_id, owner=OWNER)


def test_jobs_are_listed_newest_first_in_pages(database: Database, jobs: Jobs) -> None:
    ids = [submit(database, external_id=f"e{n % 2}") for n in range(5)][::-1]
    assert [job.id for job in jobs.page(owner=OWNER)] == ids
    assert [job.id for job in jobs.page(owner=OWNER, limit=2)] == ids[:2]
    assert [
        job.id for job in jobs.page(owner=OWNER, before=jobs.get(ids[1]).serial, limit=2)
    ] == ids[2:4]
    assert [job.id for job in jobs.page(owner=OWNER, external_id="e0")] == ids[::2]
    jobs.cancel(ids[3], owner=OWNER)
    assert [job.id for job in jobs.page(owner=OWNER, state=State.CANCELED)] == [ids[3]]
    assert jobs.page(owner="other") == []


@pytest.mark.parametrize("name", ["sample", "a.b", 'a"b', "a'b", "$", "a b", "µ", "[0]"])
def test_jobs_are_found_by_label(database: Database, jobs: Jobs, name: str) -> None:
    job_id = submit(database, labels={name: "v"})
    submit(database, labels={name: "w", "other": "v"})
    assert [job.id for job in jobs.page(owner=OWNER, having=[(name, "v")])] == [job_id]


# Order


def run_all(database: Database) -> str:
    """Run queued jobs one at a time; the initials of their owners in order."""
    order = ""
    while waiting := Backlog(database).waiting(1):
        (job,) = waiting
        assert Jobs(database).queue_position(job.job_id) == 0
        record = Attempt(database, job.job_id, job.attempt, "worker").claim(60)
        assert record is not None
        order += record.request.owner
        Attempt(database, job.job_id, job.attempt, "worker").commit(MADE, expires_in_s=60)
    return order


def test_interactive_jobs_go_before_batch_jobs(database: Database, jobs: Jobs) -> None:
    batch = [submit(database, priority=Priority.BATCH) for _ in range(3)]
    interactive = submit(database)
    assert jobs.queue_position(interactive) == 0
    assert [jobs.queue_position(job_id) for job_id in batch] == [1, 2, 3]
    claimed(database, interactive)
    assert jobs.queue_position(interactive) is None


def test_a_submission_is_told_as_it_is_known_from_then_on(database: Database, jobs: Jobs) -> None:
    request = JobRequest(
        OWNER,
        add_image(database).id,
        {"patch_size": 5, "nested": [1, {"a": None}]},
        priority=Priority.BATCH,
        labels={"instrument": "STEM 2"},
        metadata={"dose": 100.0},
        batch="b",
        request_id="r",
    )
    told, new = jobs.submit(request, idempotency_key="k", fingerprint="f")
    assert new
    assert told == jobs.get(told.id)
    assert jobs.submit(request, idempotency_key="k", fingerprint="f") == (told, False)


def test_the_position_told_is_the_place_in_the_line(database: Database, jobs: Jobs) -> None:
    rng = Random(1)
    for _ in range(30):
        submit(database, rng.choice("abc"), priority=rng.choice(list(Priority)))
        if rng.random() < 0.3:
            waiting = Backlog(database).waiting(8)
            Backlog(database).dispatch(rng.sample(waiting, rng.randint(1, len(waiting))))
    line = [job.job_id for job in Backlog(database).waiting(100)]
    assert len(line) == 30
    assert [jobs.queue_position(job_id) for job_id in line] == list(range(30))


def test_owners_take_turns(database: Database) -> None:
    for owner, count in (("a", 6), ("b", 6), ("c", 2)):
        for _ in range(count):
            submit(database, owner)
    assert run_all(database) == "abcabcabababab"


def test_a_late_owner_waits_for_one_round_only(database: Database, jobs: Jobs) -> None:
    for owner in "ab":
        for _ in range(20):
            submit(database, owner)
    for _ in range(10):
        (job,) = Backlog(database).waiting(1)
        claimed(database, job.job_id).commit(MADE, expires_in_s=60)
    late = submit(database, "c")
    position = jobs.queue_position(late)
    assert position is not None
    assert position <= 2
    assert Counter(run_all(database)[:3])["c"] == 1


# Processes


def _open(url: str) -> bool:
    database = Database.open(url)
    database.ping()
    database.close()
    return True


def test_many_processes_may_open_a_new_ledger_at_once(database_url: str) -> None:
    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as pool:
        assert all(pool.map(_open, [database_url] * 8))


def _claim(url: str, job_id: str) -> bool:
    database = Database(url)
    won = Attempt(database, job_id, 1, str(multiprocessing.current_process().pid)).claim(60)
    database.close()
    return won is not None


def test_one_of_many_processes_claims(database_url: str) -> None:
    database = Database.open(database_url)
    job_id = submit(database)
    database.close()
    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as pool:
        assert sum(pool.map(_claim, [database_url] * 16, [job_id] * 16)) == 1


def test_the_migrations_make_the_tables_of_the_code(database: Database) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert {"jobs", "events"} <= set(inspect(connection).get_table_names())


def test_workers_are_seen_until_they_leave(database: Database) -> None:
    Workers(database).beat("one")
    Workers(database).beat("two")
    Workers(database).beat("two")
    assert Workers(database).alive(within_s=60) == 2
    Workers(database).leave("one")
    assert Workers(database).alive(within_s=60) == 1
    until(lambda: Workers(database).alive(within_s=0.01) == 0)
