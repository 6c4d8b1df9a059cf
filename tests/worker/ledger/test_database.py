"""Opening a ledger: newer ones and unsafe places are refused, and it outlives its database."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import OperationalError

from tests.support.disks import set_pragmas
from tests.support.lattices import OWNER, add_image
from tests.support.postgres import Cluster
from worker.contract import JobRequest, State
from worker.ledger import mounts
from worker.ledger.attempt import Attempt
from worker.ledger.database import (
    Database,
    UnusableLedgerError,
    check_place,
    open_engine,
    writing,
)
from worker.ledger.jobs import Jobs
from worker.ledger.workers import Workers


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


MOUNTS = {  # in the order in which they were mounted
    "/": "ext4",
    "/proc": "proc",
    "/net": "nfs4",
    "/net/local disk": "ext4",
    "/home": "ext4",
    "/mnt/c": "9p",
    "/mnt/sshfs": "fuse.sshfs",
    "/mnt/hidden": "tmpfs",
}
HIDDEN = ["/mnt/hidden"]  # another filesystem was mounted above it later
ABOVE = [("/home", "cifs")]  # mounted where there was one already


def use_mounts(monkeypatch: pytest.MonkeyPatch, table: Sequence[tuple[str, str]]) -> None:
    """A machine with these mounts and no others."""
    rows = [SimpleNamespace(mountpoint=place, fstype=kind) for place, kind in table]
    begins = {place for place, _ in table}.difference(HIDDEN)
    monkeypatch.setattr(psutil, "disk_partitions", lambda **asked: rows if asked["all"] else [])
    monkeypatch.setattr(os.path, "ismount", lambda path: str(path) in begins)


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
        ("/mnt/hidden/ledger.sqlite", "ext4"),
        ("/net/../mnt/c/ledger.sqlite", "9p"),
    ],
)
def test_the_filesystem_under_a_path_is_found(
    path: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_mounts(monkeypatch, [*MOUNTS.items(), *ABOVE])
    assert mounts.filesystem_of(Path(path)) == kind


STACKED = """
set -e
mount -t tmpfs below "$1"
mkdir "$1/above" "$1/above/hidden" "$1/with blank"
mount -t tmpfs first "$1/above"
mkdir "$1/above/hidden"
mount -t tmpfs hidden "$1/above/hidden"
mount -t ramfs second "$1/above"
mount -t ramfs blank "$1/with blank"
ln -s above/new "$1/link"
exec "$2" -c '
import sys
from pathlib import Path
from worker.ledger.mounts import filesystem_of
for name in ("new", "above/new", "above/hidden/new", "with blank/new", "link"):
    print(filesystem_of(Path(sys.argv[1], name)))
' "$1"
"""


def test_the_kernel_says_what_lies_on_top(tmp_path: Path) -> None:
    """Real mounts, one on another, in a namespace of their own."""
    own = ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*own, "true"]).returncode != 0:
        pytest.skip("no mount namespaces for this user")
    command = [*own, "sh", "-c", STACKED, "sh", str(tmp_path), sys.executable]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.stdout.split() == ["tmpfs", "ramfs", "ramfs", "ramfs", "ramfs"], found.stderr


def test_sqlite_is_refused_on_a_network_filesystem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_mounts(monkeypatch, [("/", "ext4"), (str(tmp_path), "nfs")])
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


def test_only_what_says_so_does_not_wait_for_the_disk(postgres: Cluster) -> None:
    database = Database.open(postgres.create())

    def kept(**options: bool) -> str:
        with database.writing(**options) as connection:
            return str(connection.exec_driver_sql("SHOW synchronous_commit").scalar_one())

    assert [kept(), kept(durable=False), kept(), kept(durable=True)] == ["on", "off", "on", "on"]
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


def test_what_sqlite_has_committed_outlasts_a_power_failure(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    set_pragmas(connection, None)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"
    connection.close()


def test_how_long_a_silent_network_is_borne_can_be_stated() -> None:
    engine = open_engine("postgresql://u@127.0.0.1:9/x?tcp_user_timeout=20000")
    seen: dict[str, str | int] = {}

    @event.listens_for(engine, "do_connect")
    def note(_dialect: object, _record: object, _args: object, stated: dict[str, str]) -> None:
        seen.update(stated)

    with pytest.raises(OperationalError), engine.connect():
        pass
    assert seen["tcp_user_timeout"] == "20000"
    assert seen["keepalives_idle"] == 4
    options = str(seen["options"])
    assert "-c tcp_user_timeout=20000" in options
    assert "-c tcp_keepalives_idle=4" in options
