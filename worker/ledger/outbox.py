"""What is to be told to webhooks, written in the transaction that makes it true."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select

from worker.contract import DeliveryState, EventType, Topic
from worker.ledger.tables import Now, deliveries, jobs, webhooks

TOPICS = {
    EventType.SUCCEEDED: Topic.JOB_SUCCEEDED,
    EventType.FAILED: Topic.JOB_FAILED,
    EventType.CANCELED: Topic.JOB_CANCELED,
}
TOLD = ("external_id", "sample_id", "batch", "labels", "retry_of", "image_id")  # of a job


def tell_of_job(
    connection: Connection, job_id: str, attempt: int, type_: EventType, data: Mapping[str, Any]
) -> None:
    """Tell the webhooks of a job's owner that it has ended."""
    topic = TOPICS.get(type_)
    if topic is None:
        return
    job = connection.execute(
        select(jobs.c.owner, *(jobs.c[name] for name in TOLD)).where(jobs.c.id == job_id)
    ).one()
    told = {"job_id": job_id, "attempt": attempt, "state": str(type_)}
    told |= {name: job._mapping[name] for name in TOLD} | dict(data)
    tell(connection, job.owner, topic, job_id, told)


def tell(
    connection: Connection, owner: str, topic: Topic, subject: str, data: Mapping[str, Any]
) -> None:
    """Put a delivery into the outbox for each webhook of an owner that wants to know."""
    wanting = select(webhooks.c.id, webhooks.c.topics).where(
        webhooks.c.owner == owner, webhooks.c.disabled_at.is_(None)
    )
    for webhook_id, topics in connection.execute(wanting).all():
        if topic in topics:
            put(connection, webhook_id, topic, subject, data)


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
