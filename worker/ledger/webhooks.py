"""Webhooks of owners, and what becomes of their deliveries."""

import base64
import secrets
from collections.abc import Collection, Sequence
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, Select, delete, exists, func, insert, select, update

from worker.contract import DeliveryRecord, DeliveryState, Topic, WebhookRecord
from worker.ledger.database import Database
from worker.ledger.outbox import put
from worker.ledger.refusals import ConflictError, NotFoundError
from worker.ledger.tables import Now, deliveries, webhooks

MARK = "whsec_"  # Standard Webhooks 1.0
SECRET_BYTES = 24
MOST_PER_OWNER = 20
KEPT_DAYS = 30.0  # of history
LEASE = 60.0  # s after which a delivery that nobody has ended is made again


class Webhooks:
    """The webhooks in a ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, *, owner: str, url: str, topics: Collection[Topic]
    ) -> tuple[WebhookRecord, str]:
        """A new webhook, and the secret that signs its deliveries."""
        secret = MARK + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
        row = {
            "id": uuid4().hex,
            "owner": owner,
            "url": url,
            "topics": sorted(set(topics)),
            "secret": secret,
            "created_at": Now(),
        }
        with self._database.writing() as connection:
            count = connection.execute(
                select(func.count()).select_from(webhooks).where(webhooks.c.owner == owner)
            ).scalar_one()
            if count >= MOST_PER_OWNER:
                raise ConflictError(
                    f"got a webhook more than {MOST_PER_OWNER} of {owner}: delete one first"
                )
            connection.execute(insert(webhooks).values(row))
        return self.get(str(row["id"]), owner=owner), secret

    def of(self, owner: str | None) -> list[WebhookRecord]:
        """Those of an owner, or all; oldest first."""
        query = select(webhooks).order_by(webhooks.c.created_at, webhooks.c.id)
        with self._database.reading() as connection:
            return [_webhook(row) for row in connection.execute(_owned(query, owner))]

    def get(self, webhook_id: str, *, owner: str | None) -> WebhookRecord:
        """One webhook."""
        query = _owned(select(webhooks).where(webhooks.c.id == webhook_id), owner)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFoundError(f"no webhook {webhook_id}")
        return _webhook(row)

    def delete(self, webhook_id: str, *, owner: str | None) -> None:
        """Forget a webhook and its deliveries."""
        self.get(webhook_id, owner=owner)
        with self._database.writing() as connection:
            connection.execute(delete(webhooks).where(webhooks.c.id == webhook_id))

    def enable(self, webhook_id: str, *, owner: str | None) -> WebhookRecord:
        """Deliver again to a webhook that was disabled, from now on."""
        self.get(webhook_id, owner=owner)
        with self._database.writing() as connection:
            connection.execute(
                update(webhooks)
                .where(webhooks.c.id == webhook_id)
                .values(disabled_at=None, disabled_reason=None, failing_since=None)
            )
        return self.get(webhook_id, owner=owner)

    def test(self, webhook_id: str, *, owner: str | None) -> DeliveryRecord:
        """Deliver a test."""
        self._check_enabled(webhook_id, owner)
        with self._database.writing() as connection:
            number = put(connection, webhook_id, Topic.TEST, uuid4().hex, {})
        return self.delivery(webhook_id, number)

    def deliveries(
        self, webhook_id: str, *, owner: str | None, limit: int, before: int | None = None
    ) -> list[DeliveryRecord]:
        """What was and is to be delivered, newest first."""
        self.get(webhook_id, owner=owner)
        query = select(deliveries).where(deliveries.c.webhook_id == webhook_id)
        if before is not None:
            query = query.where(deliveries.c.id < before)
        query = query.order_by(deliveries.c.id.desc()).limit(limit)
        with self._database.reading() as connection:
            return [_delivery(row) for row in connection.execute(query)]

    def delivery(self, webhook_id: str, number: int) -> DeliveryRecord:
        """One delivery."""
        query = select(deliveries).where(
            deliveries.c.id == number, deliveries.c.webhook_id == webhook_id
        )
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFoundError(f"webhook {webhook_id} has no delivery {number}")
        return _delivery(row)

    def redeliver(self, webhook_id: str, number: int, *, owner: str | None) -> DeliveryRecord:
        """Deliver once more what has been delivered or has failed."""
        self._check_enabled(webhook_id, owner)
        self.delivery(webhook_id, number)
        with self._database.writing() as connection:
            connection.execute(
                update(deliveries)
                .where(deliveries.c.id == number, deliveries.c.state != DeliveryState.PENDING)
                .values(state=DeliveryState.PENDING, attempts=0, due_at=Now(), ended_at=None)
            )
        return self.delivery(webhook_id, number)

    def _check_enabled(self, webhook_id: str, owner: str | None) -> None:
        webhook = self.get(webhook_id, owner=owner)
        if webhook.disabled_at is not None:
            raise ConflictError(f"webhook {webhook_id} is disabled: enable it first")

    # --- for whoever delivers ---

    def due(self, limit: int) -> list[int]:
        """Numbers of deliveries whose time has come; of a job, the first that is not ended."""
        earlier = deliveries.alias()
        first = ~exists().where(
            earlier.c.webhook_id == deliveries.c.webhook_id,
            earlier.c.subject == deliveries.c.subject,
            earlier.c.id < deliveries.c.id,
            earlier.c.state == DeliveryState.PENDING,
        )
        query = (
            select(deliveries.c.id)
            .where(deliveries.c.state == DeliveryState.PENDING, deliveries.c.due_at <= Now(), first)
            .order_by(deliveries.c.due_at, deliveries.c.id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return list(connection.execute(query).scalars())

    def take(self, number: int) -> tuple[DeliveryRecord, WebhookRecord, str] | None:
        """A delivery to be made now, its webhook and the secret; None if another has taken it."""
        due = (
            deliveries.c.id == number,
            deliveries.c.state == DeliveryState.PENDING,
            deliveries.c.due_at <= Now(),
        )
        with self._database.writing() as connection:
            row = connection.execute(
                update(deliveries)
                .where(*due)
                .values(due_at=Now() + LEASE, attempts=deliveries.c.attempts + 1)
                .returning(deliveries)
            ).one_or_none()
            if row is None:
                return None
            webhook = connection.execute(
                select(webhooks).where(webhooks.c.id == row.webhook_id)
            ).one()
        return _delivery(row), _webhook(webhook), webhook.secret

    def delivered(self, delivery: DeliveryRecord, status: int) -> None:
        """It was answered with success."""
        ended = {"state": DeliveryState.DELIVERED, "ended_at": Now()}
        with self._database.writing() as connection:
            connection.execute(
                update(deliveries)
                .where(deliveries.c.id == delivery.number)
                .values(ended | {"status": status, "error": None})
            )
            connection.execute(
                update(webhooks)
                .where(webhooks.c.id == delivery.webhook_id)
                .values(failing_since=None)
            )

    def failed(
        self, delivery: DeliveryRecord, status: int | None, error: str, again_in: float | None
    ) -> None:
        """It was not; it is made again after some seconds, or given up."""
        values: dict[str, Any] = {"status": status, "error": error}
        if again_in is None:
            values |= {"state": DeliveryState.FAILED, "ended_at": Now()}
        else:
            values |= {"due_at": Now() + again_in}
        with self._database.writing() as connection:
            connection.execute(
                update(deliveries).where(deliveries.c.id == delivery.number).values(values)
            )
            connection.execute(
                update(webhooks)
                .where(webhooks.c.id == delivery.webhook_id)
                .values(failing_since=func.coalesce(webhooks.c.failing_since, Now()))
            )

    def disable(self, webhook_id: str, reason: str, *, failing_for: float = 0.0) -> bool:
        """Deliver no more to a webhook, and give up what waits; if it fails for so long already."""
        failing = (
            webhooks.c.id == webhook_id,
            webhooks.c.disabled_at.is_(None),
            webhooks.c.failing_since <= Now() - failing_for,
        )
        with self._database.writing() as connection:
            values = {"disabled_at": Now(), "disabled_reason": reason}
            if not connection.execute(update(webhooks).where(*failing).values(values)).rowcount:
                return False
            connection.execute(
                update(deliveries)
                .where(
                    deliveries.c.webhook_id == webhook_id,
                    deliveries.c.state == DeliveryState.PENDING,
                )
                .values(state=DeliveryState.FAILED, ended_at=Now(), error=reason)
            )
        return True

    def forget(self, *, after_s: float, limit: int) -> int:
        """Forget some deliveries that ended so long ago."""
        old = select(deliveries.c.id).where(deliveries.c.ended_at + after_s < Now()).limit(limit)
        with self._database.reading() as connection:
            found: Sequence[int] = connection.execute(old).scalars().all()
        if found:
            with self._database.writing() as connection:
                connection.execute(delete(deliveries).where(deliveries.c.id.in_(found)))
        return len(found)


def _owned(query: Select[Any], owner: str | None) -> Select[Any]:
    return query if owner is None else query.where(webhooks.c.owner == owner)


def _webhook(row: Row[Any]) -> WebhookRecord:
    return WebhookRecord(
        id=row.id,
        owner=row.owner,
        url=row.url,
        topics=tuple(Topic(topic) for topic in row.topics),
        created_at=row.created_at,
        failing_since=row.failing_since,
        disabled_at=row.disabled_at,
        disabled_reason=row.disabled_reason,
    )


def _delivery(row: Row[Any]) -> DeliveryRecord:
    return DeliveryRecord(
        number=row.id,
        webhook_id=row.webhook_id,
        subject=row.subject,
        topic=Topic(row.topic),
        data=row.data,
        created_at=row.created_at,
        state=DeliveryState(row.state),
        attempts=row.attempts,
        due_at=row.due_at,
        ended_at=row.ended_at,
        status=row.status,
        error=row.error,
    )
