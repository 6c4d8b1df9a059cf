"""Webhooks: programs that are told when a job has ended."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from fastapi.concurrency import run_in_threadpool

from app.api.auth import ReaderDep, SubmitterDep
from app.api.deps import Id, ServicesDep
from app.api.webhook_schemas import (
    Delivery,
    DeliveryList,
    NewWebhook,
    Webhook,
    WebhookList,
    WebhookSpec,
)
from app.http.paging import PagingDep
from app.http.problems import FieldError, invalid, problems
from worker.webhooks.addresses import AddressError, resolve

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

Number = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.post("", status_code=201, responses=problems(400, 408, 409, 413, 422, 500))
async def create(
    spec: WebhookSpec, response: Response, services: ServicesDep, caller: SubmitterDep
) -> NewWebhook:
    """Make a webhook for the own jobs. Its secret is in this answer and nowhere else.

    Deliveries are signed by Standard Webhooks 1.0, made at least once, in the order of each job,
    and repeated for a day when they fail; then the webhook is disabled.
    """
    try:
        await resolve(spec.url, private=services.settings.webhook_private)
    except AddressError as error:
        raise invalid([FieldError(field="url", message=str(error))]) from error
    record, secret = await run_in_threadpool(
        lambda: services.webhooks.create(owner=caller.owner, url=spec.url, topics=spec.topics)
    )
    response.headers["Location"] = f"{services.settings.root_path}/v1/webhooks/{record.id}"
    response.headers["Cache-Control"] = "no-store"
    return NewWebhook(**Webhook.of(record).model_dump(), secret=secret)


@router.get("", responses=problems(500))
def index(services: ServicesDep, caller: ReaderDep) -> WebhookList:
    """The own webhooks, oldest first."""
    return WebhookList(webhooks=[Webhook.of(each) for each in services.webhooks.of(caller.sees)])


@router.get("/{webhook_id}", responses=problems(404, 422, 500))
def show(webhook_id: Id, services: ServicesDep, caller: ReaderDep) -> Webhook:
    """A webhook."""
    return Webhook.of(services.webhooks.get(webhook_id, owner=caller.sees))


@router.delete("/{webhook_id}", status_code=204, responses=problems(404, 422, 500))
def delete(webhook_id: Id, services: ServicesDep, caller: SubmitterDep) -> None:
    """Forget a webhook and its history."""
    services.webhooks.delete(webhook_id, owner=caller.sees)


@router.post("/{webhook_id}/enable", responses=problems(404, 422, 500))
def enable(webhook_id: Id, services: ServicesDep, caller: SubmitterDep) -> Webhook:
    """Deliver again, from now on, to a webhook that was disabled."""
    return Webhook.of(services.webhooks.enable(webhook_id, owner=caller.sees))


@router.post("/{webhook_id}/test", status_code=202, responses=problems(404, 409, 422, 500))
def test(webhook_id: Id, services: ServicesDep, caller: SubmitterDep) -> Delivery:
    """Deliver a test."""
    return Delivery.of(services.webhooks.test(webhook_id, owner=caller.sees))


@router.get("/{webhook_id}/deliveries", responses=problems(404, 422, 500))
def deliveries(
    webhook_id: Id, paging: PagingDep, services: ServicesDep, caller: ReaderDep
) -> DeliveryList:
    """What was and is to be delivered, newest first; kept for 30 days."""
    (before,) = paging.after(int) or (None,)
    page, after = paging.cut(
        services.webhooks.deliveries(
            webhook_id, owner=caller.sees, limit=paging.wanted, before=before
        ),
        Delivery.of,
        lambda record: (record.number,),
        services.settings.root_path,
    )
    return DeliveryList(deliveries=page, next=after)


@router.post(
    "/{webhook_id}/deliveries/{number}/redeliver",
    status_code=202,
    responses=problems(404, 409, 422, 500),
)
def redeliver(
    webhook_id: Id, number: Number, services: ServicesDep, caller: SubmitterDep
) -> Delivery:
    """Deliver once more what was delivered or has failed."""
    return Delivery.of(services.webhooks.redeliver(webhook_id, number, owner=caller.sees))
