"""Numbers of events are never used twice, not even those that a crash of PostgreSQL took away.

A reader resumes after the last number that it has seen. Were that number, or a smaller one, given
to another event after the crash, the reader would never hear of it.
"""

import signal
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from tests.support.lattices import OWNER, add_image
from tests.support.postgres import Cluster
from worker.contract import JobRequest, Stage
from worker.ledger.attempt import Attempt
from worker.ledger.database import Database
from worker.ledger.jobs import Jobs

AT_ONCE = 32  # numbers of a sequence that PostgreSQL notes in its log


@pytest.fixture
def slow_log(postgres: Cluster) -> Iterator[Cluster]:
    """A PostgreSQL that brings to disk what it must, and the rest much later."""

    def tell(*statements: str) -> None:
        database = Database(postgres.create())
        autocommit = database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        with autocommit as connection:
            for statement in (*statements, "SELECT pg_reload_conf()"):
                connection.execute(text(statement))
        database.close()

    late = {"wal_writer_delay": "10s", "wal_writer_flush_after": "1GB"}
    tell(*(f"ALTER SYSTEM SET {name} = '{value}'" for name, value in late.items()))
    yield postgres
    tell(*(f"ALTER SYSTEM RESET {name}" for name in late))


@pytest.mark.parametrize(
    ("events", "checkpoint"), [(3, False), (AT_ONCE + 8, False), (3, True), (AT_ONCE + 8, True)]
)
def test_a_crash_makes_no_number_of_an_event_free_again(
    slow_log: Cluster, events: int, checkpoint: bool
) -> None:
    database = Database.open(slow_log.create())
    job_id = Jobs(database).submit(JobRequest(OWNER, add_image(database).id, {}))[0].id
    attempt = Attempt(database, job_id, 1, "worker")
    assert attempt.claim(600)
    if checkpoint:  # after which the next number is noted anew
        with database.writing() as connection:
            connection.execute(text("CHECKPOINT"))
    for _ in range(events):
        assert attempt.enter(Stage.DENOISING)
    seen = Jobs(database).events(job_id)[-1].id
    slow_log.stop(signal.SIGQUIT)
    slow_log.start()
    assert attempt.enter(Stage.SAVING)
    assert Jobs(database).events(job_id)[-1].id > seen
    database.close()
