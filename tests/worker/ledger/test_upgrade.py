"""The schema of the ledger: what the migrations make, and what an upgrade keeps."""

import shutil
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, insert, inspect, text

from tests.support.lattices import OWNER, add_image
from worker.contract import Artifact, FileInfo, ImageInfo, JobRequest, State
from worker.ledger import tables
from worker.ledger.attempt import Attempt
from worker.ledger.backlog import Backlog
from worker.ledger.database import (
    MIGRATIONS,
    Database,
    UnusableLedgerError,
    head,
    revision,
)
from worker.ledger.images import Images
from worker.ledger.jobs import Jobs

LATEST = head()
LATER = f"{int(LATEST) + 1:04}"
STEP = f'''\
"""What a later version may need."""

import sqlalchemy as sa
from alembic import op

revision = "{LATER}"
down_revision = "{LATEST}"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("later", sa.Integer, nullable=False, server_default="7"))
'''


@pytest.fixture
def later(tmp_path: Path) -> str:
    """The migrations of a later version: one more than now."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / f"{LATER}_later.py").write_text(STEP)
    return str(folder)


def test_a_fresh_ledger_has_the_tables_as_they_are_declared(database_url: str) -> None:
    database = Database.open(database_url)
    with database.reading() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, tables.metadata) == []
    assert revision(database.engine) == head() == LATEST
    database.close()


def test_a_difference_would_be_found(database_url: str) -> None:
    database = Database.open(database_url)
    with database.writing() as connection:
        connection.execute(text("ALTER TABLE keys DROP COLUMN last_used_at"))
        connection.execute(text("DROP INDEX ix_jobs_batch"))
        found = compare_metadata(MigrationContext.configure(connection), tables.metadata)
    assert {each[0] for each in found} == {"add_column", "add_index"}
    database.close()


def test_sqlite_holds_the_same_statements_either_way(tmp_path: Path) -> None:
    """Also what no comparison of tables sees: names of constraints, ids that are never reused."""
    made, declared = (f"sqlite:///{tmp_path / name}" for name in ("made", "declared"))
    Database.open(made).close()
    engine = create_engine(declared)
    tables.metadata.create_all(engine)
    engine.dispose()
    assert statements(made) == statements(declared)


def statements(url: str) -> set[str]:
    """What an SQLite database was made by; the lines of a statement in any order."""
    engine = create_engine(url)
    with engine.connect() as connection:
        query = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version'"
        found = connection.execute(text(query)).scalars().all()
    engine.dispose()
    return {"\n".join(sorted(line.strip(" \t,") for line in sql.splitlines())) for sql in found}


JOB = {
    "owner": OWNER,
    "image_id": "1" * 32,
    "params": {"patch_size": 11},
    "priority": "interactive",
    "labels": {"a": "b"},
    "metadata": {"deep": {"er": [1, None, "µ"]}},
    "turn": 0,
    "created_at": 1.0,
}
ENDS = {"finished_at": 3.0, "started_at": 2.0}
LIVES = {
    "queued": {},
    "running": {"worker": "gone", "lease_until": 2.0, "started_at": 2.0, "stage": "denoising"},
    "succeeded": ENDS | {"expires_at": 4e9},
    "failed": ENDS | {"failure_code": "timeout", "failure_detail": "too long"},
    "canceled": ENDS,
}


def fill(database: Database) -> dict[str, str]:
    """A job in every state; their ids."""
    info = FileInfo("npy", (ImageInfo("npy", (9, 9), "uint8", (0.5, 0.25), "nm"),))
    Images(database).add(
        image_id="1" * 32, owner=OWNER, name="x", sha256="0" * 64, size=1, info=info
    )
    ids = {}
    with database.writing() as connection:
        for n, (state, values) in enumerate(LIVES.items()):
            ids[state] = job_id = f"{n:032x}"
            job = {"id": job_id, "state": state, **JOB, **values}
            event = {"job_id": job_id, "attempt": 1, "type": "queued", "data": {}}
            connection.execute(insert(tables.jobs).values(job))
            connection.execute(insert(tables.labels).values(job_id=job_id, name="a", value="b"))
            connection.execute(insert(tables.events).values(event | {"created_at": 1.0}))
        artifact = {"job_id": ids["succeeded"], "name": "result.npy", "sha256": "0" * 64, "size": 1}
        connection.execute(insert(tables.artifacts).values(artifact))
    return ids


def test_an_upgrade_keeps_what_the_ledger_holds(
    database_url: str, later: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database.open(database_url)
    ids = fill(database)
    image = Images(database).get("1" * 32)
    database.close()

    with monkeypatch.context() as newer:
        newer.setattr("worker.ledger.database.MIGRATIONS", later)
        database = Database.open(database_url)
        assert revision(database.engine) == head() == LATER
    with database.reading() as connection:
        assert set(connection.execute(text("SELECT later FROM jobs")).scalars()) == {7}
    assert Images(database).get("1" * 32) == image
    check_jobs(database, ids)
    database.close()
    told = f"revision {LATER}, expected at most {LATEST}.*newer"
    with pytest.raises(UnusableLedgerError, match=told):
        Database.open(database_url)


def test_an_upgrade_that_fails_halfway_changes_nothing(
    database_url: str, later: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database.open(database_url)
    ids = fill(database)
    database.close()
    with Path(later, "versions", f"{LATER}_later.py").open("a") as step:
        step.write("    raise RuntimeError('halfway')\n")
    with monkeypatch.context() as newer:
        newer.setattr("worker.ledger.database.MIGRATIONS", later)
        with pytest.raises(RuntimeError, match="halfway"):
            Database.open(database_url)
    database = Database.open(database_url)
    with database.reading() as connection:
        columns = {each["name"] for each in inspect(connection).get_columns("jobs")}
    assert columns == set(tables.jobs.columns.keys())
    assert revision(database.engine) == LATEST
    check_jobs(database, ids)
    database.close()


def check_jobs(database: Database, ids: dict[str, str]) -> None:
    for state, job_id in ids.items():
        job = Jobs(database).get(job_id, owner=OWNER)
        assert (job.state, job.request.params) == (State(state), {"patch_size": 11})
        assert job.request.metadata == {"deep": {"er": [1, None, "µ"]}}
        assert (len(job.artifacts), job.failure is not None) == (
            state == "succeeded",
            state == "failed",
        )
        assert [event.type for event in Jobs(database).events(job_id)] == ["queued"]
    assert len(Jobs(database).page(owner=OWNER, having=[("a", "b")])) == len(LIVES)
    # What was under way goes on: the lost one is recovered, both can be run and ended.
    assert Backlog(database).recover(3) == [ids["running"]]
    for waiting in Backlog(database).waiting(5):
        attempt = Attempt(database, waiting.job_id, waiting.attempt, "worker")
        assert attempt.claim(60)
        assert attempt.commit([Artifact("result.npy", "0" * 64, 1)], expires_in_s=60)
    assert {job.state for job in Jobs(database).page(owner=OWNER)} == {
        "succeeded",
        "failed",
        "canceled",
    }
    new, _ = Jobs(database).submit(JobRequest(OWNER, add_image(database).id, {}))
    assert new.serial > max(Jobs(database).get(each).serial for each in ids.values())
