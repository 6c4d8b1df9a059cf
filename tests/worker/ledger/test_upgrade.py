"""A server that starts on an older ledger upgrades it and keeps what is in it."""

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from worker.contract import JobRequest, State
from worker.ledger.database import (
    MIGRATIONS,
    Database,
    UnusableLedgerError,
    head,
    open_engine,
    revision,
    writing,
)
from worker.ledger.images import Images
from worker.ledger.jobs import Jobs
from worker.ledger.tally import tally

IMAGE, JOB = "1" * 32, "2" * 32
ROWS = (
    "INSERT INTO images VALUES (:image, 'local', 'a.npy', :sha256, 100, :info, 1000.0)",
    "INSERT INTO jobs (id, owner, image_id, params, priority, labels, metadata, state, stacks_done,"
    " finish_requested, attempt, lost, turn, dispatch, created_at, finished_at, expires_at, purged)"
    " VALUES (:job, 'local', :image, '{}', 'batch', '{}', '{}', 'succeeded', 1, false, 1, 0, 0, 1,"
    " 1000.0, 1003.0, 9e9, false)",
    "INSERT INTO artifacts VALUES (:job, 'result.npy', :sha256, 50)",
    "INSERT INTO events (job_id, attempt, type, data, created_at) VALUES"
    " (:job, 1, 'queued', '{}', 1000.0), (:job, 1, 'started', '{}', 1001.0),"
    " (:job, 1, 'succeeded', '{}', 1003.0)",
)


def test_a_newer_ledger_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    database = Database.open(url)
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(UnusableLedgerError, match=r"9999.*newer"):
        Database.open(url)


def test_from_the_first_version(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    engine = open_engine(url)
    config = Config()
    config.set_main_option("script_location", MIGRATIONS)
    info = '{"format": "npy", "shape": [9, 9], "dtype": "uint8", "pixel_size": null, "unit": null}'
    values = {"image": IMAGE, "job": JOB, "sha256": "0" * 64, "info": info}
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for row in ROWS:
            connection.execute(text(row), values)
    engine.dispose()

    database = Database.open(url)
    assert revision(database.engine) == head() != "0001"
    job = Jobs(database).get(JOB, owner="local")
    assert (job.state, job.created_at, job.request.batch) == (State.SUCCEEDED, 1000.0, None)
    assert [artifact.name for artifact in job.artifacts] == ["result.npy"]
    assert Images(database).get(IMAGE, owner="local").expired_at is None
    assert Jobs(database).used("local") == 200 + 50, "what interim results took was not noted then"
    assert tally(database)["wait", "batch"].total == 1.0
    again, _ = Jobs(database).submit(JobRequest("local", IMAGE, {}, batch="new"))
    assert again.request.batch == "new"
    database.close()
