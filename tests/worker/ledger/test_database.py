"""Opening a ledger: older ones are upgraded, newer ones and unsafe places refused."""

from pathlib import Path

import pytest
from sqlalchemy import MetaData, Table, create_engine, insert, text

from tests.support.lattices import OWNER, add_image
from tests.support.postgres import Cluster
from worker.contract import Artifact, JobRequest, State
from worker.ledger import mounts
from worker.ledger.attempt import Attempt
from worker.ledger.backlog import Backlog
from worker.ledger.database import (
    Database,
    UnusableLedgerError,
    check_place,
    migrate,
    open_engine,
    writing,
)
from worker.ledger.jobs import Jobs
from worker.ledger.workers import Workers

JOB = {
    "owner": OWNER,
    "image_id": "1" * 32,
    "params": {"patch_size": 11},
    "priority": "interactive",
    "labels": {"a": "b"},
    "metadata": {"deep": {"er": [1, None, "µ"]}},
    "finish_requested": False,
    "attempt": 1,
    "lost": 0,
    "turn": 0,
    "dispatch": 0,
    "created_at": 1.0,
    "purged": False,
    "stacks_done": 0,
}
ENDS = {"finished_at": 3.0, "started_at": 2.0}
LIVES = {
    "queued": {},
    "running": {"worker": "gone", "lease_until": 2.0, "started_at": 2.0, "stage": "denoising"},
    "succeeded": ENDS | {"expires_at": 4e9},
    "failed": ENDS | {"failure_code": "timeout", "failure_detail": "too long"},
    "canceled": ENDS,
}


def old_ledger(url: str) -> dict[str, str]:
    """A ledger of the first revision with a job in every state; their ids."""
    engine = open_engine(url)
    migrate(engine, "0001")
    tables = MetaData()
    with writing(engine) as connection:
        tables.reflect(connection)

        def add(table: str, **values: object) -> None:
            connection.execute(insert(Table(table, tables)).values(values))

        info = {
            "format": "npy",
            "shape": [9, 9],
            "dtype": "uint8",
            "pixel_size": None,
            "unit": None,
        }
        add("images", id="1" * 32, owner=OWNER, name="x", sha256="0" * 64, size=1, info=info,
            created_at=1.0)  # fmt: skip
        ids = {}
        for n, (state, values) in enumerate(LIVES.items()):
            ids[state] = job_id = f"{n:032x}"
            add("jobs", id=job_id, state=state, **JOB | values)
            add("labels", job_id=job_id, name="a", value="b")
            add("events", job_id=job_id, attempt=1, type="queued", data={}, created_at=1.0)
        add("artifacts", job_id=ids["succeeded"], name="result.npy", sha256="0" * 64, size=1)
    engine.dispose()
    return ids


def test_an_older_ledger_is_upgraded_and_keeps_its_jobs(database_url: str) -> None:
    ids = old_ledger(database_url)
    database = Database.open(database_url)
    for state, job_id in ids.items():
        job = Jobs(database).get(job_id, owner=OWNER)
        assert (job.state, job.request.params) == (State(state), {"patch_size": 11})
        assert job.request.metadata == {"deep": {"er": [1, None, "µ"]}}
        assert (len(job.artifacts), job.failure is not None) == (
            state == "succeeded",
            state == "failed",
        )
        assert [event.type for event in Jobs(database).events(job_id)] == ["queued"]
    assert len(Jobs(database).page(owner=OWNER, label=("a", "b"))) == len(LIVES)
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
    database.close()


def test_a_newer_ledger_is_refused(database_url: str) -> None:
    Database.open(database_url).close()
    engine = open_engine(database_url)
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(UnusableLedgerError, match=r"revision 9999.*newer REUCID.*backup"):
        Database.open(database_url)


def test_a_database_that_is_away_is_named_without_its_password() -> None:
    with pytest.raises(UnusableLedgerError, match=r"cannot open the ledger") as caught:
        Database.open("postgresql://user:secret@127.0.0.1:9/ledger")
    assert "secret" not in str(caught.value)


def test_an_unknown_kind_of_database_is_refused() -> None:
    with pytest.raises(UnusableLedgerError, match=r"got a ledger of kind 'mysql'"):
        open_engine("mysql://x/y")


MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/root rw
23 22 0:20 / /proc rw - proc proc rw
40 22 0:50 / /net rw shared:1 - nfs4 server:/export rw
41 40 0:51 / /net/local\\040disk rw - ext4 /dev/sdb1 rw
42 22 0:52 / /home rw - ext4 /dev/sdc1 rw
43 22 0:53 / /home rw - cifs //server/home rw
44 22 0:54 / /mnt/c rw - 9p drvfs rw
45 22 0:55 / /mnt/sshfs rw - fuse.sshfs host:/ rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/reucid", "ext4"),
        ("/net/reucid/ledger.sqlite", "nfs4"),
        ("/net/local disk/ledger.sqlite", "ext4"),
        ("/network/ledger.sqlite", "ext4"),
        ("/home/me/ledger.sqlite", "cifs"),
        ("/mnt/c/ledger.sqlite", "9p"),
        ("/mnt/sshfs/ledger.sqlite", "fuse.sshfs"),
    ],
)
def test_the_filesystem_under_a_path_is_found(path: str, kind: str) -> None:
    assert mounts.filesystem_of(Path(path), MOUNTS) == kind


def test_sqlite_is_refused_on_a_network_filesystem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(f"22 1 254:0 / {tmp_path} rw - nfs server:/export rw\n")
    monkeypatch.setattr(mounts, "MOUNTS", table)
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    with pytest.raises(UnusableLedgerError, match=r"\(nfs\).*REUCID_LEDGER_ON_NETWORK=true"):
        Database.open(url)
    check_place("postgresql://host/db")
    Database.open(url, on_network=True).close()


def test_the_ledger_outlives_a_crash_of_its_database(postgres: Cluster) -> None:
    database = Database.open(postgres.create())
    job_id = Jobs(database).submit(JobRequest(OWNER, add_image(database).id, {}))[0].id
    postgres.stop()
    postgres.start()
    assert Jobs(database).get(job_id).state is State.QUEUED
    assert Attempt(database, job_id, 1, "worker").claim(60)
    database.close()


def test_a_process_stopped_within_a_write_holds_nobody_up_for_ever(
    postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.ledger.database.STUCK_TIMEOUT", 0.2)
    url = postgres.create()
    stuck, database = Database.open(url), Database(url)
    with stuck.engine.connect().execution_options(writes=True) as connection:
        connection.execute(text("SELECT 1"))  # and then nothing more
        Workers(database).beat("worker")
        connection.invalidate()
    assert Workers(database).alive(within_s=60) == 1
    stuck.close()
    database.close()


def test_a_stock_engine_reads_what_we_wrote(tmp_path: Path) -> None:
    """Nothing about an SQLite ledger needs our code to be read."""
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    database = Database.open(url)
    add_image(database)
    database.close()
    engine = create_engine(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM images")).scalar_one() == 1
    engine.dispose()
