"""Several at once, on one ledger: what one writer at a time gives for free, and what must stay so.

Threads, each with a ledger of its own, stand for processes: the database cannot tell.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from tests.support.lattices import OWNER, add_image
from tests.support.postgres import Cluster
from worker.contract import Artifact, EventType, JobRequest, Stage, State
from worker.ledger.attempt import Attempt
from worker.ledger.backlog import Backlog
from worker.ledger.database import Database
from worker.ledger.images import Images
from worker.ledger.jobs import Jobs, write_event
from worker.ledger.members import Member, Members
from worker.ledger.parts import Help
from worker.ledger.refusals import ConflictError, NotFoundError
from worker.ledger.retention import Retention
from worker.ledger.tables import jobs as jobs_table
from worker.ledger.tally import tally
from worker.ledger.workers import Workers

AT_ONCE = 6
MADE = [Artifact("result.npy", "0" * 64, 1)]
Answer = TypeVar("Answer")


def all_at_once(database: Database, do: Callable[[Database, int], Answer]) -> list[Answer]:
    """Do something from several processes' worth of ledgers, all begun at the same moment."""
    start = threading.Barrier(AT_ONCE)

    def run(n: int) -> Answer:
        own = Database(database.engine.url.render_as_string(hide_password=False))
        try:
            own.ping()
            start.wait()
            return do(own, n)
        finally:
            own.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(run, range(AT_ONCE)))


@contextmanager
def meanwhile(look: Callable[[], None]) -> Iterator[None]:
    """Look again and again, and once more after the block."""
    over = threading.Event()

    def keep_looking() -> None:
        while not over.is_set():
            look()
        look()

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(keep_looking)
        try:
            yield
        finally:
            over.set()
        looking.result()


def test_an_owners_jobs_submitted_at_once_get_turns_of_their_own(
    database: Database, jobs: Jobs
) -> None:
    image = add_image(database)
    other = add_image(database, owner="other")

    def submit(own: Database, _n: int) -> None:
        for _ in range(5):
            Jobs(own).submit(JobRequest(OWNER, image.id, {}))

    all_at_once(database, submit)
    jobs.submit(JobRequest("other", other.id, {}))
    first_two = Backlog(database).waiting(2)
    owners = {jobs.get(each.job_id).request.owner for each in first_two}
    assert owners == {OWNER, "other"}, "one owner got two turns in one round"


def test_whoever_reads_the_list_up_to_the_last_known_job_misses_none(
    database: Database, jobs: Jobs
) -> None:
    image = add_image(database)
    seen: list[int] = []

    def look() -> None:
        known = max(seen, default=0)
        page = [job.serial for job in jobs.page(owner=OWNER, limit=1000)]
        seen.extend(serial for serial in reversed(page) if serial > known)

    def submit(own: Database, _n: int) -> None:
        for _ in range(20):
            Jobs(own).submit(JobRequest(OWNER, image.id, {}))

    with meanwhile(look):
        all_at_once(database, submit)
    assert seen == sorted(job.serial for job in jobs.page(owner=OWNER, limit=1000))


def test_a_reader_that_resumes_after_an_event_misses_none(database: Database, jobs: Jobs) -> None:
    job_id, _ = jobs.submit(JobRequest(OWNER, add_image(database).id, {}))
    assert Attempt(database, job_id.id, 1, "worker").claim(60)
    seen: list[int] = []

    def look() -> None:
        seen.extend(event.id for event in jobs.events(job_id.id, after=max(seen, default=0)))

    def write(own: Database, n: int) -> None:
        for _ in range(20):
            assert Attempt(own, job_id.id, 1, "worker").shown(n, 1, {})

    with meanwhile(look):
        all_at_once(database, write)
    assert len(seen) == len(["queued", "started", "stage"]) + 20 * AT_ONCE
    assert seen == [event.id for event in jobs.events(job_id.id)]


def test_one_key_makes_one_job(database: Database) -> None:
    image = add_image(database)
    answers = all_at_once(
        database,
        lambda own, _: Jobs(own).submit(
            JobRequest(OWNER, image.id, {}), idempotency_key="k", fingerprint="f"
        ),
    )
    assert len({job.id for job, _ in answers}) == 1
    assert sum(created for _, created in answers) == 1


def test_one_file_sent_at_once_is_one_image(database: Database) -> None:
    def add(own: Database, n: int) -> tuple[str, bool]:
        record, created = Images(own).add(
            image_id=f"{n:032x}",
            owner=OWNER,
            name="x",
            sha256="0" * 64,
            size=1,
            info=image.contents,
        )
        return record.id, created

    image = add_image(database)
    answers = all_at_once(database, add)
    assert len({image_id for image_id, _ in answers}) == 1
    assert sum(created for _, created in answers) == 1


def test_a_job_ends_once(database: Database, jobs: Jobs) -> None:
    for _ in range(5):
        job_id = jobs.submit(JobRequest(OWNER, add_image(database).id, {}))[0].id
        assert Attempt(database, job_id, 1, "worker").claim(-1)

        def end(own: Database, n: int, job_id: str = job_id) -> None:
            match n % 3:
                case 0:
                    Attempt(own, job_id, 1, "worker").commit(MADE, expires_in_s=60)
                case 1:
                    Jobs(own).cancel(job_id, owner=OWNER)
                case _:
                    Backlog(own).recover(1)

        all_at_once(database, end)
        job = jobs.get(job_id)
        ends = [event.type for event in jobs.events(job_id) if event.type.terminal]
        assert ends == [job.state]
        assert bool(job.artifacts) == (job.state is State.SUCCEEDED)


