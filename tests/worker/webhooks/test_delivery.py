"""What the outbox holds is delivered: at least once, in order, signed, and given up in the end."""

import asyncio
import base64
import hashlib
import hmac
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from tests.support.lattices import OWNER, add_image
from tests.support.receivers import Receiver, receiver
from worker.contract import Artifact, DeliveryState, Failure, JobRequest, Topic
from worker.ledger.attempt import Attempt
from worker.ledger.database import Database
from worker.ledger.jobs import Jobs
from worker.ledger.refusals import ConflictError
from worker.ledger.retention import Retention
from worker.ledger.tables import deliveries
from worker.ledger.webhooks import MOST_PER_OWNER, Webhooks
from worker.processes.sweep import Sweeper
from worker.settings import Settings
from worker.store import FolderStore
from worker.webhooks.delivery import AGAIN, Deliverer

ALL = (Topic.JOB_SUCCEEDED, Topic.JOB_FAILED, Topic.JOB_CANCELED, Topic.IMAGE_EXPIRED)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database.open(database_url)
    yield database
    database.close()


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def deliverer(database: Database, tmp_path: Path, *, private: bool = True) -> Deliverer:
    return Deliverer(database, Settings(data_dir=tmp_path, webhook_private=private))


def deliver(made: Deliverer) -> int:
    return asyncio.run(made.step())


