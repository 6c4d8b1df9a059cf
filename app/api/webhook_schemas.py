"""What the API takes and gives of webhooks."""

from typing import Any, Self

from pydantic import BaseModel, Field

from app.api.examples import example
from app.api.schemas import Strict, Time
from worker.contract import DeliveryRecord, DeliveryState, Topic, WebhookRecord

WANTED: list[Topic] = [topic for topic in Topic if topic is not Topic.TEST]


class WebhookSpec(Strict):
    """A webhook to be made."""

    url: str = Field(
        max_length=2000,
        description="Where deliveries are sent by POST.",
        examples=["https://lims.example.org/reucid"],
    )
    topics: list[Topic] = Field(
        default_factory=lambda: list(WANTED),
        min_length=1,
        description="What it is told of; by default everything.",
        examples=[["job.succeeded", "job.failed"]],
    )


class Webhook(BaseModel):
    """A webhook, without its secret."""

    model_config = example("Webhook")

    id: str
    owner: str
    url: str
    topics: list[Topic]
    created_at: Time
    failing_since: Time | None = Field(description="Of the first failure since the last success.")
    disabled_at: Time | None
    disabled_reason: str | None

    @classmethod
    def of(cls, record: WebhookRecord) -> Self:
        return cls.model_validate(vars(record) | {"topics": list(record.topics)})


class NewWebhook(Webhook):
    """A webhook that was just made."""

    model_config = example("NewWebhook")

    secret: str = Field(description="Signs its deliveries (Standard Webhooks); shown this once.")


class WebhookList(BaseModel):
    """All webhooks of an owner."""

    model_config = example("WebhookList")

    webhooks: list[Webhook]


class Delivery(BaseModel):
    """Something a webhook was, or is to be, told."""

    model_config = example("Delivery")

    number: int = Field(description="Grows in the order in which things came true.")
    topic: Topic
    data: dict[str, Any]
    state: DeliveryState
    attempts: int
    created_at: Time
    due_at: Time | None = Field(description="Of the next attempt; null when there is none.")
    ended_at: Time | None
    status: int | None = Field(description="Of the last answer.")
    error: str | None = Field(description="Why the last attempt failed.")

    @classmethod
    def of(cls, record: DeliveryRecord) -> Self:
        pending = record.state is DeliveryState.PENDING
        return cls.model_validate(vars(record) | {"due_at": record.due_at if pending else None})


class DeliveryList(BaseModel):
    """A page of deliveries, newest first."""

    model_config = example("DeliveryList")

    deliveries: list[Delivery]
    next: str | None = Field(description="Pass it as `cursor` to get the next page.")