def test_a_lost_job_is_lost_once(database: Database, jobs: Jobs) -> None:
    job_id = jobs.submit(JobRequest(OWNER, add_image(database).id, {}))[0].id
    assert Attempt(database, job_id, 1, "worker").claim(-1)
    found = all_at_once(database, lambda own, _: Backlog(own).recover(3))
    assert sorted(found)[-1] == [job_id]
    assert sum(map(len, found)) == 1
    assert [str(event.type) for event in jobs.events(job_id)] == [
        *("queued", "started", "stage", "queued")
    ]


def test_a_job_is_dispatched_once_at_a_time(database: Database, jobs: Jobs) -> None:
    jobs.submit(JobRequest(OWNER, add_image(database).id, {}))
    waiting = Backlog(database).waiting(5)
    dispatched = all_at_once(database, lambda own, _: Backlog(own).dispatch(waiting))
    assert sum(map(len, dispatched)) == 1


def test_an_image_is_deleted_or_used(database: Database, jobs: Jobs) -> None:
    for _ in range(5):
        image = add_image(database)

        def use_or_delete(own: Database, n: int, image_id: str = image.id) -> None:
            try:
                if n % 2:
                    Jobs(own).submit(JobRequest(OWNER, image_id, {}))
                else:
                    Images(own).delete(image_id, owner=OWNER)
            except (NotFoundError, ConflictError):
                pass

        all_at_once(database, use_or_delete)
        users = [job for job in jobs.page(owner=OWNER) if job.request.image_id == image.id]
        there = Retention(database).images_with_files([image.id])
        assert bool(there) == bool(users)


def test_a_reader_never_sees_half_of_a_success(database: Database, jobs: Jobs) -> None:
    seen: set[tuple[State, int]] = set()
    for _ in range(20):
        job_id = jobs.submit(JobRequest(OWNER, add_image(database).id, {}))[0].id
        attempt = Attempt(database, job_id, 1, "worker")

        def look(job_id: str = job_id) -> None:
            job = jobs.get(job_id)
            seen.add((job.state, len(job.artifacts)))

        with meanwhile(look):
            attempt.claim(60)
            attempt.enter(Stage.SAVING)
            attempt.commit(MADE, expires_in_s=60)
    assert seen <= {(State.QUEUED, 0), (State.RUNNING, 0), (State.SUCCEEDED, 1)}


def test_workers_beat_at_once(database: Database) -> None:
    all_at_once(database, lambda own, n: [Workers(own).beat(f"worker{n}") for _ in range(5)])
    assert Workers(database).alive(within_s=60) == AT_ONCE


def test_signs_of_life_wait_for_nobody_who_writes(postgres: Cluster) -> None:
    """He may be far away; on SQLite, all are on one machine and take their turns."""
    database = Database.open(postgres.create())
    image = add_image(database)
    job_id = Jobs(database).submit(JobRequest(OWNER, image.id, {}))[0].id
    attempt, member = Attempt(database, job_id, 1, worker="w"), Member("host:1", "worker", "1.0")
    with database.writing() as held:
        held.execute(select(1))
        assert attempt.renew(8.0), "its process has yet to claim it"
    assert attempt.claim(8.0) is not None
    with database.writing() as held:
        held.execute(select(1))
        assert attempt.renew(8.0)
        assert Help(database, job_id, "helper").renew(8.0)
        Workers(database).beat("w")
        Members(database).beat(member)
    assert Workers(database).alive(within_s=60) == 1
    assert Members(database).alive(within_s=60) == [member]
    assert not Attempt(database, job_id, 2, worker="w").renew(8.0), "not its attempt"
    database.close()


def test_attempts_wait_for_whoever_counts_and_not_for_each_other(
    postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On SQLite all take their turns."""
    monkeypatch.setattr("worker.ledger.database.BUSY_TIMEOUT", 0.2)
    database = Database.open(postgres.create())
    image = add_image(database)
    ids = [Jobs(database).submit(JobRequest(OWNER, image.id, {}))[0].id for _ in range(2)]
    one, other = (Attempt(database, id_, 1, "worker") for id_ in ids)
    assert one.claim(60)
    with database.fenced() as held:
        held.execute(update(jobs_table).where(jobs_table.c.id == ids[0]).values(stacks_done=1))
        assert other.claim(60)
        write_event(held, ids[0], 1, EventType.STAGE, {"stage": Stage.DENOISING})
        assert other.enter(Stage.DENOISING), "whose event has a greater number and is seen first"
        with pytest.raises(OperationalError, match="lock timeout"):
            tally(database)
    assert sum(tally(database)["stage", Stage.LOADING].counts) == 2, "none was missed"
    with database.writing() as counting:
        counting.execute(select(1))
        with pytest.raises(OperationalError, match="lock timeout"):
            other.commit(MADE, expires_in_s=60)
    assert other.commit(MADE, expires_in_s=60)
    database.close()
