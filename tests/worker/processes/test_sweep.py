"""What is to go goes, in small steps, and nobody waits for it."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from redis import Redis
from sqlalchemy import Engine, event

from tests.support.lattices import OWNER, add_image
from tests.support.servers import valkey_server
from tests.support.waiting import until
from worker.contract import JobRequest
from worker.ledger.database import Database
from worker.ledger.jobs import Jobs
from worker.processes import sweep
from worker.processes.dispatch import Dispatcher
from worker.processes.sweep import Sweeper
from worker.settings import Settings
from worker.store import FolderStore

MANY = 300


@pytest.fixture
def sweeper(database: Database, tmp_path: Path) -> Sweeper:
    settings = Settings(data_dir=tmp_path)
    return Sweeper(database, FolderStore(tmp_path), settings)


def add_job(sweeper: Sweeper) -> str:
    """A queued job, and a file of its first attempt."""
    image = add_image(sweeper.database)
    job_id = Jobs(sweeper.database).submit(JobRequest(OWNER, image.id, {}))[0].id
    (sweeper.store.attempt(job_id, 1) / "result.npy").write_bytes(b"x")
    return job_id


def make_old(*folders: Path) -> None:
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            os.utime(path, (0, 0))


def folders(sweeper: Sweeper, kind: str) -> set[str]:
    return {path.name for path in (sweeper.settings.data_dir / kind).iterdir()}


def test_only_old_strays_go(sweeper: Sweeper) -> None:
    store, known = sweeper.store, add_job(sweeper)
    stray, recent = uuid4().hex, uuid4().hex
    for job_id in (stray, recent):
        (store.attempt(job_id, 1) / "result.npy").write_bytes(b"x")
    abandoned, receiving = store.new_upload(), store.new_upload()
    (receiving / "original").write_bytes(b"still growing")
    jobs = sweeper.settings.data_dir / "jobs"
    make_old(jobs / known, jobs / stray, abandoned)
    os.utime(receiving, (0, 0))  # its only entry was made long ago
    sweeper.sweep()
    assert folders(sweeper, "jobs") == {known, recent}
    assert folders(sweeper, "uploads") == {receiving.name}
    assert folders(sweeper, "trash") == set()


def test_what_is_no_folder_of_ours_is_left_alone(sweeper: Sweeper) -> None:
    foreign = sweeper.settings.data_dir / "images" / "lost+found"
    foreign.mkdir()
    make_old(foreign)
    sweeper.sweep()
    assert foreign.exists()


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_c: object, _k: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def test_a_walk_over_many_jobs_is_cheap(sweeper: Sweeper) -> None:
    """One question to the ledger for many, and no look into their files."""
    jobs = {add_job(sweeper) for _ in range(MANY)}
    looks: list[str] = []
    looking = True

    def note(name: str, arguments: tuple[object, ...]) -> None:
        if looking and name in ("os.scandir", "os.listdir"):
            looks.append(str(arguments[0]))

    sys.addaudithook(note)  # it cannot be removed, but told to stop
    with statements(sweeper.database.engine) as asked:
        sweeper.sweep()
    looking = False
    assert folders(sweeper, "jobs") == jobs
    assert len(asked) < 50
    assert not [path for path in looks if "attempts" in path]
    assert len(looks) < 1.2 * MANY


def test_it_can_be_stopped_between_two_steps(
    sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "FOLDERS", 5)
    jobs = sweeper.settings.data_dir / "jobs"
    for _ in range(20):
        sweeper.store.attempt(uuid4().hex, 1)
    make_old(jobs)

    class After(threading.Event):
        """Set when the first folders have gone."""

        def is_set(self) -> bool:
            return len(folders(sweeper, "jobs")) < 20

        def wait(self, _timeout: float | None = None) -> bool:
            return self.is_set()

    sweeper.sweep(After())
    assert len(folders(sweeper, "jobs")) == 15
    sweeper.sweep()
    assert folders(sweeper, "jobs") == set()


def test_what_fails_is_left_to_the_next_sweep(sweeper: Sweeper) -> None:
    stray = uuid4().hex
    make_old(sweeper.store.attempt(stray, 1).parents[1])
    uploads = sweeper.settings.data_dir / "uploads"
    uploads.rmdir()
    sweeper.sweep()
    assert folders(sweeper, "jobs") == {stray}
    uploads.mkdir()
    sweeper.sweep()
    assert folders(sweeper, "jobs") == set()


def test_jobs_are_dispatched_while_a_sweep_takes_its_time(
    database: Database, jobs: Jobs, tmp_path: Path
) -> None:
    hanging, go_on = threading.Event(), threading.Event()

    class SlowDisk(FolderStore):
        def trash(self) -> list[Path]:
            hanging.set()
            go_on.wait()
            return super().trash()

    settings, stop = Settings(data_dir=tmp_path), threading.Event()
    with (
        valkey_server(tmp_path) as valkey,
        Redis.from_url(valkey.url) as redis,
        Sweeper(database, SlowDisk(tmp_path), settings).beside(),
    ):
        dispatcher = threading.Thread(
            target=Dispatcher(database, redis, settings).run, args=(stop,)
        )
        dispatcher.start()
        assert hanging.wait(10)
        jobs.submit(JobRequest(OWNER, add_image(database).id, {}))
        until(lambda: redis.llen("rq:queue:reucid"))
        stop.set()
        dispatcher.join()
        go_on.set()


def test_a_stopped_sweeper_ends_its_thread(sweeper: Sweeper) -> None:
    with sweeper.beside():
        assert "sweeper" in {thread.name for thread in threading.enumerate()}
    assert "sweeper" not in {thread.name for thread in threading.enumerate()}