def let_time_pass(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(update(deliveries).values(due_at=0.0))


def ended_job(database: Database, state: str = "canceled") -> str:
    request = JobRequest(OWNER, add_image(database).id, {}, external_id="x-1", labels={"a": "b"})
    job, _ = Jobs(database).submit(request)
    if state == "canceled":
        Jobs(database).cancel(job.id, owner=OWNER)
    else:
        attempt = Attempt(database, job.id, 1, "worker")
        attempt.claim(60)
        if state == "failed":
            attempt.fail(Failure("timeout", "too long"))
        else:
            attempt.commit([Artifact("result.npy", "0" * 64, 1)], expires_in_s=60)
    return job.id


@pytest.mark.parametrize("state", ["succeeded", "failed", "canceled"])
def test_the_end_of_a_job_is_told_with_a_signature(
    database: Database, tmp_path: Path, there: Receiver, state: str
) -> None:
    hooks = Webhooks(database)
    webhook, secret = hooks.create(owner=OWNER, url=f"{there.url}/hook?a=b", topics=ALL)
    hooks.create(owner="another", url=there.url, topics=ALL)
    job_id = ended_job(database, state)
    assert deliver(deliverer(database, tmp_path)) == 1
    (got,) = there.received
    assert got.path == "/hook?a=b"
    told = json.loads(got.body)
    assert told["type"] == f"job.{state}"
    assert (told["data"]["job_id"], told["data"]["external_id"]) == (job_id, "x-1")
    assert told["data"]["labels"] == {"a": "b"}
    assert ("result" in told["data"]["links"]) == (state == "succeeded")
    assert told["data"].get("code") == ("timeout" if state == "failed" else None)

    content = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
    assert got.headers["webhook-signature"] == f"v1,{expected}"
    (record,) = hooks.deliveries(webhook.id, owner=OWNER, limit=9)
    assert (record.state, record.status, record.attempts) == (DeliveryState.DELIVERED, 204, 1)


def test_only_what_was_asked_for_is_told(
    database: Database, tmp_path: Path, there: Receiver
) -> None:
    Webhooks(database).create(owner=OWNER, url=there.url, topics=[Topic.JOB_FAILED])
    for state in ("succeeded", "canceled", "failed"):
        ended_job(database, state)
    while deliver(deliverer(database, tmp_path)):
        pass
    assert [json.loads(got.body)["type"] for got in there.received] == ["job.failed"]


def test_an_image_that_expires_is_told_of(
    database: Database, tmp_path: Path, there: Receiver
) -> None:
    Webhooks(database).create(owner=OWNER, url=there.url, topics=ALL)
    image_id = add_image(database).id
    assert Retention(database).expire_images(unused_s=-1) == 1
    deliver(deliverer(database, tmp_path))
    (got,) = there.received
    assert json.loads(got.body)["data"]["image_id"] == image_id


def test_a_receiver_that_fails_half_of_the_time_is_told_everything_in_the_end(
    database: Database, tmp_path: Path, there: Receiver
) -> None:
    rng = random.Random(4)
    there.answer = lambda _: (rng.choice([500, 200, 302, 429]), {"Location": f"{there.url}/away"})
    Webhooks(database).create(owner=OWNER, url=there.url, topics=ALL)
    expected = {ended_job(database) for _ in range(12)}
    made = deliverer(database, tmp_path)
    for _ in range(len(AGAIN)):
        while deliver(made):
            pass
        let_time_pass(database)
    told: dict[str, set[str]] = {}
    for got in there.received:
        told.setdefault(json.loads(got.body)["data"]["job_id"], set()).add(
            got.headers["webhook-id"]
        )
    assert told.keys() == expected
    assert all(len(ids) == 1 for ids in told.values()), "a repetition has the id of the first"
    assert {got.path for got in there.received} == {"/"}, "no redirect is followed"


def test_nothing_of_a_job_is_told_before_what_came_before(
    database: Database, tmp_path: Path, there: Receiver
) -> None:
    hooks = Webhooks(database)
    webhook, _ = hooks.create(owner=OWNER, url=there.url, topics=ALL)
    ended_job(database)
    (first,) = hooks.deliveries(webhook.id, owner=OWNER, limit=1)
    with database.writing() as connection:
        from worker.ledger.outbox import put

        put(connection, webhook.id, Topic.JOB_CANCELED, first.subject, {"second": True})
    there.answer = lambda _: (503, {})
    made = deliverer(database, tmp_path)
    assert deliver(made) == 1
    let_time_pass(database)
    there.answer = lambda _: (200, {})
    assert deliver(made) == 1
    assert deliver(made) == 1
    assert ["second" in json.loads(got.body)["data"] for got in there.received] == [
        False,
        False,
        True,
    ]


def test_a_webhook_that_fails_for_a_day_is_disabled_and_can_be_enabled(
    database: Database, tmp_path: Path, there: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.webhooks.delivery.DAY", 0.0)
    there.answer = lambda _: (500, {})
    hooks = Webhooks(database)
    webhook, _ = hooks.create(owner=OWNER, url=there.url, topics=ALL)
    ended_job(database)
    made = deliverer(database, tmp_path)
    for _ in range(len(AGAIN) + 1):
        assert deliver(made) == 1
        let_time_pass(database)
    assert deliver(made) == 0
    assert len(there.received) == len(AGAIN) + 1
    disabled = hooks.get(webhook.id, owner=OWNER)
    assert "500" in str(disabled.disabled_reason)
    ended_job(database)
    assert len(hooks.deliveries(webhook.id, owner=OWNER, limit=9)) == 1, "nothing is put aside"
    with pytest.raises(ConflictError, match="enable"):
        hooks.test(webhook.id, owner=OWNER)
    hooks.enable(webhook.id, owner=OWNER)
    there.answer = lambda _: (200, {})
    (failed,) = hooks.deliveries(webhook.id, owner=OWNER, limit=9)
    hooks.redeliver(webhook.id, failed.number, owner=OWNER)
    assert deliver(made) == 1
    assert hooks.delivery(webhook.id, failed.number).state is DeliveryState.DELIVERED


def test_a_receiver_that_is_gone_is_not_asked_again(
    database: Database, tmp_path: Path, there: Receiver
) -> None:
    there.answer = lambda _: (410, {})
    hooks = Webhooks(database)
    webhook, _ = hooks.create(owner=OWNER, url=there.url, topics=ALL)
    ended_job(database)
    deliver(deliverer(database, tmp_path))
    assert "410" in str(hooks.get(webhook.id, owner=OWNER).disabled_reason)


def test_an_address_that_has_become_private_gets_nothing(
    database: Database, tmp_path: Path, there: Receiver
) -> None:
    hooks = Webhooks(database)
    webhook, _ = hooks.create(owner=OWNER, url=there.url, topics=ALL)
    ended_job(database)
    deliver(deliverer(database, tmp_path, private=False))
    assert there.received == []
    (record,) = hooks.deliveries(webhook.id, owner=OWNER, limit=1)
    assert "not public" in str(record.error)


def test_what_a_receiver_answers_is_not_read(
    database: Database, tmp_path: Path, there: Receiver
) -> None:
    there.answer = lambda _: (200, {"Content-Length": str(2**30)})  # it never sends that
    Webhooks(database).create(owner=OWNER, url=there.url, topics=ALL)
    ended_job(database)
    made = deliverer(database, tmp_path)
    assert deliver(made) == 1
    assert deliver(made) == 0


def test_two_deliverers_make_each_delivery_once(
    database: Database, tmp_path: Path, there: Receiver
) -> None:
    Webhooks(database).create(owner=OWNER, url=there.url, topics=ALL)
    for _ in range(8):
        ended_job(database)

    async def both() -> None:
        made = [deliverer(database, tmp_path) for _ in range(2)]
        await asyncio.gather(*(each.step() for each in made))

    asyncio.run(both())
    ids = [got.headers["webhook-id"] for got in there.received]
    assert len(ids) == len(set(ids)) == 8


def test_an_owner_has_a_bounded_number_of_webhooks(database: Database) -> None:
    hooks = Webhooks(database)
    for _ in range(MOST_PER_OWNER):
        hooks.create(owner=OWNER, url="http://host/", topics=ALL)
    with pytest.raises(ConflictError, match="delete one first"):
        hooks.create(owner=OWNER, url="http://host/", topics=ALL)


def test_history_is_forgotten_after_a_while(
    database: Database, tmp_path: Path, there: Receiver
) -> None:
    hooks = Webhooks(database)
    webhook, _ = hooks.create(owner=OWNER, url=there.url, topics=ALL)
    ended_job(database)
    assert hooks.forget(after_s=-1, limit=9) == 0, "not before it has ended"
    deliver(deliverer(database, tmp_path))
    assert hooks.forget(after_s=60, limit=9) == 0
    assert hooks.forget(after_s=-1, limit=9) == 1
    assert hooks.deliveries(webhook.id, owner=OWNER, limit=9) == []


def test_the_sweeper_forgets_history(
    database: Database, tmp_path: Path, there: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = Webhooks(database)
    webhook, _ = hooks.create(owner=OWNER, url=there.url, topics=ALL)
    ended_job(database)
    deliver(deliverer(database, tmp_path))
    sweeper = Sweeper(database, FolderStore(tmp_path), Settings(data_dir=tmp_path))
    sweeper.sweep()
    assert len(hooks.deliveries(webhook.id, owner=OWNER, limit=9)) == 1
    monkeypatch.setattr("worker.processes.sweep.KEPT_DAYS", -1)
    sweeper.sweep()
    assert hooks.deliveries(webhook.id, owner=OWNER, limit=9) == []
