"""What is to be told to webhooks, written in the transaction that makes it true."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select

from worker.contract import DeliveryState, EventType, Topic
from worker.ledger.tables import Now, deliveries, jobs, webhooks

TOPICS = {
    EventType.SUCCEEDED: Topic.JOB_SUCCEEDED,
    EventType.FAILED: Topic.JOB_FAILED,
    EventType.CANCELED: Topic.JOB_CANCELED,
}
TOLD = ("external_id", "sample_id", "batch", "labels", "retry_of", "image_id")  # of a job


_WANTING = select(webhooks.c.id.label("webhook_id"), webhooks.c.topics).where(
    webhooks.c.disabled_at.is_(None)
)
# Made once: it is asked at the end of every job.
_WANTING_JOB = (
    _WANTING.add_columns(*(jobs.c[name] for name in TOLD))
    .join(jobs, jobs.c.owner == webhooks.c.owner)
    .where(jobs.c.id == bindparam("its_id"))
)


def tell_of_job(
    connection: Connection, job_id: str, attempt: int, type_: EventType, data: Mapping[str, Any]
) -> None:
    """Tell the webhooks of a job's owner that it has ended."""
    topic = TOPICS.get(type_)
    if topic is None:
        return
    wanting = connection.execute(_WANTING_JOB, {"its_id": job_id}).all()
    for job in wanting:
        if topic in job.topics:
            told = {"job_id": job_id, "attempt": attempt, "state": str(type_)}
            told |= {name: job._mapping[name] for name in TOLD} | dict(data)
            put(connection, job.webhook_id, topic, job_id, told)


def tell(
    connection: Connection, owner: str, topic: Topic, subject: str, data: Mapping[str, Any]
) -> None:
    """Put a delivery into the outbox for each webhook of an owner that wants to know."""
    wanting = connection.execute(_WANTING.where(webhooks.c.owner == owner)).all()
    for webhook in wanting:
        if topic in webhook.topics:
            put(connection, webhook.webhook_id, topic, subject, data)


def put(
    connection: Connection, webhook_id: str, topic: Topic, subject: str, data: Mapping[str, Any]
) -> int:
    """Put one delivery into the outbox; its number."""
    number = connection.execute(
        insert(deliveries)
        .values(
            webhook_id=webhook_id,
            subject=subject,
            topic=topic,
            data=dict(data),
            created_at=Now(),
            state=DeliveryState.PENDING,
            attempts=0,
            due_at=Now(),
        )
        .returning(deliveries.c.id)
    ).scalar_one()
    return int(number)
