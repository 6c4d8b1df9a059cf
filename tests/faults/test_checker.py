"""The checker can fail: each promise, broken on purpose, is found."""

import base64
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import delete, insert, update

from tests.faults.cases import Case
from tests.faults.checker import OWNER, check
from tests.faults.deliveries import Told, check_told
from tests.faults.history import History, Submission
from tests.support.receivers import Received
from worker.contract import EventType, FileInfo, ImageInfo, JobRequest, Stage, State
from worker.ledger.attempt import Attempt
from worker.ledger.database import Database
from worker.ledger.images import Images
from worker.ledger.jobs import Jobs, write_event
from worker.ledger.tables import artifacts, events, jobs
from worker.store import FolderStore
from worker.webhooks.signature import signed

Breaking = Callable[["World"], None]


class World:
    """One job that went as it should."""

    def __init__(self, folder: Path) -> None:
        self.database = Database.open(f"sqlite:///{folder / 'ledger.sqlite'}")
        self.jobs = Jobs(self.database)
        self.store = FolderStore(folder)
        image, _ = Images(self.database).add(
            image_id=uuid4().hex,
            owner=OWNER,
            name="x",
            sha256="0" * 64,
            size=1,
            info=FileInfo("npy", (ImageInfo("npy", (9, 9), "uint8"),)),
        )
        self.image_id = image.id
        job, _ = self.jobs.submit(
            JobRequest(OWNER, image.id, {}), idempotency_key="k", fingerprint="f"
        )
        self.id = job.id
        self.attempt = Attempt(self.database, job.id, 1, "worker")
        assert self.attempt.claim(60)
        self.attempt.enter(Stage.SAVING)
        self.path = self.store.attempt(job.id, 1) / "result.npy"
        self.path.write_bytes(b"right")
        (made,) = self.store.seal(job.id, 1, ["result.npy"])
        self.attempt.stack_done(1, 1, {})
        self.attempt.commit([made], expires_in_s=60)
        self.wanted = Submission("k", Case(b"", "{}", made.sha256), {job.id})
        self.wanted.states = ["queued", "running", "succeeded"]
        self.wanted.events = [(e.id, str(e.type)) for e in self.jobs.events(job.id)]
        self.wanted.read_to_the_end = True
        self.wanted.results = [made.sha256]
        self.history = History([self.wanted])

    def event(self, type_: EventType, attempt: int = 1) -> None:
        with self.database.writing() as connection:
            write_event(connection, self.id, attempt, type_)

    def row(self, **values: object) -> None:
        with self.database.writing() as connection:
            connection.execute(update(jobs).values(values))

    def check(self) -> list[str]:
        return check(self.history, self.database, self.store)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.database.close()


def lose(world: World) -> None:
    with world.database.writing() as connection:
        connection.execute(delete(jobs))


def forget_artifacts(world: World) -> None:
    with world.database.writing() as connection:
        connection.execute(delete(artifacts))


def forget_an_event(world: World) -> None:
    with world.database.writing() as connection:
        connection.execute(delete(events).where(events.c.id == world.wanted.events[1][0]))


def double(world: World) -> None:
    world.jobs.submit(JobRequest(OWNER, world.image_id, {}))


def turn_back_time(world: World) -> None:
    with world.database.writing() as connection:
        first = world.wanted.events[0][0]
        connection.execute(update(events).where(events.c.id == first).values(created_at=4e9))


def leave_a_stale_artifact(world: World) -> None:
    world.row(state="failed")
    with world.database.writing() as connection:
        row = {"job_id": world.id, "name": "more", "sha256": "0" * 64, "size": 1}
        connection.execute(insert(artifacts).values(row))


FAULTS: dict[str, tuple[Breaking, str]] = {
    "lost": (lose, "not in the ledger"),
    "unended": (lambda w: w.row(state="running"), "still running"),
    "doubled": (double, "nobody submitted"),
    "two ids": (lambda w: w.wanted.ids.add("f" * 32), "answered with 2 jobs"),
    "second end": (lambda w: w.event(EventType.FAILED), "it ended"),
    "late event": (lambda w: w.event(EventType.STAGE, 1), "after its end"),
    "stale event": (lambda w: w.event(EventType.STAGE, 0), "an attempt wrote after"),
    "run twice": (lambda w: w.event(EventType.STARTED), "started twice"),
    "other end": (lambda w: w.row(state="canceled"), "the ledger says canceled"),
    "missing file": (lambda w: w.path.unlink(), "is missing"),
    "half a file": (lambda w: w.path.write_bytes(b"ri"), "not what the ledger holds"),
    "no artifact": (forget_artifacts, "not the right one"),
    "stale artifact": (leave_a_stale_artifact, "has artifacts"),
    "event gone": (forget_an_event, "a gap"),
    "stream cut": (lambda w: w.wanted.events.pop() and None, "ended early"),
    "stream gap": (lambda w: w.wanted.events.pop(1) and None, "a gap"),
    "stream twice": (lambda w: w.wanted.events.insert(1, w.wanted.events[0]), "twice"),
    "back in time": (turn_back_time, "back in time"),
    "wrong bytes": (lambda w: w.wanted.results.append("0" * 64), "wrong result"),
    "left its end": (lambda w: w.wanted.states.append("running"), "left a terminal state"),
    "cancel ignored": (lambda w: w.wanted.cancel_answers.append("running"), "cancel was answered"),
    "server fault": (lambda w: w.history.complaints.append("500"), "answer: 500"),
}


def test_a_good_history_has_no_fault(world: World) -> None:
    assert world.check() == []


@pytest.mark.parametrize("name", FAULTS)
def test_each_broken_promise_is_found(world: World, name: str) -> None:
    breaking, complaint = FAULTS[name]
    breaking(world)
    assert any(complaint in line for line in world.check())


def told(*messages: tuple[str, str, str]) -> Told:
    """A receiver that took messages of job, type and id."""
    made = Told()
    for job_id, type_, message_id in messages:
        made.taken[job_id].append((message_id, type_))
    return made


def test_what_webhooks_were_told_is_held_against_the_ledger() -> None:
    job: Any = SimpleNamespace(id="a", state=State.SUCCEEDED)
    good = ("a", "job.succeeded", "m1")
    assert check_told(told(good, good), [job]) == []
    for wrong in (
        told(("a", "job.failed", "m1")),
        told(good, ("a", "job.succeeded", "m2")),
        told(good, ("a", "job.canceled", "m1")),
    ):
        assert check_told(wrong, [job]) != []
    unsigned = told(good)
    assert unsigned.answer(Received("/", {}, b"{}"))[0] == 400
    assert check_told(unsigned, [job]) != []


def test_half_of_the_attempts_are_refused() -> None:
    secret = "whsec_" + base64.b64encode(b"a secret of 24 bytes or more").decode()
    heard = Told(secret)
    body = b'{"type": "job.failed", "data": {"job_id": "a", "state": "failed"}}'
    for status in (500, 204, 204):
        headers = signed(secret, "m1", int(time.time()), body)
        assert heard.answer(Received("/", headers, body))[0] == status
    assert heard.figures == {
        "jobs": 1,
        "attempts": 3,
        "refused": 1,
        "taken": 2,
        "taken again": 1,
    }
    assert heard.complaints == []
